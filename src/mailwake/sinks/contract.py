"""What a destination of events is: it takes them in order, and says when they are safely over there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.events.model import Event


class DestinationError(MailwakeError):
    """A destination cannot take events now; one line says why, and what to do. All of them are tried again."""


class OutgoingEvent(NamedTuple):
    """An event as it leaves: itself, and its JSON on one line without the line's end."""

    event: Event
    content: bytes


class Destination(Protocol):
    """Where a sink's events go; the runner makes one call at a time."""

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Return when all of them are over there, safe from whatever happens here, in their order.

        DestinationError, or any other exception, when that cannot be said of all of them; the same ones then come
        again, and those that had arrived arrive twice. It may be cancelled.
        """
        ...

    async def tend(self) -> None:
        """Called about once a second while there is nothing to write: what goes by time has its place here."""
        ...

    async def close(self) -> None:
        """Let go of everything; called once, after the last `write`, whether it has returned or was cancelled."""
        ...
