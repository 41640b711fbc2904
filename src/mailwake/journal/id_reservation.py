"""The durable mark below which a worker's ids count as used: two records in turn, so that one is always whole."""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

_RECORD = struct.Struct("<QI")
_RECORD_SPACING = 512
# each record in a disk sector of its own: writing one never endangers the other


class IdReservation:
    """The file of one worker slot, held by one process at a time.

    `used_up_to` is the mark found at the start; `reserve(ms)` returns when the new mark survives a power loss.
    """

    def __init__(self, directory: Path, slot: int) -> None:
        self._path = directory / str(slot)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            sync_directory(directory)
        except OSError as error:
            raise StartupError(
                f"{self._path}: cannot write the mark of used ids: {error.strerror}; free space or mend the rights"
            ) from None
        try:
            self._lock()
            self.used_up_to, self._turn = self._read()
            if self.used_up_to < 0:
                self._begin()
        except BaseException:
            self.close()
            raise

    def reserve(self, ms: int) -> None:
        """Note durably that ids up to `ms` may be used; OSError when the disk refuses."""
        record = _RECORD.pack(ms, zlib.crc32(ms.to_bytes(8, "little")))
        written = os.pwrite(self._descriptor, record, self._turn * _RECORD_SPACING)
        if written != len(record):
            raise OSError(f"{self._path}: only {written} octets were written")
        os.fdatasync(self._descriptor)
        self._turn ^= 1  # only now: a record that may be torn is written again, the good one is left alone

    def close(self) -> None:
        """Let another process have the slot."""
        os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartupError(
                f"{self._path}: another process makes ids with this slot; give every worker a slot of its own"
            ) from None

    def _begin(self) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            self.reserve(0)
        except OSError as error:
            raise StartupError(
                f"{self._path}: cannot write the mark of used ids: {error.strerror}; free space"
            ) from None

    def _read(self) -> tuple[int, int]:
        # The highest mark, and the turn of the other record, which the next mark may overwrite.
        content = os.pread(self._descriptor, 2 * _RECORD_SPACING, 0)
        best, turn = -1, 0
        for index in (0, 1):
            record = content[index * _RECORD_SPACING :][: _RECORD.size]
            if len(record) == _RECORD.size:
                ms, checksum = _RECORD.unpack(record)
                if zlib.crc32(record[:8]) == checksum and ms > best:
                    best, turn = ms, 1 - index
        # Ids are only given out after the second record was written, so a torn first one alone hides none.
        if best < 0 and len(content) > _RECORD_SPACING:
            raise StartupError(
                f"{self._path}: the mark of used ids is damaged; see that the clock is right, then delete the file"
            )
        return best, turn
