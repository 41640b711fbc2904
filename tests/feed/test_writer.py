"""Appending to the feed and starting again: after a kill at any octet each event is known, and none is lost."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from tests.feed.conftest import payloads

from mailwake.feed.contract import BEGINNING, FeedError, Position
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.reader import FeedReader
from mailwake.feed.segments import segments_in
from mailwake.feed.writer import FeedWriter
from mailwake.journal.segment_file import Disk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_writer_goes_on_where_the_last_checkpoint_stands(directory: Path, writer: FeedWriter) -> None:
    assert writer.cursor == {}
    writer.append(payloads(range(3)), {"smtp-0": 17})
    writer.append(payloads(range(3, 4)), {"smtp-0": 30, "tracker-0": 12})
    writer.close()
    again = FeedWriter(directory)
    assert again.cursor == {"smtp-0": 30, "tracker-0": 12}
    assert again.unclaimed == set()
    assert again.end >= writer.end


def test_a_kill_at_any_octet_leaves_each_event_known_or_to_be_merged_again(directory: Path, writer: FeedWriter) -> None:
    first_end = writer.append(payloads(range(2)), {"a": 1})
    writer.append(payloads(range(2, 5)), {"a": 2})
    writer.close()
    path = segments_in(directory)[0].path
    whole = path.read_bytes()
    for cut in range(first_end.offset, len(whole)):
        path.write_bytes(whole[:cut])
        again = FeedWriter(directory)
        assert again.cursor == {"a": 1}
        readable = {each.event.event_id for each in FeedReader(directory).read(BEGINNING).events}
        assert again.unclaimed == readable - {0, 1}


def test_the_checkpoint_is_found_in_an_older_segment(directory: Path, writer: FeedWriter) -> None:
    writer.append(payloads(range(2)), {"a": 1})
    writer.roll()
    writer.append(payloads(range(2, 4)), {"a": 2})
    writer.close()
    last = segments_in(directory)[-1].path
    first_of_last = FeedReader(directory).read(BEGINNING).events[2].position
    last.write_bytes(last.read_bytes()[: first_of_last.offset])
    again = FeedWriter(directory)
    assert (again.cursor, again.unclaimed) == ({"a": 1}, {2})


@pytest.mark.parametrize("kept", [0, 1])
def test_a_feed_that_was_lost_goes_on_behind_every_position(directory: Path, writer: FeedWriter, kept: int) -> None:
    ends = []
    for number in range(3):
        ends.append(writer.append(payloads([number]), {}))
        writer.roll()
    for segment in segments_in(directory)[kept:]:
        segment.path.unlink()
    again = FeedWriter(directory, above=ends[-1].segment)
    feed = FeedReader(directory, lambda: again.end)
    assert feed.end() < ends[-1]
    end = again.append(payloads([7]), {})
    assert end > ends[-1]
    for before in ends:
        assert [each.event.event_id for each in feed.read(before).events] == [7]


class FullDisk(Disk):
    full = False

    def write(self, descriptor: int, data: bytes) -> int:
        if self.full:
            super().write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)


def test_a_full_disk_promises_nothing_and_leaves_nothing_twice(directory: Path) -> None:
    disk = FullDisk()
    writer = FeedWriter(directory, disk=disk)
    writer.append(payloads(range(2)), {"a": 1})
    disk.full = True
    with pytest.raises(FeedError, match="No space left"):
        writer.append(payloads(range(2, 4)), {"a": 2})
    assert writer.cursor == {"a": 1}
    disk.full = False
    writer.append(payloads(range(2, 4)), {"a": 2})
    page = FeedReader(directory).read(BEGINNING)
    assert [each.event.event_id for each in page.events] == [0, 1, 2, 3]
    assert not page.damages


def test_a_segment_is_closed_when_it_is_full(directory: Path) -> None:
    writer = FeedWriter(directory, segment_bytes=1000)
    for number in range(40):
        writer.append(payloads([number]), {})
    segments = segments_in(directory)
    assert len(segments) > 3
    assert all(segment.path.stat().st_size <= 1000 for segment in segments)


def test_positions_are_kept_and_forgotten(tmp_path: Path) -> None:
    positions = PositionsFile(tmp_path / "positions.sqlite3")
    assert positions.get("store") is None
    positions.keep("store", Position(3, 17))
    positions.keep("webhook:1", Position(1, 2))
    positions.keep("store", Position(4, 1))
    assert positions.get("store") == Position(4, 1)
    positions.forget("webhook:1")
    positions.close()
    assert PositionsFile(tmp_path / "positions.sqlite3").all() == {"store": Position(4, 1)}


def test_a_file_that_is_no_database_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "positions.sqlite3"
    path.write_bytes(b"nonsense" * 200)
    with pytest.raises(FeedError, match="move the file away"):
        PositionsFile(path)


@pytest.mark.parametrize("text", ["3:17", "0:0"])
def test_a_position_is_its_text(text: str) -> None:
    assert str(Position.parse(text)) == text


def test_checkpoints_name_what_stands_beyond_them(directory: Path, writer: FeedWriter) -> None:
    many = set(range(1 << 62, (1 << 62) + 50_000))
    writer.append(payloads([1]), {"a": 1}, many)
    writer.roll()
    again = FeedWriter(directory)
    assert (again.cursor, again.unclaimed) == ({"a": 1}, many)
    again.append([], {"a": 2})
    assert FeedWriter(directory).unclaimed == set()
    assert [each.event.event_id for each in FeedReader(directory).read(BEGINNING).events] == [1]
