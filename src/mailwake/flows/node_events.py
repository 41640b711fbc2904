"""All events of a node for somebody who looks on: the feed, then what stands in the journal and is not in the feed yet.

The last few seconds are only in the journal, and everything is when no collector runs. Those events are as they were
recorded: nothing was completed or judged yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.errors import MailwakeError
from mailwake.events.from_record import ErasedError, EventReader
from mailwake.events.record import record_time
from mailwake.feed.last_state import last_state
from mailwake.feed.lock import is_written
from mailwake.feed.reader import FeedReader
from mailwake.journal.reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailwake.events.from_record import LinkFacts
    from mailwake.events.model import Event
    from mailwake.feed.contract import Page, Position
    from mailwake.journal.frame import Record
    from mailwake.journal.reader import Cursor

POLL_SECONDS = 0.2


class Seen(NamedTuple):
    """Events in their order, and what could not be read, a line each."""

    events: list[Event]
    troubles: list[str]


class NodeEvents:
    """The events of the data directory's `feed` and `journal`; `decode_link` is `links.token.decode_body`.

    It only reads, while the service runs and when it does not. MailwakeError when a directory cannot be read.
    """

    def __init__(self, feed: Path, journal: Path, decode_link: Callable[[bytes], LinkFacts]) -> None:
        self._directory = feed
        self._feed = FeedReader(feed)
        self._journal = JournalReader(journal, time_of=record_time)
        self._read_record = EventReader(decode_link).read
        self._from_journal: set[int] = set()
        self._in_feed: set[int] = set()
        self._cursor: Cursor | None = None

    def batches(self, after: Position, *, wait: Callable[[float], bool] | None = None) -> Iterator[Seen]:
        """The events behind `after`, none of them twice; with `wait` also those to come, until it says True.

        `wait(seconds)` sleeps. While a collector runs, those to come are shown as it completes them.
        """
        while True:
            merged_up_to = 0
            if wait is not None and is_written(self._directory):
                self._cursor = None
            elif self._cursor is None:
                merged_up_to = self._begin_journal()
            for page in self._pages(after):
                after = page.position
                yield self._fresh(page, merged_up_to)
            seen = Seen([], []) if self._cursor is None else self._read_journal(self._cursor)
            if seen.events or seen.troubles:
                yield seen
            elif (wait or _never)(POLL_SECONDS):
                return

    def _begin_journal(self) -> int:
        """Find out where the journal goes on behind the feed; the segment of the feed from which on ids are noted."""
        state = last_state(self._directory)
        self._cursor, self._in_feed = state.cursor, set(state.unclaimed)
        return state.segment

    def _pages(self, after: Position) -> Iterator[Page]:
        more = True
        while more:
            page = self._feed.read(after)
            after, more = page.position, page.more
            yield page

    def _fresh(self, page: Page, merged_up_to: int) -> Seen:
        # Events of the last segments may be found in the journal again: they were merged after its cursor was read.
        if self._cursor is not None:
            self._in_feed.update(e.event.event_id for e in page.events if e.position.segment >= merged_up_to)
        events = [each.event for each in page.events if each.event.event_id not in self._from_journal]
        self._from_journal.difference_update(each.event.event_id for each in page.events)
        return Seen(events, [str(damage) for damage in page.damages])

    def _read_journal(self, cursor: Cursor) -> Seen:
        batch = self._journal.read(cursor)
        self._cursor = batch.cursor
        seen = Seen([], [str(damage) for damage in batch.damages])
        for record in batch.records:
            self._take(record, seen)
        return seen

    def _take(self, record: Record, seen: Seen) -> None:
        try:
            event = self._read_record(record.payload)
        except ErasedError:
            return
        except MailwakeError as error:
            seen.troubles.append(f"{record.segment}: at {record.start}: {error}")
            return
        if event is None:  # an observation
            return
        if event.event_id not in self._in_feed:
            self._from_journal.add(event.event_id)
            seen.events.append(event)


def _never(seconds: float) -> bool:
    return True
