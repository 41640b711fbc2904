"""Reading one segment, also while it is being written; what is damaged in it is told, and what follows it is read.

A frame that is not whole in a segment that still grows is simply not there yet. In a closed one it is damage: the
octets up to the next whole frame are given up and reported once, as a value. Zeros up to a closed segment's end are no
damage: its writer wrote them ahead, and was killed. Nothing is ever changed or deleted here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.file_lock import is_locked
from mailwake.journal.frame import (
    FRAME_OVERHEAD,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    TORN,
    UNWRITTEN,
    Damage,
    JournalError,
    Record,
    parse_frames,
)
from mailwake.journal.resynchronisation import find_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES = 512 << 10
assert READ_BYTES > MAX_PAYLOAD + FRAME_OVERHEAD


@dataclass(slots=True)
class Run:
    """What one read found in one segment; `end` is where the next read begins.

    Damage stands before all records of the run. `has_more` is whether more could be read at once.
    """

    segment: str
    records: list[Record]
    end: int
    has_more: bool = False
    damages: list[Damage] = field(default_factory=list)


def read_segment(path: Path, offset: int, max_records: int) -> Run:
    """The records from `offset` (0, or the end of a former run) on, at most `max_records`, and damage before them.

    A run without records and damage means that there is nothing more, for now or for ever. JournalError when the file
    cannot be read; one that has gone is empty.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # deleted since the directory was listed
        return Run(path.name, [], offset)
    except OSError as error:
        raise JournalError(f"{path}: cannot read the journal: {error.strerror}; mend the rights") from None
    try:
        return _Segment(path.name, descriptor).read(offset, max_records)
    except OSError as error:
        raise JournalError(f"{path}: cannot read the journal at {offset}: {error.strerror}; see to the disk") from None
    finally:
        os.close(descriptor)


def read_whole(path: Path) -> Iterator[Run]:
    """All that the segment holds now, a run at a time."""
    offset, again = 0, True
    while again:
        run = read_segment(path, offset, READ_BYTES)
        offset, again = run.end, bool(run.records or run.damages)
        yield run


def is_live(descriptor: int) -> bool:
    """Whether the segment still grows: its writer holds a lock on it, which ends with the writer."""
    return is_locked(descriptor)


def pass_over(
    descriptor: int, name: str, offset: int, reason: str, *, size: int | None = None
) -> tuple[int, Damage | None]:
    """Where reading goes on in the closed segment `name`, at whose `offset` parsing has stopped for `reason`.

    With it the damage that was passed over; None when there are only zeros up to the end. Of a segment that still
    grows the first `size` octets count, which its writer has done with.
    """
    size = os.fstat(descriptor).st_size if size is None else size
    used = used_end(descriptor, offset, size)
    if reason == UNWRITTEN and used == offset:
        return size, None
    reason = "zeros where records were" if reason == UNWRITTEN else reason
    found = find_frame(descriptor, offset + 1, size)
    lost = (max(used, offset + 1) if found is None else found) - offset
    return size if found is None else found, Damage(name, offset, lost, reason)


def used_end(descriptor: int, start: int, end: int) -> int:
    """The offset behind the last octet between `start` and `end` that is not zero; `start` when there is none."""
    while end > start:
        begin = max(start, end - READ_BYTES)
        data = os.pread(descriptor, end - begin, begin).rstrip(b"\0")
        if data:
            return begin + len(data)
        end = begin
    return start


class _Segment:
    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor

    def read(self, offset: int, max_records: int) -> Run:
        if offset >= self._size():  # also beyond the end: a writer cut back what it could not make durable
            return Run(self._name, [], offset)
        run, reason = self._parse(offset, max_records)
        if not reason or run.records or is_live(self._descriptor):
            return run
        # Its writer may have completed the frame between our reading and our look at the lock: read again.
        run, reason = self._parse(offset, max_records)
        if not reason or run.records:
            return run
        return self._beyond(run.end, reason, max_records)

    def _beyond(self, offset: int, reason: str, max_records: int) -> Run:
        next_offset, damage = pass_over(self._descriptor, self._name, offset, reason)
        run, _ = self._parse(next_offset, max_records)
        if damage is not None:
            run.damages.append(damage)
        return run

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _parse(self, offset: int, max_records: int) -> tuple[Run, str]:
        if offset == 0:
            if os.pread(self._descriptor, len(SEGMENT_HEADER), 0) != SEGMENT_HEADER:
                return Run(self._name, [], 0), "not a segment of this format"
            offset = len(SEGMENT_HEADER)
        data = os.pread(self._descriptor, FRAME_OVERHEAD, offset)
        if any(data):  # else a live segment's zeros, at most polls: they are not worth a long read
            data = os.pread(self._descriptor, READ_BYTES, offset)
        payloads, used, reason = parse_frames(data, max_records)
        end = offset + used
        cut = len(data) == READ_BYTES and reason in ("", TORN)
        # Behind damage there may be more. A live segment seldom looks like that, and is only asked once more for it.
        has_more = bool(payloads) and (cut or (used < len(data) and reason not in (UNWRITTEN, TORN)))
        records: list[Record] = []
        for payload in payloads:
            offset += FRAME_OVERHEAD + len(payload)
            records.append(Record(self._name, offset, payload))
        return Run(self._name, records, end, has_more), reason
