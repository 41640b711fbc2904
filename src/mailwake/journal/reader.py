"""Reading a journal, also while it is being written: all writers' segments merged, each from its own offset on.

What is damaged in one segment costs what it covers and nothing else (`segment_reader.py`). Records may be seen a
moment before they are durable.
"""

from __future__ import annotations

import heapq
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from mailwake.journal.frame import SEGMENT_SUFFIX, Damage, JournalError, Record
from mailwake.journal.segment_reader import Run, read_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Cursor = dict[str, int]
"""How far a consumer has come: segment name → offset; plain JSON. Segments it does not name are unread."""

MAX_RECORDS = 10_000
POLL_SECONDS = 0.2


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
        runs = [read_segment(path, before.get(path.name, 0), max_records) for path in self.segments()]
        if self._time_of is not None:
            self._hold_back(runs)
        damages = [damage for run in runs for damage in run.damages]
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

    def _hold_back(self, runs: list[Run]) -> None:
        # A segment that has more to give may have earlier records than what was read of the others: those must wait.
        time_of = self._time_of
        assert time_of is not None
        horizon = min((time_of(run.records[-1].payload) for run in runs if run.has_more and run.records), default=None)
        if horizon is None:
            return
        for run in runs:
            while run.records and time_of(run.records[-1].payload) > horizon:
                run.end = run.records.pop().start

    def _merge(self, runs: list[Run]) -> list[Record]:
        time_of = self._time_of
        if time_of is None:
            return [record for run in runs for record in run.records]
        return list(heapq.merge(*(run.records for run in runs), key=lambda record: time_of(record.payload)))
