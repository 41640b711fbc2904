"""What the event flow asks of the enrichment, and what it must give: events in the order of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from mailwake.events.model import Event

HOLD_SECONDS: Final = 2.5
"""How long an event is held, in event time, between `observe` and `complete`.

Several links within two seconds make the first of them suspicious too, and nobody knows that before the others came.
"""


class EventEnricher(Protocol):
    """Says of each event what its request tells: program, place, proxy, machine or person.

    Nothing here waits or raises; memory is bounded. An event that was never observed may be completed all the same: it
    is judged by what is known.
    """

    def observe(self, event: Event) -> None:
        """Take note of an event of the journal; call it for each one, of message events too, in order of time."""
        ...

    def observe_head(self, message_id: str, target: str, address: str, time_ms: int) -> None:
        """Take note of a HEAD request for a link of a copy, in the same order; it is no event."""
        ...

    def complete(self, event: Event) -> Event:
        """The event with all that is known of it; call it when later ones up to HOLD_SECONDS have been observed."""
        ...

    def reload_if_changed(self) -> None:
        """Read rules and places anew where their files have changed; what cannot be read leaves the old in force.

        Call it every few seconds: while nothing has changed it costs two look-ups of files.
        """
        ...
