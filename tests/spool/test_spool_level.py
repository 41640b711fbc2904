from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mailwake.clock import ManualClock
from mailwake.spool.contract import NewEntry, Settlement
from mailwake.spool.spool_level import SpoolLevel, read_spool_level
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry("s@a.example", "r@b.example", b"S: x\r\n\r\n", False, "7BIT", 1, "m1", "451 x", 100.0, 200.0)


def test_a_spool_that_was_never_used_is_empty_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    assert read_spool_level(path, ManualClock()) == SpoolLevel(0, 0.0)
    assert not path.exists()


def test_the_level_is_what_is_there_beside_a_spool_in_use(tmp_path: Path) -> None:
    path = tmp_path / "spool?.sqlite3"  # a character that means something in a URI
    clock = ManualClock()
    spool = SqliteSpool(path, clock=clock)
    assert read_spool_level(path, clock) == SpoolLevel(0, 0.0)
    first, _ = spool.put([replace(ENTRY, queued_at=spool.now() - age) for age in (100.0, 50.0)])
    assert read_spool_level(path, clock) == SpoolLevel(2, 100.0)
    clock.advance(7.0)
    clock.jump(-86400.0)  # the spool's time is steady, and so is the age
    assert read_spool_level(path, clock) == SpoolLevel(2, 107.0)
    spool.settle(Settlement(entry_id=first, fate="taken"))
    assert read_spool_level(path, clock) == SpoolLevel(1, 57.0)
    spool.close()
    assert read_spool_level(path, clock) == SpoolLevel(1, 57.0)


def test_before_anybody_has_opened_it_after_a_reboot_the_wall_clock_tells_the_age(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    clock = ManualClock()
    spool = SqliteSpool(path, clock=clock)
    spool.put([replace(ENTRY, queued_at=spool.now())])
    spool.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE timeline SET boot = 'another', base = 0")
    assert read_spool_level(path, ManualClock(clock.now() + 60.0)) == SpoolLevel(1, 60.0)


def test_what_cannot_be_read_is_no_level(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"not a database" * 100)
    assert read_spool_level(path, ManualClock()) is None
