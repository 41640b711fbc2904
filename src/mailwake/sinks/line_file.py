"""A file of lines that survives kills, full disks and log rotation by others: only ever whole lines, synced.

Contract: when `append` returns, the lines are on the disk, in the file that has the path's name. What a kill or a
failure has left behind the last line's end is cut off before anything is added. The file is locked (flock) against
another process that would add lines of its own in between.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.sinks.contract import DestinationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAIL_OCTETS = 16 << 20
"""How far back from the end damage is looked for: more than one append ever adds."""

_CURES = {
    errno.EACCES: "mend the rights",
    errno.EDQUOT: "free space",
    errno.EFBIG: "raise the limit of file sizes",
    errno.EISDIR: "name a file, not a directory",
    errno.ENOENT: "make the directory, writable for mailwake",
    errno.ENOSPC: "free space",
    errno.EROFS: "mount it for writing",
}


class LineFile:
    """The file `path`, made with these permission bits when there is none; blocking calls, one thread at a time.

    `on_cut` is called with the octets of an unfinished line that was cut off.
    """

    def __init__(self, path: Path, mode: int, on_cut: Callable[[int], None] = lambda octets: None) -> None:
        self._path = path
        self._mode = mode
        self._on_cut = on_cut
        self._descriptor: int | None = None
        self._size = 0

    def size(self) -> int:
        """Octets in the file; 0 when there is none."""
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._error(error) from None

    def modified(self) -> float | None:
        """When it was last written to, in Unix seconds; None when there is none."""
        try:
            return os.stat(self._path).st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(error) from None

    def open(self) -> None:
        """Open what has the path's name now, a new file if there is none, and cut off what is no whole line."""
        try:
            if self._descriptor is None or self._is_away(self._descriptor):
                self.close()
                self._open()
        except OSError as error:
            self.close()
            raise self._error(error) from None

    def append(self, lines: bytes) -> None:
        """Add whole lines and sync; DestinationError when that fails, and as good as nothing has happened then."""
        self.open()
        assert self._descriptor is not None
        try:
            self._size = os.fstat(self._descriptor).st_size  # somebody may have truncated it (copytruncate)
            self._write(self._descriptor, lines)
        except OSError as error:
            self._take_back()
            raise self._error(error) from None

    def close(self) -> None:
        """Let go of the file; the next append opens what has its name then."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _write(self, descriptor: int, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fdatasync(descriptor)

    def _take_back(self) -> None:
        """After a failure: cut off what was added, as far as the disk lets us; the next opening looks again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, min(self._size, os.fstat(self._descriptor).st_size))
            self.close()

    def _is_away(self, descriptor: int) -> bool:
        """Whether the name is another file's, or nobody's: it was renamed or removed under us."""
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return True
        ours = os.fstat(descriptor)
        return (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe by that name shall not hold us up
        try:
            descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, self._mode)
            os.fchmod(descriptor, self._mode)  # whatever the umask says
            sync_directory(self._path.parent)
        except FileExistsError:
            descriptor = os.open(self._path, flags)
        self._descriptor = descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self.close()
            raise DestinationError(f"{self._path}: is no regular file; name one, or remove it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DestinationError(f"{self._path}: another process writes to it; give each a file of its own") from None
        self._repair(descriptor)

    def _repair(self, descriptor: int) -> None:
        """Cut off what is no whole line at the end: half of one, or what a loss of power has left."""
        size = os.fstat(descriptor).st_size
        start = max(0, size - TAIL_OCTETS)
        tail = os.pread(descriptor, size - start, start)
        # Blocks that never reached the disk are zeros; JSON has none.
        whole = tail.rfind(b"\n", 0, tail.find(b"\0") if b"\0" in tail else len(tail)) + 1
        if whole < len(tail):
            os.ftruncate(descriptor, start + whole)
            os.fdatasync(descriptor)
            self._on_cut(len(tail) - whole)

    def _error(self, error: OSError) -> DestinationError:
        cure = _CURES.get(error.errno or 0, "look at the disk")
        return DestinationError(f"{self._path}: {error.strerror}; {cure}")
