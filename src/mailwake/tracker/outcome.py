"""What following a link can lead to, and who decides it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mailwake.tracker.messages import Request


class Shown(Enum):
    """What a link can lead to when it is no redirect."""

    IMAGE = "image"
    NOTHING = "nothing"
    UNSUBSCRIBE = "unsubscribe"
    """The page that asks whether to unsubscribe."""
    UNSUBSCRIBED = "unsubscribed"
    NOT_RECORDED = "not recorded"
    """An unsubscription that failed: whoever asked shall ask again."""


Outcome = str | Shown
"""What a link leads to: the target's URL in printable ASCII, the image, or nothing (404)."""


class LinkHandler(Protocol):
    """What the tracker asks about each link."""

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        """What the link `/<family>/…/<token>` leads to; with `record` its event is durable when this returns."""
        ...

    async def unsubscribe(self, token: str, request: Request) -> Outcome:
        """Record that the person of the link `/u/<token>` leaves the list: durable on return, or said not to be."""
        ...
