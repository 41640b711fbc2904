"""The file of the spool holds other people's mail: whatever the umask, it is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.spool.test_full_disk import ENTRY

from mailwake.spool.sqlite_spool import SqliteSpool


@pytest.fixture
def open_handed() -> Iterator[None]:
    """A umask that lets everybody read what is made."""
    former = os.umask(0o022)
    yield
    os.umask(former)


@pytest.mark.usefixtures("open_handed")
@pytest.mark.parametrize("former", [None, 0o644])
def test_nobody_else_can_read_it_nor_what_sqlite_writes_beside_it(tmp_path: Path, former: int | None) -> None:
    path = tmp_path / "spool.sqlite3"
    if former is not None:
        path.touch(former)
    with closing(SqliteSpool(path)) as spool:
        spool.put([ENTRY])
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if each.is_file()}
    assert modes == {f"spool.sqlite3{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
