"""What a store promises: every event of the feed once, where it can be searched, kept until retention or erasure.

Durability: when `load` returns, events and position survive power loss; when it raises, neither of them is there. (With
a server whose answer is lost, both may be there; what is given again then is known.)
Exactly once: the feed may give an event again (after a kill, or when a store is loaded anew); one whose `event_id` is
there already is passed over. The same id has the same timestamp always, as it is the same event.
Order: searches give the newest first, by the event's own time, then by id; late events stand where their time says.
Cost: a `load` is one transaction and one sync, so batches of some thousands are cheapest; a search reads the columns it
asks for, not the others, and of the time it asks for. Memory is bounded by the settings, whatever is asked.
Concurrency: one process at a time has a node's store open, the collector; everybody else asks it. Collectors of several
nodes may have one store where that is a server: each has a position of its own. Within a process, calls may be made at
any time in one event loop, which none of them holds up; a search never waits for a load, nor a load for it.

A store that cannot be used (damaged, in use by another process, closed) raises StoreUnavailableError from every call,
with one line that says why. It takes nothing else with it: webhooks and sinks read the feed, not the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from mailwake.errors import MailwakeError
from mailwake.store.question import MAX_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from pathlib import Path

    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.export import ExportFormat
    from mailwake.store.filters import Filters
    from mailwake.store.made_files import Making
    from mailwake.store.question import Question
    from mailwake.store.report_question import ReportQuestion, ReportTable

CONSUMER = "store"
"""The store's name among the consumers of the feed (`feed.contract.Positions`)."""


class StoreError(MailwakeError):
    """The store could not do this (disk full, a question that takes too long); one line says what to do."""


class StoreUnavailableError(StoreError):
    """There is no store to ask at this time: it is damaged, in use by another process, or not open."""


class Loaded(NamedTuple):
    """What a load did: events that are new, and events that were there already."""

    stored: int
    known: int


class SearchPage(NamedTuple):
    """A page of what was found, newest first.

    `total_count` is exact: all events that fulfilled the question when its first page was asked for. `next_cursor` is
    "" on the last page.
    """

    events: list[Event]
    total_count: int
    next_cursor: str


class StoreStatus(NamedTuple):
    """What there is: times in Unix milliseconds, None where there are no events."""

    events: int
    oldest: int | None
    newest: int | None
    octets: int
    """On the disk, the write-ahead log with it."""
    memory: int
    """Octets in use by the engine now, in this process."""
    position: Position
    """Up to where the feed is loaded."""
    format: int
    """The version of the tables."""
    rewrite_due: bool
    """Whether events were erased that the file may still hold."""


class EventStore(Protocol):
    """Events where they can be searched; the module says what holds for all calls."""

    async def open(self) -> None:
        """Open it, unless it is open, and finish an erasure that was cut short; StoreError when that fails.

        After a failure it may be called again; every other call says meanwhile why it could not be opened.
        """
        ...

    async def load(self, events: Sequence[Event], position: Position) -> Loaded:
        """Keep these events and the position behind them, in one step."""
        ...

    async def position(self) -> Position:
        """The position that the last load gave; BEGINNING in a new store."""
        ...

    async def search(self, question: Question) -> SearchPage:
        """A page of events; QuestionError when the cursor is not of this question.

        Following `next_cursor` gives every event that was there at the first page once, whatever arrives meanwhile.
        """
        ...

    async def report(self, question: ReportQuestion) -> ReportTable:
        """Exact counts of the events that are there; StoreError when it takes longer than a search may."""
        ...

    def events_of(self, recipient: str, *, page: int = MAX_PER_PAGE) -> AsyncIterator[list[Event]]:
        """All events of one recipient (any case), in pages, newest first: for export."""
        ...

    async def erase(self, recipients: Collection[str]) -> int:
        """Forget all events of these recipients, and have the file hold nothing of them; how many there were.

        When it returns they are in no file of the store; a server removes the last of these within about a minute. That
        means writing the file anew: seconds for each million events, in which searches go on and loads may wait. Killed
        before that, they are gone from every answer, and the file is written anew after the next start. What the feed
        still holds is another matter: erase there first.
        """
        ...

    async def forget_before(self, time_ms: int) -> int:
        """Forget events that happened before this time (Unix milliseconds); how many. The file's room is used again."""
        ...

    async def missing(self, ids: Collection[int]) -> set[int]:
        """Those of these ids that no event has."""
        ...

    async def status(self) -> StoreStatus:
        """What there is."""
        ...

    async def verify(self) -> list[str]:
        """Read everything; what is wrong, in a line each, nothing when all is well."""
        ...

    def close(self) -> None:
        """Let go of the file for good; blocks until calls under way are finished."""
        ...


@runtime_checkable
class FileMakingStore(EventStore, Protocol):
    """A store on this machine that can write what it holds into files beside itself, while it loads and answers.

    Each file is of one moment. It stands under its name when it is whole, and is its owner's alone; whoever asked for
    it moves it away or removes it. An erasure removes those that are still there, and has made anew what is in the
    making: when `erase` returns, no file of the store holds what was erased. Opening the store removes all.
    StoreError when there is no room (some is left to others always), or when `making` is given up.
    """

    async def backup(self, name: str, making: Making) -> Path:
        """All of it, in a file that opens by itself as this store; loads wait for a second or two for each gigabyte."""
        ...

    async def export(self, filters: Filters, form: ExportFormat, name: str, making: Making) -> Path:
        """Events in the order in which they were loaded; takes as long as it takes, and the memory of a search."""
        ...
