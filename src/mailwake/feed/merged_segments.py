"""The journal's segments that have been merged into the feed, and are not needed any more."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mailwake.durable_names import sync_directory
from mailwake.journal.frame import SEGMENT_SUFFIX
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_reader import is_live, read_segment, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.journal.reader import Cursor
    from mailwake.logs import Logger

MARGIN_SECONDS: Final = 3600.0
"""How long a merged segment stays: what damage takes from the end of the feed is merged from it again."""

DAMAGED: Final = "damaged"
"""The directory in the journal's where damaged segments go, instead of being deleted."""

_LEFTOVER_SECONDS: Final = 86_400.0


class MergedSegments:
    """Deletes segments of the journal in `directory` of which `merged` says that the feed has all of them.

    `octets` is what is left after `delete`.
    """

    def __init__(self, directory: Path, merged: Callable[[], Cursor], clock: Clock, log: Logger) -> None:
        self._directory = directory
        self._merged = merged
        self._clock = clock
        self._log = log
        self.octets = 0

    def delete(self, keep_seconds: float, *, short_of_room: bool) -> int:
        """Delete those that are closed, merged and have stayed long enough; how many octets that freed.

        Damaged ones are moved aside, and deleted when nothing has been written to them for `keep_seconds`. When room
        is short all of them go at once. JournalError or OSError when the disk refuses.
        """
        merged = self._merged()
        freed = kept = 0
        for path in JournalReader(self._directory).segments():
            octets = _size(path)
            if (short_of_room or self._has_stayed(path, MARGIN_SECONDS)) and _is_done(path, merged):
                freed += self._take_away(path, octets)
            else:
                kept += octets
        if freed:  # before the feed forgets them: else a power loss could bring them back, to be merged once more
            sync_directory(self._directory)
        for path in self._set_aside():
            octets = _size(path)
            if short_of_room or self._has_stayed(path, keep_seconds):
                path.unlink(missing_ok=True)
                freed += octets
            else:
                kept += octets
        self._delete_leftovers()
        self.octets = kept
        return freed

    def _take_away(self, path: Path, octets: int) -> int:
        # The octets that it freed.
        damaged = sum(damage.octets for run in read_whole(path) for damage in run.damages)
        if not damaged:
            path.unlink(missing_ok=True)
            return octets
        aside = self._directory / DAMAGED
        aside.mkdir(exist_ok=True, mode=0o700)
        path.rename(aside / path.name)
        self._log.warning("a damaged segment of the journal was put aside", path=str(aside / path.name), octets=damaged)
        return 0

    def _set_aside(self) -> Iterator[Path]:
        aside = self._directory / DAMAGED
        yield from JournalReader(aside).segments() if aside.is_dir() else ()

    def _delete_leftovers(self) -> None:
        # Segments of processes that were killed while they began them: there is nothing in them.
        for path in self._directory.glob(f".*{SEGMENT_SUFFIX}"):
            if self._has_stayed(path, _LEFTOVER_SECONDS) and not _is_live(path):
                path.unlink(missing_ok=True)

    def _has_stayed(self, path: Path, seconds: float) -> bool:
        try:
            return self._clock.now() - path.stat().st_mtime >= seconds
        except FileNotFoundError:
            return False


def _is_done(path: Path, merged: Cursor) -> bool:
    """Whether the segment is closed, and nothing in it stands behind the merged part."""
    if path.name not in merged or _is_live(path):
        return False
    rest = read_segment(path, merged[path.name], 1)
    return not rest.records and not rest.damages


def _is_live(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_live(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
