"""What consumers of events hold on to: a feed that is read by position, and a place where their positions are kept.

The feed promises: every event of this node's journal stands in it exactly once, complete and judged; what was read once
stays where it is, in the same order, until retention takes it; nothing is read that a loss of power could take back.
A consumer promises in turn: it keeps its position only when it has done all it has to do for the events before it. So
after a kill it may see events again, the same ones in the same order: at least once, told apart by `event_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.events.model import Event
    from mailwake.journal.frame import Damage

PAGE_EVENTS = 10_000
"""Events that one read gives at most, unless it is told otherwise."""


class FeedError(MailwakeError):
    """The feed or the file of positions cannot be read or written; one line says what to do."""


class Position(NamedTuple):
    """A place between two events: the number of a segment, and the offset in it. Later places compare greater."""

    segment: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.segment}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str` has written; ValueError for anything else."""
        segment, _, offset = text.partition(":")
        return cls(int(segment), int(offset))


BEGINNING = Position()
"""Before the first event that there is."""


class FeedEvent(NamedTuple):
    """An event, and the position behind it."""

    event: Event
    position: Position


class Page(NamedTuple):
    """What one read found: events in order, the position behind all that was looked at, and damage on the way.

    `more` says that there was more to read at once. A page without events may still move the position on.
    """

    events: list[FeedEvent]
    position: Position
    damages: list[Damage]
    more: bool


class EventFeed(Protocol):
    """The feed as its consumers see it; blocking calls, for a thread (`asyncio.to_thread`) where it matters."""

    def read(self, after: Position, *, max_events: int = PAGE_EVENTS, until: Position | None = None) -> Page:
        """The events behind `after`, none of them behind `until`; FeedError when the feed cannot be read."""
        ...

    def seek(self, time_ms: int) -> Position:
        """A position before the first event that came into the feed at this time (Unix milliseconds) or later.

        Segments tell times in steps of their own, so a few earlier events may follow it.
        """
        ...

    def end(self) -> Position:
        """Behind the last event there is now."""
        ...

    async def grown(self, beyond: Position, seconds: float) -> bool:
        """Wait until there is something behind `beyond`, at most so long; whether there is."""
        ...


class Positions(Protocol):
    """Each consumer's position by its name (`webhook:ID`, `sink:NAME`, `store`); when `keep` returns it is durable."""

    def get(self, consumer: str) -> Position | None:
        """Its position, None when it has never kept one."""
        ...

    def keep(self, consumer: str, position: Position) -> None:
        """Keep it; FeedError when the disk refuses."""
        ...

    def forget(self, consumer: str) -> None:
        """It is no consumer any more; retention does not wait for it."""
        ...

    def all(self) -> Mapping[str, Position]:
        """Every consumer's position."""
        ...
