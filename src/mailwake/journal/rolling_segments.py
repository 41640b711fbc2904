"""The segments of one writer, one after the other: each is closed when it is long or old enough, or has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.journal.segment_file import Disk, SegmentFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.clock import Clock


class RollingSegments:
    """Appends to the newest segment in `directory`; belongs to one thread.

    A segment has at most `octets` (a longer append has one of its own) and is at most about `seconds` old, by the
    clock that no step of the wall clock touches. `writer_name` gives the name of the writer for the next segment, and
    `on_begin` is called when that is there.
    """

    def __init__(
        self,
        directory: Path,
        writer_name: Callable[[], str],
        disk: Disk,
        clock: Clock,
        *,
        octets: int,
        seconds: float,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._writer_name = writer_name
        self._disk = disk
        self._now = clock.monotonic
        self._octets = octets
        self._seconds = seconds
        self._on_begin = on_begin
        self._born = 0.0
        self._segment: SegmentFile | None = None

    @property
    def size(self) -> int:
        """Octets of the segment that is open; 0 without one."""
        return 0 if self._segment is None else self._segment.size

    @property
    def is_old(self) -> bool:
        """Whether the last segment began long enough ago."""
        return self._now() - self._born >= self._seconds

    def append(self, data: bytes) -> OSError | None:
        """Write and sync; None when it is durable, else why it is not: the next append begins a new segment."""
        try:
            self.close_if_old()
            if self._segment is not None and self._segment.size + len(data) > self._octets:
                self.close()
            if self._segment is None:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._segment = SegmentFile(self._directory, self._writer_name(), self._disk, self._octets)
                self._born = self._now()
                self._on_begin()
            self._segment.append(data)
        except OSError as error:
            self._give_up()
            return error
        return None

    def write_ahead(self) -> None:
        """Write zeros for the next appends. Should it fail, the next append tells what the disk says."""
        if self._segment is not None:
            try:
                self._segment.write_ahead()
            except OSError:
                self._give_up()

    def close_if_old(self) -> bool:
        """End a segment that is old enough; whether there is none now."""
        if self._segment is not None and self.is_old:
            self.close()
        return self._segment is None

    def close(self) -> None:
        """End the segment; everything in it is durable already."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _give_up(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.cut_back_and_close()
