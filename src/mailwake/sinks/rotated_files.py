"""Rotated files beside the one that grows: their names, which sort by age, when they are due, and their upkeep."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Literal

from mailwake.durable_names import sync_directory

if TYPE_CHECKING:
    import threading
    from pathlib import Path

GZIP_LEVEL = 6
_STEP = 1 << 20
_COMPRESSED = ".gz"
_NAMES = {"time": r"[0-9]{8}T[0-9]{6}Z-[0-9]{4}", "number": r"[0-9]{10}"}


class RotatedFiles:
    """The rotated files of `path`: `events.jsonl` becomes `events-20260418T142507Z-0001.jsonl`, or with a number."""

    def __init__(self, path: Path, naming: Literal["time", "number"]) -> None:
        self._path = path
        self._naming = naming
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        self._pattern = re.compile(rf"{stem}-({_NAMES[naming]}){suffix}(?:{re.escape(_COMPRESSED)})?")

    def found(self) -> list[Path]:
        """Those that there are, the oldest first; OSError when the directory cannot be read."""
        return sorted(each for each in self._path.parent.iterdir() if self._pattern.fullmatch(each.name))

    def rotate(self, now: float) -> Path:
        """Give the file that grows its rotated name, which sorts behind all others; OSError when that fails."""
        marks = [found[1] for each in self.found() if (found := self._pattern.fullmatch(each.name))]
        mark = self._next_mark(max(marks, default=""), now)
        rotated = self._path.with_name(f"{self._path.stem}-{mark}{self._path.suffix}")
        os.rename(self._path, rotated)
        sync_directory(self._path.parent)
        return rotated

    def _next_mark(self, last: str, now: float) -> str:
        if self._naming == "number":
            return f"{int(last or 0) + 1:010d}"
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        last_moment, _, count = last.partition("-")
        if moment > last_moment:
            return f"{moment}-0001"
        return f"{last_moment}-{int(count) + 1:04d}"  # the same second, or the clock was set back

    def tidy(self, max_files: int, *, compress: bool, ending: threading.Event) -> None:
        """Remove all but the newest `max_files` (0: none), and compress the others; OSError when that fails.

        Stops early, leaving nothing half done, when `ending` is set.
        """
        found = self.found()
        for each in found[:-max_files] if max_files else ():
            each.unlink(missing_ok=True)
        for each in found[-max_files:] if compress else ():
            if each.suffix != _COMPRESSED:
                _compress(each, ending)


def due(written: float, now: float, every: float) -> bool:
    """Whether a multiple of `every` seconds lies between what was written and now."""
    return every > 0 and now // every > written // every


def _compress(path: Path, ending: threading.Event) -> None:
    compressed = path.with_name(path.name + _COMPRESSED)
    hidden = path.with_name(f".{compressed.name}.unfinished")
    if not compressed.exists():  # else a kill came between the two last steps
        with path.open("rb") as source, hidden.open("wb") as target:
            os.fchmod(target.fileno(), os.fstat(source.fileno()).st_mode & 0o777)
            with gzip.GzipFile(path.name, "wb", GZIP_LEVEL, target) as packed:
                while block := source.read(_STEP):
                    packed.write(block)
                    if ending.is_set():
                        break
            target.flush()
            os.fsync(target.fileno())
        if ending.is_set():
            hidden.unlink()
            return
        shutil.copystat(path, hidden)
        os.rename(hidden, compressed)
        sync_directory(path.parent)
    path.unlink()
