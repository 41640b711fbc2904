"""Records taken out of a closed segment: all others stay where they are, whatever happens meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailwake.journal.erasure import discard_unfinished, erase_in
from mailwake.journal.frame import SEGMENT_HEADER, JournalError, frame
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_file import Disk, SegmentFile

RECORDS = [b"keep 1", b"drop 22", b"keep 333", b"drop 4444"]


def without_drops(payload: bytes) -> bytes | None:
    return b"x" * len(payload) if payload.startswith(b"drop") else None


def write(directory: Path, *payloads: bytes, close: bool = True) -> SegmentFile:
    segment = SegmentFile(directory, "w-0", Disk(), 1 << 20)
    segment.append(b"".join(map(frame, payloads)))
    segment.write_ahead()
    if close:
        segment.close()
    return segment


def read(directory: Path) -> list[tuple[bytes, int]]:
    return [(record.payload, record.end) for record in JournalReader(directory).read().records]


def test_others_stay_where_they_are_and_a_second_time_finds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, *RECORDS).path
    before, facts = read(tmp_path), path.stat()
    assert erase_in(path, without_drops) == 2
    after = read(tmp_path)
    assert [end for _, end in after] == [end for _, end in before]
    assert [payload for payload, _ in after] == [b"keep 1", b"x" * 7, b"keep 333", b"x" * 9]
    assert b"drop" not in path.read_bytes()
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert path.stat().st_mode & 0o777 == 0o600
    assert erase_in(path, without_drops) == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_cursor_from_before_reads_on_after_it(tmp_path: Path) -> None:
    path = write(tmp_path, *RECORDS).path
    reader = JournalReader(tmp_path)
    cursor = {path.name: len(SEGMENT_HEADER) + len(frame(RECORDS[0])) + len(frame(RECORDS[1]))}
    erase_in(path, without_drops)
    assert [record.payload for record in reader.read(cursor).records] == [b"keep 333", b"x" * 9]


def test_what_still_grows_or_has_gone_is_left_alone(tmp_path: Path) -> None:
    segment = write(tmp_path, *RECORDS, close=False)
    assert erase_in(segment.path, without_drops) is None
    assert b"drop 22" in segment.path.read_bytes()
    segment.close()
    assert erase_in(segment.path, without_drops) == 2
    assert erase_in(tmp_path / "gone.segment", without_drops) is None


def test_what_stands_behind_damage_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, *RECORDS).path
    with path.open("r+b") as file:
        file.seek(len(SEGMENT_HEADER) + 10)
        file.write(b"\xff")
    assert erase_in(path, without_drops) == 2
    assert [payload for payload, _ in read(tmp_path)] == [b"x" * 7, b"keep 333", b"x" * 9]


@pytest.mark.parametrize("content", [b"", SEGMENT_HEADER, SEGMENT_HEADER + bytes(1000), b"something else altogether"])
def test_segments_without_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w-0-0000000000001-00000000.segment"
    path.write_bytes(content)
    assert erase_in(path, without_drops) == 0
    assert path.read_bytes() == content


def test_a_kill_in_the_middle_leaves_the_old_file_and_the_next_time_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, *RECORDS).path

    def killed(source: object, target: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        patched.setattr(Path, "unlink", lambda self, **options: None)
        with pytest.raises(KeyboardInterrupt):
            erase_in(path, without_drops)
    assert len(list(tmp_path.iterdir())) == 2, "a kill leaves the copy, which no reader takes for a segment"
    assert [payload for payload, _ in read(tmp_path)] == RECORDS
    discard_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert erase_in(path, without_drops) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, *RECORDS).path

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="No space left"):
            erase_in(path, without_drops)
    assert [payload for payload, _ in read(tmp_path)] == RECORDS
    assert list(tmp_path.iterdir()) == [path]


def test_what_has_to_come_before_comes_before(tmp_path: Path) -> None:
    path = write(tmp_path, *RECORDS).path
    seen: list[bytes] = []
    erase_in(path, without_drops, before=lambda: seen.append(path.read_bytes()))
    assert b"drop 22" in seen[0]
    erase_in(path, without_drops, before=lambda: seen.append(b""))
    assert len(seen) == 1
