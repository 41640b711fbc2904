"""The list of those whose events are to be erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.control.erasures import Erasure, Erasures, ErasuresError


def test_a_request_is_kept_until_it_is_finished_and_then_its_name_is_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "erasures.sqlite3"
    erasures = Erasures(path)
    assert erasures.pending() == []
    first = erasures.request("Ann@Example.org", 1000)
    second = erasures.request("bob@example.org", 2000)
    assert erasures.request("ANN@example.org", 3000) == first, "it waits already"
    assert Erasures(path).pending() == [Erasure(1, 1000, "ann@example.org", 0, None), second]
    erasures.count(1, 3)
    erasures.count(1, 4)
    erasures.finish(1, 5000)
    assert erasures.all() == [Erasure(1, 1000, "", 7, 5000), second]
    assert erasures.pending() == [second]
    assert erasures.request("ann@example.org", 6000).number == 3, "once it is finished, it can be asked for again"
    erasures.finish(3, 7000)
    assert b"ann@" not in b"".join(each.read_bytes().lower() for each in tmp_path.iterdir())
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_none_of_ours_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "erasures.sqlite3"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ErasuresError, match=r"erasures\.sqlite3: file is not a database; "):
        Erasures(path).request("a@b.example", 1)
