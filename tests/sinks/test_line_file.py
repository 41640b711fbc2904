"""Whole lines only, whoever is killed or does what with the file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mailwake.sinks.contract import DestinationError
from mailwake.sinks.line_file import LineFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.mark.parametrize(
    ("left", "whole"),
    [
        (b"", b""),
        (b'{"a":1}\n', b'{"a":1}\n'),
        (b'{"a":1}\n{"a":2}\n{"a"', b'{"a":1}\n{"a":2}\n'),
        (b'{"a":1}\n{"a":2}', b'{"a":1}\n'),
        (b'{"a"', b""),
        (b'{"a":1}\n' + bytes(5000), b'{"a":1}\n'),
        (b'{"a":1}\n{"a"' + bytes(5000), b'{"a":1}\n'),
        (b'{"a":1}\n{"a":' + bytes(4096) + b'2}\n{"a":3}\n', b'{"a":1}\n'),
    ],
)
def test_what_a_kill_has_left_is_cut_off(path: Path, left: bytes, whole: bytes) -> None:
    path.write_bytes(left)
    cut: list[int] = []
    file = LineFile(path, 0o600, cut.append)
    file.append(b'{"a":4}\n')
    file.close()
    assert path.read_bytes() == whole + b'{"a":4}\n'
    assert cut == ([len(left) - len(whole)] if left != whole else [])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_new_file_has_the_mode_whatever_the_umask(path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        LineFile(path, mode).append(b"x\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_mode_of_a_file_that_is_there_stays(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o644)
    LineFile(path, 0o600).append(b"x\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_file_renamed_away_gets_a_successor(path: Path) -> None:
    file = LineFile(path, 0o600)
    file.append(b"1\n")
    path.rename(path.with_suffix(".1"))
    file.append(b"2\n")
    path.unlink()
    file.append(b"3\n")
    path.with_suffix(".new").write_bytes(b"0\n")
    path.with_suffix(".new").rename(path)
    file.append(b"4\n")
    assert path.with_suffix(".1").read_bytes() == b"1\n"
    assert path.read_bytes() == b"0\n4\n"


def test_a_file_truncated_under_us_goes_on_at_its_new_end(path: Path) -> None:
    file = LineFile(path, 0o600)
    file.append(b"1\n" * 1000)
    os.truncate(path, 0)  # logrotate's copytruncate
    file.append(b"2\n")
    assert path.read_bytes() == b"2\n"


def test_a_failed_append_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LineFile(path, 0o600)
    file.append(b"1\n")
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) == 4:
            return real(descriptor, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DestinationError, match=r"events.jsonl: No space left on device; free space"):
        file.append(b"2\n3\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"1\n"
    file.append(b"2\n3\n")
    assert path.read_bytes() == b"1\n2\n3\n"


def test_lines_whose_sync_failed_are_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LineFile(path, 0o600)
    file.append(b"1\n")

    def sync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(DestinationError, match="look at the disk"):
        file.append(b"2\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"1\n"


def test_two_do_not_write_to_one_file(path: Path) -> None:
    first, second = LineFile(path, 0o600), LineFile(path, 0o600)
    first.append(b"1\n")
    with pytest.raises(DestinationError, match="another process writes to it"):
        second.append(b"2\n")
    first.close()
    second.append(b"2\n")
    assert path.read_bytes() == b"1\n2\n"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (
        ("directory", "name a file, not a directory"),
        ("pipe", "is no regular file"),
        ("missing/events.jsonl", "make the directory, writable for mailwake"),
    ):
        with pytest.raises(DestinationError, match=problem):
            LineFile(tmp_path / name, 0o600).append(b"1\n")
