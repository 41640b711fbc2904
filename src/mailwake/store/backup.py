"""A backup of the store: its file copied as it is, and then made one that opens by itself.

Copying the octets takes a second or two for each gigabyte, in which nothing may write to the file; having the engine
copy the rows would take a hundred times as long. Searches write nothing, and the engine alters what the last checkpoint
left in the file at the next one only, which is part of a write. So file and log, copied between two writes, are the
store as a kill at that moment would have left it; opening the copy brings the log into its file.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from mailwake.store.contract import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAL = ".wal"
SPILL = ".tmp"
_PIECE = 8 << 20
_MEMORY = 128 << 20
"""Octets that the engine may use for the copy, beside what the store may; what needs more goes to the disk."""


def copy_octets(source: Path, target: Path, copied: Callable[[int], None]) -> None:
    """Copy file and log, and tell how much each time; the copy is its owner's alone. Nobody may write to the source."""
    for suffix in ("", WAL):
        with suppress(FileNotFoundError):
            _copy(source.with_name(source.name + suffix), target.with_name(target.name + suffix), copied)


def _copy(source: Path, target: Path, copied: Callable[[int], None]) -> None:
    with suppress(FileNotFoundError):
        target.unlink()
    with (
        source.open("rb") as reading,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writing,
    ):
        while number := os.sendfile(writing.fileno(), reading.fileno(), None, _PIECE):
            copied(number)


def make_whole(path: Path) -> int:
    """Bring the log into the file, and give it a number of its own; how many events it holds.

    With the same number, cursors of searches in the store would mean other events in a restored one.
    """
    try:
        database = duckdb.connect(path, config={"memory_limit": f"{_MEMORY}B", "threads": 1})
        try:
            spill = str(path.with_name(path.name + SPILL)).replace("'", "''")
            for setting in (
                f"temp_directory = '{spill}'",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                database.execute(f"SET {setting}")
            database.execute("UPDATE state SET store = ?", [secrets.randbits(63)])
            ((events,),) = database.execute("SELECT count(*) FROM events").fetchall()
            database.execute("CHECKPOINT")
        finally:
            database.close()
    except duckdb.Error as error:
        said = str(error).strip().partition("\n")[0]
        raise StoreError(f"the copy of the store cannot be made whole: {said}; see `mailwake store verify`") from None
    if path.with_name(path.name + WAL).exists():
        raise StoreError("the copy of the store could not be made one file; try again")
    return int(events)
