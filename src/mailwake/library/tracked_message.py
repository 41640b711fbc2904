"""What `mailwake.track` gives: the copy, and what was done for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.rewrite.plan import SkippedPart


@dataclass(frozen=True, slots=True)
class TrackedLink:
    """One link of the message, tracked or not."""

    part: str
    """"html", "text" or "amp"."""
    line: int
    """The line of that part, decoded, from 1."""
    target: str
    """Where a click leads."""
    name: str
    """Its name in events."""
    unsubscribe: bool
    """Its click is a `link_unsubscribe` event."""
    tracked: bool
    """Whether it leads over the tracker in this copy."""
    reason: str
    """Why it is not tracked; "" when it is."""
    url: str
    """What stands in the copy in its place; "" when it is not tracked."""
    text_is_url: bool
    """A reader sees a URL as the link's text; some filters take a link whose text names another one for phishing."""


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """One recipient's copy, and what was done for it."""

    content: bytes
    """The message to send: the one given, with nothing changed but links, marks and images, and without X-MSYS-API."""
    links: tuple[TrackedLink, ...]
    """Every link of the parts that were looked at, in their order, tracked or not."""
    skipped: tuple[SkippedPart, ...]
    """What was left alone although it might hold links, and why."""
    transmission_id: int
    """The message's number in events."""
    message_id: str
    """The copy's id in events."""

    def __bytes__(self) -> bytes:
        return self.content
