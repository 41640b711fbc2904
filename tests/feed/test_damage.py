"""Damage in the feed costs the events that it covers; what the journal still has of them comes again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.feed.conftest import event, payloads

from mailwake.feed.contract import BEGINNING
from mailwake.feed.last_state import last_state
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.payload import encode_event
from mailwake.feed.reader import FeedReader
from mailwake.feed.segments import segments_in
from mailwake.feed.writer import FeedWriter
from mailwake.journal.frame import FRAME_OVERHEAD, frame


def read_ids(reader: FeedReader, step: int = 10_000) -> tuple[list[int], list[int]]:
    """The events' ids, and the offsets where damage was found."""
    ids: list[int] = []
    offsets: list[int] = []
    position = BEGINNING
    while True:
        page = reader.read(position, max_events=step)
        ids += [each.event.event_id for each in page.events]
        offsets += [damage.offset for damage in page.damages]
        position = page.position
        if not page.more:
            return ids, offsets


@given(st.data())
def test_every_whole_event_is_read_whatever_became_of_the_others(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as base:
        directory = Path(base)
        writer = FeedWriter(directory)
        writer.append(payloads(range(4)), {"a": 1})
        writer.append(payloads(range(4, 9)), {"a": 2})
        writer.roll()
        writer.append(payloads([9]), {"a": 3})
        path = segments_in(directory)[0].path
        ends = {each.event.event_id: each.position.offset for each in FeedReader(directory).read(BEGINNING).events}
        whole = path.read_bytes()
        changed = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(whole) - 1))
            if data.draw(st.booleans()):
                changed[place] ^= 1 << data.draw(st.integers(0, 7))
            else:
                length = min(data.draw(st.sampled_from([8, 100, 512])), len(whole) - place)
                changed[place : place + length] = bytes(length)
        path.write_bytes(changed)
        expected, edges = [], set()
        for number in range(9):
            begin, end = ends[number] - len(payloads([number])[0]) - FRAME_OVERHEAD, ends[number]
            edges |= {begin, end}
            if changed[begin:end] == whole[begin:end]:
                expected.append(number)
        # Zeros from the edge of an event to that of the file are no damage: so looks the room that is written ahead.
        ends_early = any(changed[:end] == whole[:end] and not any(changed[end:]) for end in edges)
        for step in (1, 10_000):
            ids, offsets = read_ids(FeedReader(directory), step)
            assert ids == [*expected, 9]
            assert ends_early or bool(offsets) == (changed != whole)


def test_damage_before_the_durable_end_of_the_segment_in_use_is_not_waited_for(
    directory: Path, writer: FeedWriter
) -> None:
    writer.append(payloads(range(3)), {"a": 1})
    path = segments_in(directory)[0].path
    feed = LiveFeed(directory, writer)
    second = feed.read(BEGINNING).events[1].position
    with path.open("r+b") as file:
        file.seek(second.offset - 3)
        file.write(b"###")
    assert read_ids(FeedReader(directory)) == ([0], [])  # who does not know the end waits
    ids, offsets = read_ids(feed)
    assert (ids, len(offsets)) == ([0, 2], 1)
    writer.append(payloads([3]), {"a": 2})
    assert read_ids(feed) == ([0, 2, 3], offsets)


def test_an_event_that_cannot_be_read_stops_no_consumer(directory: Path, writer: FeedWriter) -> None:
    senseless = encode_event(event(1)).replace(b"event_id", b"event_ix")
    writer.append([*payloads([0]), senseless, *payloads([2])], {})
    page = FeedReader(directory).read(BEGINNING)
    assert [each.event.event_id for each in page.events] == [0, 2]
    assert [damage.octets for damage in page.damages] == [len(frame(senseless))]
    assert "cannot be read" in page.damages[0].reason


def test_a_checkpoint_behind_damage_does_not_count(directory: Path, writer: FeedWriter) -> None:
    writer.append(payloads(range(2)), {"a": 1})
    writer.append(payloads(range(2, 5)), {"a": 2})
    writer.append(payloads(range(5, 6)), {"a": 3})
    writer.close()
    path = segments_in(directory)[0].path
    third = FeedReader(directory).read(BEGINNING).events[2].position
    content = bytearray(path.read_bytes())
    content[third.offset - 1] ^= 1  # in event 2
    path.write_bytes(content)
    state = last_state(directory)
    assert (state.cursor, state.unclaimed, state.segment) == ({"a": 1}, {3, 4, 5}, 1)


def test_an_empty_file_is_a_segment_without_events(tmp_path: Path) -> None:
    (tmp_path / "feed-0000000001-1790689600000-00000000.segment").touch()
    assert read_ids(FeedReader(tmp_path)) == ([], [])
    writer = FeedWriter(tmp_path)
    writer.append(payloads(range(2)), {})
    assert read_ids(LiveFeed(tmp_path, writer)) == ([0, 1], [])
