"""Who has entries in hand: a file for each open spool, locked as long as its process lives.

The kernel lets go of the lock when the process ends, however it ends, so that nobody has to guess from times or process
ids whether an owner is still there. An owner that is alive is never taken for dead, one that is dead never for alive.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from mailwake.file_lock import is_held

if TYPE_CHECKING:
    from pathlib import Path


class Owner:
    """One owner, alive until `close` or the end of the process; OSError when its file cannot be made."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True, mode=0o700)
        self.name = os.urandom(12).hex()
        self._path = directory / self.name
        fresh = directory / f".{self.name}"
        self._descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            fresh.rename(self._path)  # only now: a file that anybody finds under an owner's name is locked, or left
        except BaseException:
            os.close(self._descriptor)
            fresh.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Be gone."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def is_alive(directory: Path, name: str) -> bool:
    """Whether the owner of this name is still there."""
    return is_held(directory / name)


def forget_dead(directory: Path) -> None:
    """Remove the files that dead owners have left."""
    for path in directory.iterdir():
        # Those that begin with a dot are about to be locked: without its file their owner could not come to life.
        if not (path.name.startswith(".") or is_alive(directory, path.name)):
            path.unlink(missing_ok=True)
