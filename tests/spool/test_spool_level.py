from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mailwake.spool.contract import NewEntry, Settlement
from mailwake.spool.spool_level import SpoolLevel, read_spool_level
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry("s@a.example", "r@b.example", b"S: x\r\n\r\n", False, "7BIT", 1, "m1", "451 x", 100.0, 200.0)


def test_a_spool_that_was_never_used_is_empty_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    assert read_spool_level(path) == SpoolLevel(0, None)
    assert not path.exists()


def test_the_level_is_what_is_there_beside_a_spool_in_use(tmp_path: Path) -> None:
    path = tmp_path / "spool?.sqlite3"  # a character that means something in a URI
    spool = SqliteSpool(path)
    assert read_spool_level(path) == SpoolLevel(0, None)
    ids = spool.put([replace(ENTRY, queued_at=queued) for queued in (100.0, 150.0)])
    assert read_spool_level(path) == SpoolLevel(2, 100.0)
    spool.settle(Settlement(entry_id=ids[0], fate="taken"))
    assert read_spool_level(path) == SpoolLevel(1, 150.0)
    spool.close()
    assert read_spool_level(path) == SpoolLevel(1, 150.0)


def test_what_cannot_be_read_is_no_level(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"not a database" * 100)
    assert read_spool_level(path) is None
