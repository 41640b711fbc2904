"""Events as lines of JSON in a file that is rotated by size and by time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mailwake.sinks.contract import DestinationError
from mailwake.sinks.line_file import LineFile
from mailwake.sinks.own_thread import OwnThread
from mailwake.sinks.rotated_files import RotatedFiles, due

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.clock import Clock
    from mailwake.config.sink_settings import Sink
    from mailwake.logs import Logger
    from mailwake.sinks.contract import OutgoingEvent


class JsonLines:
    """A `Destination`: when `write` returns, the lines are synced to the disk."""

    def __init__(self, name: str, settings: Sink, *, thread: OwnThread, clock: Clock, log: Logger) -> None:
        assert settings.path is not None
        path = settings.path.absolute()
        self._name = name
        self._path = path
        self._thread = thread
        self._clock = clock
        self._log = log
        self._file = LineFile(path, int(settings.value("file_mode"), 8), self._note_cut)
        self._rotated = RotatedFiles(path, settings.value("rotated_name"))
        self._limit: int = settings.value("rotate_size")
        self._every: float = settings.value("rotate_every")
        self._max_files: int = settings.value("max_files")
        self._compress: bool = settings.value("compress")
        self._written: float | None = None
        self._untidy = True
        # Compression takes a while, and events do not wait for it.
        self._tidying = OwnThread(f"{name}: rotated files")

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Return when all of them are on the disk."""
        await self._thread.run(partial(self._write, [event.content + b"\n" for event in events]))
        await self._tidy()

    async def tend(self) -> None:
        """Rotate by time though there are no events."""
        if self._every:
            await self._thread.run(self._rotate_by_time)
        await self._tidy()

    async def close(self) -> None:
        """Close the file."""
        self._tidying.end()
        await self._thread.run(self._file.close)

    def _write(self, lines: Sequence[bytes]) -> None:
        self._rotate_by_time()
        for run in self._runs(lines):
            self._file.append(b"".join(run))
            self._written = self._clock.now()

    def _runs(self, lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Lines that fit into the file, and between two runs its rotation; a line that fits nowhere has one alone."""
        if not self._limit:
            yield lines
            return
        run: list[bytes] = []
        size = self._file.size()
        for line in lines:
            if size and size + len(line) > self._limit:
                if run:
                    yield run
                self._rotate()
                run, size = [], 0
            run.append(line)
            size += len(line)
        yield run

    def _rotate_by_time(self) -> None:
        if not self._every:
            return
        written = self._file.modified() if self._written is None else self._written
        if written is not None and due(written, self._clock.now(), self._every):
            self._rotate()

    def _rotate(self) -> None:
        self._file.open()  # what a kill has left of a line does not go into the rotated file
        self._file.close()
        if self._file.size():
            try:
                self._rotated.rotate(self._clock.now())
            except OSError as error:
                raise DestinationError(f"{self._path}: cannot be rotated: {error.strerror}; mend the rights") from None
            self._untidy = True
        self._written = self._clock.now()

    async def _tidy(self) -> None:
        """Have rotated files compressed and removed; nobody waits for it."""
        if self._untidy and (self._compress or self._max_files):
            self._untidy = False
            self._tidying.start(self._tidy_up)

    def _tidy_up(self) -> None:
        try:
            self._rotated.tidy(self._max_files, compress=self._compress, ending=self._tidying.ending)
        except OSError as error:
            text = f"{error.filename or self._path}: {error.strerror}; look at the disk and the rights"
            self._log.warning("rotated files of a sink cannot be kept in order", sink=self._name, error=text)

    def _note_cut(self, octets: int) -> None:
        self._log.warning("an unfinished line was cut off", sink=self._name, path=str(self._path), size=octets)
