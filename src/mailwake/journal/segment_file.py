"""One segment being written: its birth, durable appends, and how it is cut back after a failure."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from typing import TYPE_CHECKING

from mailwake.journal.frame import SEGMENT_HEADER, SEGMENT_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path


class Disk:
    """The system calls that can fail for want of space or by a broken disk; tests give one that fails."""

    def write(self, descriptor: int, data: bytes) -> int:
        """os.write: may write less than asked."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """os.fdatasync."""
        os.fdatasync(descriptor)


class SegmentFile:
    """An open segment; its lock (flock) tells readers that it still grows. OSError from every method that writes.

    It appears in the directory complete with its header and already locked, so a reader never takes it for dead.
    """

    def __init__(self, directory: Path, writer_name: str, disk: Disk) -> None:
        self._disk = disk
        name = f"{writer_name}-{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}{SEGMENT_SUFFIX}"
        self.path = directory / name
        self.size = 0
        hidden = directory / f".{name}"
        self._descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.append(SEGMENT_HEADER)
            os.rename(hidden, self.path)
            _sync_directory(directory)
        except BaseException:
            os.close(self._descriptor)
            hidden.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            raise

    def append(self, data: bytes) -> None:
        """Write and sync; when this returns, the data survive power loss. After OSError the segment must be closed."""
        written = self._disk.write(self._descriptor, data)
        while written < len(data):
            written += self._disk.write(self._descriptor, data[written:])
        self._disk.sync(self._descriptor)
        self.size += len(data)

    def cut_back_and_close(self) -> None:
        """After a failed append: remove what was not made durable, as far as the disk lets us, and close.

        Nothing is ever written to this segment again: a reader may already have seen what is cut off, and what a
        failed sync leaves in the kernel's memory says nothing about the disk.
        """
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
            os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Let go of the file; everything in it is durable already."""
        os.close(self._descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
