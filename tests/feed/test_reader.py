"""Reading by position: order, limits, several segments, ends and times."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.feed.conftest import START, payloads

from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.reader import FeedReader
from mailwake.feed.segments import segments_in
from mailwake.feed.writer import FeedWriter

if TYPE_CHECKING:
    from pathlib import Path


def ids(reader: FeedReader, after: Position = BEGINNING, *, step: int = 10_000) -> list[int]:
    found: list[int] = []
    while True:
        page = reader.read(after, max_events=step)
        assert len(page.events) <= step
        assert not page.damages
        found += [each.event.event_id for each in page.events]
        assert page.position >= after
        after = page.position
        if not page.more:
            return found


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_events_come_back_in_order_over_all_segments(directory: Path, writer: FeedWriter, step: int) -> None:
    for start in range(0, 60, 10):
        writer.append(payloads(range(start, start + 10)), {"a": start})
        if start % 20:
            writer.roll()
    assert len(segments_in(directory)) == 3
    assert ids(FeedReader(directory), step=step) == list(range(60))


def test_every_events_position_is_where_the_next_one_is_read_from(directory: Path, writer: FeedWriter) -> None:
    writer.append(payloads(range(5)), {})
    writer.roll()
    writer.append(payloads(range(5, 9)), {})
    reader = FeedReader(directory)
    for each in reader.read(BEGINNING).events:
        assert ids(reader, each.position) == list(range(each.event.event_id + 1, 9))


def test_nothing_behind_until_is_read(directory: Path, writer: FeedWriter) -> None:
    first = writer.append(payloads(range(5)), {})
    writer.append(payloads(range(5, 9)), {})
    reader = FeedReader(directory)
    assert [each.event.event_id for each in reader.read(BEGINNING, until=first).events] == list(range(5))
    third = reader.read(BEGINNING).events[2].position
    assert [each.event.event_id for each in reader.read(BEGINNING, until=third).events] == [0, 1, 2]
    assert reader.read(third, until=third).events == []


def test_a_feed_that_is_not_there_yet_is_empty(directory: Path) -> None:
    reader = FeedReader(directory)
    assert reader.read(BEGINNING).events == []
    assert reader.end() == reader.seek(START) == BEGINNING


def test_positions_survive_segments_that_retention_took(directory: Path, writer: FeedWriter) -> None:
    middle = writer.append(payloads(range(5)), {})
    writer.roll()
    writer.append(payloads(range(5, 9)), {})
    segments_in(directory)[0].path.unlink()
    assert ids(FeedReader(directory), middle) == ids(FeedReader(directory)) == list(range(5, 9))


def test_seek_finds_the_first_event_of_a_time(directory: Path, writer: FeedWriter) -> None:
    writer.append(payloads(range(10)), {})
    reader = FeedReader(directory)
    assert ids(reader, reader.seek(START + 4)) == list(range(4, 10))
    assert ids(reader, reader.seek(0)) == list(range(10))
    assert reader.seek(START + 100) == reader.end()


def test_the_end_is_behind_the_last_event(directory: Path, writer: FeedWriter) -> None:
    end = writer.append(payloads(range(3)), {})
    assert FeedReader(directory).end() == end == writer.end
    assert ids(FeedReader(directory), end) == []


def test_a_segment_that_was_cut_off_is_read_up_to_the_cut_and_reported_once(
    directory: Path, writer: FeedWriter
) -> None:
    writer.append(payloads(range(3)), {})
    writer.close()
    path = segments_in(directory)[0].path
    second = FeedReader(directory).read(BEGINNING).events[1].position
    path.write_bytes(path.read_bytes()[: second.offset + 5])
    reader = FeedReader(directory)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert reader.read(BEGINNING).damages == []  # its writer may be in the middle of it
    assert [damage.offset for damage in reader.read(BEGINNING).damages] == [second.offset]
    again = FeedWriter(directory)
    again.append(payloads([3]), {})
    page = reader.read(BEGINNING)
    assert [each.event.event_id for each in page.events] == [0, 1, 3]
    assert [damage.offset for damage in page.damages] == [second.offset]
    assert reader.read(page.position).damages == []


async def test_a_consumer_in_the_writers_process_is_woken(directory: Path, writer: FeedWriter) -> None:
    feed = LiveFeed(directory, writer)
    assert not await feed.grown(BEGINNING, 0.001)
    waiting = asyncio.create_task(feed.grown(BEGINNING, 60))
    await asyncio.sleep(0)
    end = writer.append(payloads([1]), {})
    feed.announce()
    assert await waiting
    assert not await feed.grown(end, 0.001)
    assert await FeedReader(directory).grown(BEGINNING, 60)
    assert not await FeedReader(directory).grown(end, 0.001)


async def test_nobody_is_woken_by_zeros_that_a_killed_writer_has_left(directory: Path, writer: FeedWriter) -> None:
    writer.append(payloads(range(3)), {})
    writer.write_ahead()
    left = directory.with_name("left")
    shutil.copytree(directory, left)  # as a kill leaves it: with zeros, and no lock
    feed = LiveFeed(left, FeedWriter(left))
    page = feed.read(BEGINNING)
    assert len(page.events) == 3
    assert not page.damages
    assert page.position == feed.end()
    assert not await feed.grown(page.position, 0.01)
