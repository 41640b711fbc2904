"""One segment being written: its birth, durable appends, zeros ahead of them, and how it is cut back after a failure.

A sync is cheaper where the file has been written before: neither its size nor its blocks change, so there is no
metadata to sync. Therefore zeros are written ahead of the records, a step at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.journal.frame import SEGMENT_HEADER, SEGMENT_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path


FIRST_STEP = 256 << 10
"""Zeros written ahead in the first step, in octets: what a worker wastes that is killed early."""

LONGEST_STEP = 1 << 20
LEAST_AHEAD = 128 << 10


class Disk:
    """The system calls that can fail for want of space or by a broken disk; tests give one that fails."""

    def write(self, descriptor: int, data: bytes) -> int:
        """os.write: may write less than asked."""
        return os.write(descriptor, data)

    def write_zeros(self, descriptor: int, octets: int, offset: int) -> int:
        """os.pwrite, which leaves the file's position alone: may write less than asked."""
        return os.pwrite(descriptor, bytes(octets), offset)

    def sync(self, descriptor: int) -> None:
        """os.fdatasync."""
        os.fdatasync(descriptor)


class SegmentFile:
    """An open segment; its lock (flock) tells readers that it still grows. OSError from every method that writes.

    It appears in the directory complete with its header and already locked, so a reader never takes it for dead.
    `size` counts the octets in use; zeros follow them, up to the file's `limit` at most, until it is closed.
    """

    def __init__(self, directory: Path, writer_name: str, disk: Disk, limit: int) -> None:
        self._disk = disk
        self._limit = limit
        self._zeros_end = 0
        name = f"{writer_name}-{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}{SEGMENT_SUFFIX}"
        self.path = directory / name
        self.size = 0
        hidden = directory / f".{name}"
        self._descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.append(SEGMENT_HEADER)
            os.rename(hidden, self.path)
            sync_directory(directory)
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

    def write_ahead(self) -> None:
        """Write and sync zeros for the next appends, if there are few left.

        When there is no room for them the appends go on without. OSError when the sync fails: the segment must be
        closed then, everything appended is durable all the same.
        """
        start = max(self.size, self._zeros_end)
        end = min(self.size + max(FIRST_STEP, min(self.size, LONGEST_STEP)), self._limit)
        if start - self.size >= LEAST_AHEAD or start >= end:
            return
        try:
            self._write_zeros(start, end)
        except OSError:
            self._limit = 0  # for this segment it is not tried again: it would cost every append
            os.ftruncate(self._descriptor, start)
            return
        self._disk.sync(self._descriptor)
        self._zeros_end = end

    def _write_zeros(self, start: int, end: int) -> None:
        while start < end:
            start += self._disk.write_zeros(self._descriptor, end - start, start)

    def cut_back_and_close(self) -> None:
        """After a failed append: remove what was not made durable, as far as the disk lets us, and close.

        Nothing is ever written to this segment again: a reader may already have seen what is cut off, and what a
        failed sync leaves in the kernel's memory says nothing about the disk.
        """
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
            os.fsync(self._descriptor)
        os.close(self._descriptor)

    def close(self) -> None:
        """Give back the zeros and let go of the file; everything in it is durable already.

        The new length need not be: readers take zeros that come back after a power loss for what they are.
        """
        with contextlib.suppress(OSError):
            if self._zeros_end > self.size:
                os.ftruncate(self._descriptor, self.size)
        os.close(self._descriptor)
