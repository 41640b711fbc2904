"""What a killed process had in hand is free at once; what a living one has is not, whatever the clock says."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from mailwake.spool.contract import KeptEvents, NewEntry
from mailwake.spool.owners import Owner, forget_dead, is_alive
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry("s@a.example", "r@b.example", b"x\r\n", False, "7BIT", 1, "m", "451", 1.0, 1.0)

_HOLD = """
import sys
from pathlib import Path
from mailwake.spool.contract import KeptEvents, NewEntry
from mailwake.spool.sqlite_spool import SqliteSpool
spool = SqliteSpool(Path(sys.argv[1]))
spool.stage([NewEntry("s@a.example", "staged@b.example", b"x", False, "7BIT", 1, "m", "451", 1.0, 1.0)])
spool.put([], events=KeptEvents("1", [b"event"]))
print(len(spool.claim_due(2.0, 10)), flush=True)
sys.stdin.readline()
"""


def test_a_killed_process_holds_nothing_a_moment_later(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    with contextlib.closing(SqliteSpool(path)) as spool:
        spool.put([ENTRY, ENTRY])
        with subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "2\n"
            assert spool.recover() == 0
            assert spool.claim_due(9e9, 10) == []
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
        assert spool.recover() == 2
        assert len(spool.claim_due(2.0, 10)) == 2
        assert spool.left_events(10) == [KeptEvents("1", [b"event"])]
        assert spool.count() == 2  # what was only staged is gone
        assert len(list((tmp_path / "spool.sqlite3.owners").iterdir())) == 1  # the file of this one


def test_an_owner_is_alive_until_it_is_closed(tmp_path: Path) -> None:
    owner, other = Owner(tmp_path), Owner(tmp_path)
    assert is_alive(tmp_path, owner.name)
    owner.close()
    assert not is_alive(tmp_path, owner.name)
    assert is_alive(tmp_path, other.name)
    assert not is_alive(tmp_path, "0" * 24)
    (tmp_path / ("f" * 24)).touch()  # of one that was killed
    forget_dead(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [other.name]
    other.close()


def test_who_only_looks_leaves_nothing(tmp_path: Path) -> None:
    with contextlib.closing(SqliteSpool(tmp_path / "spool.sqlite3")) as spool:
        spool.count()
        spool.list()
        spool.claim_due(2.0, 10)
    assert not (tmp_path / "spool.sqlite3.owners").exists()


def test_the_file_of_an_owner_that_is_just_coming_to_life_is_left(tmp_path: Path) -> None:
    fresh = tmp_path / ("." + "a" * 24)  # opened, and not locked yet
    fresh.touch()
    forget_dead(tmp_path)
    assert fresh.exists()
