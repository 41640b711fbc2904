"""Reading a journal, also while it is being written: all writers' segments merged, each from its own offset on.

A frame that is not whole in a segment that still grows is simply not there yet. In a segment whose writer is gone
it is damage: reported once as a value, and the rest of that segment is given up (what follows a torn frame cannot be
told from chance). Zeros up to a segment's end are no damage: its writer wrote them ahead, and was killed. Records may
be seen a moment before they are durable.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mailwake.journal.frame import (
    FRAME_OVERHEAD,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    SEGMENT_SUFFIX,
    UNWRITTEN,
    Damage,
    JournalError,
    Record,
    parse_frames,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Cursor = dict[str, int]
"""How far a consumer has come: segment name → offset; plain JSON. Segments it does not name are unread."""

MAX_RECORDS = 10_000
POLL_SECONDS = 0.2
_READ_BYTES = 512 << 10
assert _READ_BYTES > MAX_PAYLOAD + FRAME_OVERHEAD


class Batch(NamedTuple):
    """What one `read` found: records in order, damage, and the cursor behind them to be kept once they are handled.

    `more` says that there was more to read at once.
    """

    records: list[Record]
    damages: list[Damage]
    cursor: Cursor
    more: bool = False


class JournalReader:
    """Reads the segments of `directory`; `time_of(payload)` merges those of several writers by time.

    Without `time_of` the segments come one after the other. A consumer's position is its cursor alone: the reader
    has no memory.
    """

    def __init__(self, directory: Path, *, time_of: Callable[[bytes], int] | None = None) -> None:
        self._directory = directory
        self._time_of = time_of

    def segments(self) -> list[Path]:
        """The segments there are now, oldest name first; JournalError when there is no such directory."""
        try:
            with os.scandir(self._directory) as entries:
                names = [e.name for e in entries if e.name.endswith(SEGMENT_SUFFIX) and not e.name.startswith(".")]
        except OSError as error:
            raise JournalError(f"{self._directory}: cannot read the journal: {error.strerror}") from None
        return [self._directory / name for name in sorted(names)]

    def read(self, cursor: Mapping[str, int] | None = None, *, max_records: int = MAX_RECORDS) -> Batch:
        """The next records after `cursor` (None: from the beginning), at most `max_records` of each segment.

        An empty batch means that there is nothing new. Segments that are gone drop out of the cursor.
        """
        before = cursor or {}
        runs = [_read_segment(path, before.get(path.name, 0), max_records) for path in self.segments()]
        if self._time_of is not None:
            self._hold_back(runs)
        damages = [run.damage for run in runs if run.damage is not None]
        more = any(run.has_more for run in runs)
        return Batch(self._merge(runs), damages, {run.segment: run.end for run in runs}, more)

    def follow(
        self, cursor: Mapping[str, int] | None = None, *, wait: Callable[[float], bool] | None = None
    ) -> Iterator[Batch]:
        """Batches without end, none of them empty; `wait(seconds)` sleeps between looks, and ends it with True."""
        pause = wait or threading.Event().wait
        while True:
            batch = self.read(cursor)
            cursor = batch.cursor
            if batch.records or batch.damages:
                yield batch
            elif pause(POLL_SECONDS):
                return

    def _hold_back(self, runs: list[_Run]) -> None:
        # A segment that has more to give may have earlier records than what was read of the others: those must wait.
        time_of = self._time_of
        assert time_of is not None
        horizon = min((time_of(run.records[-1].payload) for run in runs if run.has_more and run.records), default=None)
        if horizon is None:
            return
        for run in runs:
            while run.records and time_of(run.records[-1].payload) > horizon:
                run.end = run.records.pop().start

    def _merge(self, runs: list[_Run]) -> list[Record]:
        time_of = self._time_of
        if time_of is None:
            return [record for run in runs for record in run.records]
        return list(heapq.merge(*(run.records for run in runs), key=lambda record: time_of(record.payload)))


@dataclass(slots=True)
class _Run:
    """What one read found in one segment: records, or damage; `end` is where the next read begins."""

    segment: str
    records: list[Record]
    end: int
    has_more: bool = False
    damage: Damage | None = None


def _read_segment(path: Path, offset: int, max_records: int) -> _Run:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # deleted since the directory was listed
        return _Run(path.name, [], offset)
    except OSError as error:
        raise JournalError(f"{path}: cannot read the journal: {error.strerror}; mend the rights") from None
    try:
        return _Segment(path.name, descriptor).read(offset, max_records)
    finally:
        os.close(descriptor)


class _Segment:
    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor

    def read(self, offset: int, max_records: int) -> _Run:
        size = os.fstat(self._descriptor).st_size
        if offset >= size:  # also beyond the end: a writer cut back what it could not make durable
            return _Run(self._name, [], offset)
        run, reason = self._parse(offset, max_records)
        if not reason or run.records or self._is_live():
            return run
        # Its writer may have completed the frame between our reading and our look at the lock: read again.
        run, reason = self._parse(offset, max_records)
        if not reason or run.records:
            return run
        return self._end(run.end, reason)

    def _end(self, offset: int, reason: str) -> _Run:
        # Nobody writes here any more, so the next read begins behind the zeros and need not look at them again.
        size = os.fstat(self._descriptor).st_size
        used = self._used(offset, size)
        lost = (used if reason == UNWRITTEN else max(used, offset + 1)) - offset
        if lost == 0:
            return _Run(self._name, [], size)
        reason = "impossible length" if reason == UNWRITTEN else reason
        return _Run(self._name, [], size, damage=Damage(self._name, offset, lost, reason))

    def _used(self, start: int, end: int) -> int:
        # Where the last octet stands, between these two, that is not zero: the offset after it.
        while end > start:
            begin = max(start, end - _READ_BYTES)
            data = os.pread(self._descriptor, end - begin, begin).rstrip(b"\0")
            if data:
                return begin + len(data)
            end = begin
        return start

    def _parse(self, offset: int, max_records: int) -> tuple[_Run, str]:
        if offset == 0:
            if os.pread(self._descriptor, len(SEGMENT_HEADER), 0) != SEGMENT_HEADER:
                return _Run(self._name, [], 0), "not a segment of this format"
            offset = len(SEGMENT_HEADER)
        data = os.pread(self._descriptor, FRAME_OVERHEAD, offset)
        if any(data):  # else a live segment's zeros, at most polls: they are not worth a long read
            data = os.pread(self._descriptor, _READ_BYTES, offset)
        payloads, used, reason = parse_frames(data, max_records)
        end = offset + used
        cut = len(data) == _READ_BYTES and reason in ("", "torn frame")
        has_more = cut or (used < len(data) and not reason)
        records: list[Record] = []
        for payload in payloads:
            offset += FRAME_OVERHEAD + len(payload)
            records.append(Record(self._name, offset, payload))
        return _Run(self._name, records, end, has_more), reason

    def _is_live(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False
