"""How far the journal was merged into a feed that nobody writes any more, by the checkpoints that stand in it.

A checkpoint says that everything of the journal up to its cursor stands before it. Behind damage that is not so: what
the damage has taken may still be in the journal. So the last checkpoint before any damage counts; what is merged anew
from there on is told from what stands in the feed already by its event ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.contract import FeedError
from mailwake.feed.payload import (
    decode_checkpoint,
    decode_event,
    decode_unclaimed,
    is_checkpoint,
    is_event,
    is_unclaimed,
)
from mailwake.feed.segments import segments_in
from mailwake.journal.segment_reader import read_whole

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.journal.reader import Cursor


class LastState(NamedTuple):
    """`cursor`: up to where the journal was merged; `unclaimed`: the ids of events that stand in the feed beyond it.

    `latest_ms` is the latest time of an event that was looked at, 0 without one; `segment` the number of the segment
    where `cursor` was found, 0 if in none.
    """

    cursor: Cursor
    unclaimed: set[int]
    latest_ms: int
    segment: int


def last_state(directory: Path) -> LastState:
    """What the feed in `directory` says of the journal; FeedError when it cannot be read."""
    unclaimed: set[int] = set()
    latest = 0
    for segment in reversed(segments_in(directory)):
        found = _Segment()
        found.read(segment.path)
        unclaimed |= found.unclaimed
        latest = max(latest, found.latest_ms)
        if found.cursor is not None:
            return LastState(found.cursor, unclaimed, latest, segment.number)
    return LastState({}, unclaimed, latest, 0)


class _Segment:
    def __init__(self) -> None:
        self.cursor: Cursor | None = None
        self.unclaimed: set[int] = set()
        self.latest_ms = 0
        self._of_next: set[int] = set()
        """What the next checkpoint says is unclaimed."""
        self._is_whole = True

    def read(self, path: Path) -> None:
        for run in read_whole(path):
            if run.damages:
                self._is_whole = False
            for record in run.records:
                self._take_in(record.payload)

    def _take_in(self, payload: bytes) -> None:
        try:
            if is_checkpoint(payload):
                cursor = decode_checkpoint(payload)
                if self._is_whole:
                    self.cursor = cursor
                    self.unclaimed = self._of_next
                self._of_next = set()
            elif is_unclaimed(payload):
                self._of_next.update(decode_unclaimed(payload))
            elif is_event(payload):
                event = decode_event(payload)
                self.unclaimed.add(event.event_id)
                self.latest_ms = max(self.latest_ms, event.timestamp)
        except FeedError:  # readers tell of it
            self._is_whole = False
