"""Files that nobody else may read, and what happens to those that are there already."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailwake.private_sqlite import open_private


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_file_and_its_log_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    before = os.umask(0)
    try:
        with closing(open_private(path, timeout=1)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE t (x)")
            found = {each.name: _mode(each) for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("a.sqlite3", "a.sqlite3-wal", "a.sqlite3-shm"), 0o600)


def test_a_file_of_an_earlier_release_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    path.touch(mode=0o644)
    open_private(path, timeout=1).close()
    assert _mode(path) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_whom_the_directory_belongs(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    open_private(tmp_path / "a.sqlite3", timeout=1).close()
    status = (tmp_path / "a.sqlite3").stat()
    assert (status.st_uid, status.st_gid) == (12345, 12346)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((OSError, sqlite3.Error)):
        open_private(tmp_path / "no" / "a.sqlite3", timeout=1)
