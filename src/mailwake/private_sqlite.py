"""SQLite files of the data directory: read by nobody but its owner, and durable with each commit."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_private(path: Path, *, timeout: float) -> sqlite3.Connection:
    """A connection without implicit transactions, for any thread, to the file, which is made where there is none.

    It belongs to whom the directory belongs, also when root makes it at the command line. `timeout` is for how many
    seconds another process that writes is waited for. OSError or sqlite3.Error when it cannot be had.
    """
    _make_private(path)
    database = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous=FULL")
    except BaseException:
        database.close()
        raise
    return database


def _make_private(path: Path) -> None:
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # -wal and -shm get the same mode
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
    elif path.stat().st_uid == os.geteuid():
        path.chmod(0o600)
