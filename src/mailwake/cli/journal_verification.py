"""Reading every record of journal and feed, to know whether they are whole."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from mailwake.errors import MailwakeError
from mailwake.events.record import decode_record
from mailwake.feed.merged_segments import DAMAGED
from mailwake.feed.payload import (
    decode_checkpoint,
    decode_event,
    decode_unclaimed,
    is_checkpoint,
    is_event,
    is_unclaimed,
)
from mailwake.feed.segments import segments_in
from mailwake.journal.frame import FRAME_OVERHEAD
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_reader import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.service.data_directory import DataDirectory

_PROGRESS_OCTETS = 32 << 20
"""With less than this to read it is done before anybody looks."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Octets of a file that are damaged, or that hold a record which cannot be read."""

    file: Path
    offset: int
    octets: int
    reason: str


@dataclass(slots=True)
class Verification:
    """What was read, and what is wrong with it."""

    files: int = 0
    octets: int = 0
    records: int = 0
    troubles: list[Trouble] = field(default_factory=list)

    def as_facts(self) -> dict[str, Any]:
        """For programs."""
        troubles = [
            {"file": str(each.file), "offset": each.offset, "octets": each.octets, "reason": each.reason}
            for each in self.troubles
        ]
        return {"files": self.files, "octets": self.octets, "records": self.records, "damage": troubles}


def verify_files(data: DataDirectory) -> Verification:
    """Read all segments, those put aside among them; with a progress bar on a terminal when there is much."""
    files = [(path, _check_journal) for path in JournalReader(data.journal).segments()]
    aside = data.journal / DAMAGED
    if aside.is_dir():
        files += [(path, _check_journal) for path in JournalReader(aside).segments()]
    files += [(segment.path, _check_feed) for segment in segments_in(data.feed)]
    result = Verification()
    total = sum(_size(path) for path, _ in files)
    with Progress(
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=total < _PROGRESS_OCTETS or not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total)
        for path, check in files:
            _verify(path, check, result, lambda octets: progress.advance(task, octets))
    return result


def _verify(path: Path, check: Callable[[bytes], None], result: Verification, advance: Callable[[int], None]) -> None:
    result.files += 1
    before = 0
    for run in read_whole(path):
        for damage in run.damages:
            result.troubles.append(Trouble(path, damage.offset, damage.octets, damage.reason))
        for record in run.records:
            try:
                check(record.payload)
            except MailwakeError as error:
                result.troubles.append(Trouble(path, record.start, FRAME_OVERHEAD + len(record.payload), str(error)))
        result.records += len(run.records)
        result.octets += run.end - before
        advance(run.end - before)
        before = run.end


def _check_journal(payload: bytes) -> None:
    decode_record(payload)


def _check_feed(payload: bytes) -> None:
    if is_checkpoint(payload):
        decode_checkpoint(payload)
    elif is_unclaimed(payload):
        decode_unclaimed(payload)
    elif is_event(payload):
        decode_event(payload)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
