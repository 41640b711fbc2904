"""The journal's records on their way into the feed: held for a moment, then let go in the order of their times.

They are held because what comes shortly after an event says something about it: a machine that follows every link of a
message is known by its second click. Each segment's records keep their own order, whatever their times say, so that
one cursor can tell what has been let go.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.events.model import Event
    from mailwake.journal.frame import Record
    from mailwake.journal.reader import Cursor


class _Held(NamedTuple):
    time_ms: int
    number: int
    segment: str
    event: Event | None


class Merge:
    """Records in hand; `cursor()` is that of the journal behind all that was let go.

    `read_cursor` is where the journal is read on; it is to be set after each read.
    """

    def __init__(self, cursor: Mapping[str, int]) -> None:
        self.read_cursor: Cursor = dict(cursor)
        self._heap: list[_Held] = []
        self._number = 0
        self._starts: dict[str, deque[int]] = {}
        self._latest: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, record: Record, time_ms: int, event: Event | None) -> None:
        """Take a record in; None for one that makes no event, whose place in the journal counts all the same."""
        time_ms = max(time_ms, self._latest.get(record.segment, 0))
        self._latest[record.segment] = time_ms
        self._starts.setdefault(record.segment, deque()).append(record.start)
        self._number += 1
        heappush(self._heap, _Held(time_ms, self._number, record.segment, event))

    def set_back(self, now_ms: int) -> None:
        """Take in that the clock was set back: else times of before would wait, and hold up others."""
        self._latest = {segment: min(time_ms, now_ms) for segment, time_ms in self._latest.items()}
        self._heap = [held._replace(time_ms=min(held.time_ms, now_ms)) for held in self._heap]
        heapify(self._heap)

    def let_go(self, up_to_ms: int, limit: int, *, at_most_held: int) -> list[Event]:
        """The events of at most `limit` records that are not later than this, or too many to be held."""
        events: list[Event] = []
        heap = self._heap
        while limit and heap and (heap[0].time_ms <= up_to_ms or len(heap) > at_most_held):
            held = heappop(heap)
            self._starts[held.segment].popleft()
            limit -= 1
            if held.event is not None:
                events.append(held.event)
        return events

    def oldest_ms(self) -> int | None:
        """The time of the oldest record in hand."""
        return self._heap[0].time_ms if self._heap else None

    def cursor(self) -> Cursor:
        """Before the first record of each segment that is still in hand."""
        cursor = dict(self.read_cursor)
        for segment, starts in list(self._starts.items()):
            if starts:
                cursor[segment] = starts[0]
            elif segment not in cursor:  # it is gone, and all of it was let go
                del self._starts[segment]
                self._latest.pop(segment, None)
        return cursor
