"""A file system that is really full: nothing half-kept, and all is well when there is room again."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from tests.small_disk import fill, mounted

from mailwake.clock import ManualClock
from mailwake.listener.free_space import LOOK_SECONDS, FreeSpace
from mailwake.spool.contract import KeptEvents, NewEntry, Settlement, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool

from .calling_together import together

MEGABYTE = 1 << 20
ENTRY = NewEntry("s@a.example", "r@b.example", b"x" * 100_000, False, "7BIT", 1, "m", "451", 1.0, 1.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    with mounted(tmp_path / "disk", 4) as disk:
        yield disk


def test_what_does_not_fit_is_refused_whole_and_fits_later(small_disk: Path) -> None:
    spool = SqliteSpool(small_disk / "spool.sqlite3")
    kept = [spool.put([ENTRY], events=KeptEvents(str(n), [b"e"]))[0] for n in range(3)]
    filler = fill(small_disk)
    for _ in range(3):
        with pytest.raises(SpoolError, match=r"full|disk I/O"):
            spool.put([ENTRY, ENTRY], events=KeptEvents("new", [b"e"]))
        with pytest.raises(SpoolError):
            spool.stage([ENTRY])
    assert [listed.id for listed in spool.list()] == kept
    filler.unlink()
    assert len(spool.put([ENTRY], events=KeptEvents("new", [b"e"]))) == 1
    assert spool.settle(Settlement(entry_id=kept[0], fate="taken"))
    assert spool.count() == 3
    spool.close()


def test_calls_that_need_no_room_succeed_beside_those_that_do(small_disk: Path) -> None:
    spool = SqliteSpool(small_disk / "spool.sqlite3")
    spool.put([ENTRY])
    (copy,) = spool.claim_due(2.0, 1)
    room = small_disk / "room"
    room.write_bytes(b"x" * 200_000)  # for the few pages of a deletion
    fill(small_disk)
    room.unlink()
    results = together(
        spool,
        [
            lambda: spool.put([replace(ENTRY, content=b"x" * 3 * MEGABYTE)]),
            lambda: [spool.settle(Settlement(entry_id=copy.id, fate="taken"))],
        ],
    )
    assert isinstance(results[0], SpoolError)
    assert results[1] == [True]
    spool.close()


def test_free_space_is_what_the_disk_says(small_disk: Path) -> None:
    clock = ManualClock()
    said = structlog.testing.CapturingLogger()
    space = FreeSpace(small_disk, MEGABYTE, clock, said)
    assert not space.lacks(0)
    assert space.lacks(4 * MEGABYTE)
    filler = fill(small_disk)
    assert not space.lacks(0)  # asked once a second at most
    clock.advance(LOOK_SECONDS)
    assert space.lacks(0)
    assert space.lacks(1)  # said once
    assert not FreeSpace(small_disk, 0, clock, said).lacks(1 << 40)
    filler.unlink()
    clock.advance(LOOK_SECONDS)
    assert not space.lacks(0)
    assert [(call.method_name, call.args[0]) for call in said.calls] == [
        ("error", "the disk is nearly full, no mail is taken"),
        ("info", "the disk has room again, mail is taken"),
    ]


_PUT_UNTIL_REFUSED = """
import sys
from pathlib import Path
from mailwake.spool.contract import NewEntry, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool
spool = SqliteSpool(Path(sys.argv[1]))
entry = NewEntry("s@a", "r@b", b"x" * 100_000, False, "7BIT", 1, "m", "451", 1.0, 1.0)
kept = 0
try:
    while True:
        spool.put([entry, entry])
        kept += 2
except SpoolError as error:
    print(kept, spool.count(), error)
"""


def test_a_file_that_may_not_grow_is_refused_too(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for a quota; it needs no rights."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MEGABYTE, 3 * MEGABYTE))

    path = tmp_path / "spool.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", _PUT_UNTIL_REFUSED, str(path)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ},
        check=False,
    )
    kept, counted, *_ = done.stdout.split()
    assert int(kept) == int(counted) > 0, done.stderr
    with contextlib.closing(SqliteSpool(path)) as spool:
        assert spool.count() == int(kept)
        spool.put([ENTRY])
