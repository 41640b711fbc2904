"""What there is on the disk: each segment of journal and feed, without reading all of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.payload import is_event
from mailwake.feed.segments import segments_in
from mailwake.journal.frame import FRAME_OVERHEAD, SEGMENT_HEADER, UNWRITTEN, parse_frames
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_reader import is_live, used_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SAMPLE = 1 << 20
"""Octets that are read of a segment to know how many records it has."""


class SegmentFacts(NamedTuple):
    """A segment: octets in use, records (counted when `is_counted`, else estimated from the first ones), times.

    `begun_ms` and `written_ms`, the last write, are Unix milliseconds. `behind` is how many of the octets the feed
    does not have yet; 0 for a segment of the feed.
    """

    path: Path
    writer: str
    octets: int
    records: int
    is_counted: bool
    begun_ms: int
    written_ms: int
    is_live: bool
    behind: int = 0


def survey_journal(directory: Path, merged: Mapping[str, int]) -> list[SegmentFacts]:
    """The journal's segments; `merged` is its cursor in the feed. JournalError when it cannot be read."""
    found = []
    for path in JournalReader(directory).segments():
        facts = _look(path)
        if facts is not None:
            found.append(
                facts._replace(behind=max(0, facts.octets - max(len(SEGMENT_HEADER), merged.get(path.name, 0))))
            )
    return found


def survey_feed(directory: Path) -> list[SegmentFacts]:
    """The feed's segments, in order; of the records only events are counted."""
    return [facts for each in segments_in(directory) if (facts := _look(each.path, is_event)) is not None]


def _look(path: Path, counts: Callable[[bytes], bool] = lambda payload: True) -> SegmentFacts | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # deleted since the directory was listed
        return None
    try:
        status = os.fstat(descriptor)
        octets = max(used_end(descriptor, 0, status.st_size), min(status.st_size, len(SEGMENT_HEADER)))
        records, is_counted = _count(descriptor, octets, counts)
        live = is_live(descriptor)
    finally:
        os.close(descriptor)
    writer, begun_ms = _parts_of_name(path.name, status.st_mtime_ns // 1_000_000)
    written_ms = status.st_mtime_ns // 1_000_000
    return SegmentFacts(path, writer, octets, records, is_counted, begun_ms, written_ms, live)


def _count(descriptor: int, octets: int, counts: Callable[[bytes], bool]) -> tuple[int, bool]:
    data = os.pread(descriptor, _SAMPLE, len(SEGMENT_HEADER))
    payloads, used, reason = parse_frames(data, len(data) // FRAME_OVERHEAD + 1)
    records = sum(map(counts, payloads))
    if len(data) < _SAMPLE and reason in ("", UNWRITTEN):
        return records, True
    return (round((octets - len(SEGMENT_HEADER)) * records / used) if used else 0), False


def _parts_of_name(name: str, otherwise_ms: int) -> tuple[str, int]:
    # As journal.segment_file.SegmentFile makes it: the writer's name, milliseconds, chance.
    writer, _, rest = name.rpartition("-")
    writer, _, milliseconds = writer.rpartition("-")
    if writer and rest and milliseconds.isdecimal():
        return writer, int(milliseconds)
    return name, otherwise_ms
