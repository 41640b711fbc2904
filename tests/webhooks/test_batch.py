"""Where batches begin and end: whatever the limits are, all of them together are the events, in order."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.feed.conftest import event

from mailwake.events.model import Event, EventType
from mailwake.feed.contract import BEGINNING, EventFeed, Position
from mailwake.feed.payload import encode_event
from mailwake.feed.reader import FeedReader
from mailwake.feed.writer import FeedWriter
from mailwake.webhooks import batch
from mailwake.webhooks.batch import ANY_SIZE, Limits, Waiting, count, gather
from mailwake.webhooks.delivery import time_left
from mailwake.webhooks.webhook import EventFilter

CLICKS = EventFilter(("click",))


def fill(directory: Path, events: list[Event], *, roll_every: int = 1000) -> EventFeed:
    writer = FeedWriter(directory)
    for start in range(0, len(events), roll_every):
        writer.append([encode_event(each) for each in events[start : start + roll_every]], {})
        writer.roll()
    return FeedReader(directory)


Found = tuple[Position, list[dict[str, Any]], Position]
"""A batch as its receiver reads it, with the positions before and behind it."""


def batches(feed: EventFeed, wanted: EventFilter, limits: Limits) -> list[Found]:
    found: list[Found] = []
    position = BEGINNING
    while True:
        content = gather(feed, position, wanted, limits)
        if not content.events:
            return found
        events = json.loads(content.body)
        assert len(events) == content.events
        retry = gather(feed, position, wanted, Limits(content.events, ANY_SIZE), content.end)
        assert (retry.body, retry.events) == (content.body, content.events)
        found.append((position, events, content.end))
        position = content.end


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    numbers = range(draw(st.integers(0, 25)))
    return [
        msgspec.structs.replace(
            event(number, kind=draw(st.sampled_from([EventType.CLICK, EventType.OPEN, EventType.BOUNCE]))),
            customer_id=draw(st.sampled_from(["", "1", "2"])),
            subject="é" * draw(st.integers(0, 200)),
        )
        for number in numbers
    ]


@given(
    given_events=events(),
    roll_every=st.integers(6, 30),
    most=st.integers(1, 12),
    octets=st.integers(1, 3000),
    page=st.integers(1, 20),
    types=st.sets(st.sampled_from(["click", "open"]), min_size=1),
    customer=st.sampled_from(["", "1"]),
    exceptions=st.sampled_from([(), ("2",), ("1", "2")]),
)
@settings(max_examples=25, deadline=None)
def test_the_batches_together_are_the_events_in_order(
    given_events: list[Event],
    roll_every: int,
    most: int,
    octets: int,
    page: int,
    types: set[str],
    customer: str,
    exceptions: tuple[str, ...],
) -> None:
    wanted = EventFilter(tuple(types), customer, exceptions)
    expected = [
        str(each.event_id)
        for each in given_events
        if each.type.wire_name in types and customer in ("", each.customer_id) and each.customer_id not in exceptions
    ]
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "PAGE_EVENTS", page)
        feed = fill(Path(directory), given_events, roll_every=roll_every)
        found = batches(feed, wanted, Limits(most, octets))
        ids = [next(iter(each["msys"].values()))["event_id"] for _, content, _ in found for each in content]
        assert ids == expected
        for _, content, _ in found:
            assert len(content) <= most
            size = len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
            assert size <= octets or len(content) == 1
        for (_, _, end), (start, _, _) in pairwise(found):
            assert end == start
        waiting = Waiting(0, 0, BEGINNING, more=True)
        while waiting.more and waiting.events < most:
            waiting = count(feed, waiting, wanted, most)
        assert waiting.events == min(most, len(expected))
        if found:
            assert waiting.first_ms == next(
                each.timestamp for each in given_events if str(each.event_id) == expected[0]
            )


def test_a_full_batch_ends_with_its_last_event_and_one_that_is_not_full_behind_all_that_was_looked_at(
    tmp_path: Path,
) -> None:
    kinds = [EventType.CLICK, EventType.OPEN, EventType.CLICK, EventType.OPEN]
    feed = fill(tmp_path, [event(number, kind=kind) for number, kind in enumerate(kinds)])
    positions = [each.position for each in feed.read(BEGINNING).events]
    assert gather(feed, BEGINNING, CLICKS, Limits(2, ANY_SIZE)).end == positions[2]
    assert gather(feed, BEGINNING, CLICKS, Limits(3, ANY_SIZE)).end == feed.end()
    assert gather(feed, positions[2], CLICKS, Limits(3, ANY_SIZE)) == (b"[]", 0, feed.end())


def test_an_event_that_is_larger_than_a_batch_may_be_goes_alone(tmp_path: Path) -> None:
    large = msgspec.structs.replace(event(1), subject="x" * 5000)
    feed = fill(tmp_path, [event(0), large, event(2)])
    found = batches(feed, CLICKS, Limits(10, 1000))
    assert [[each["msys"]["track_event"]["event_id"] for each in content] for _, content, _ in found] == [
        ["0"],
        ["1"],
        ["2"],
    ]


@pytest.mark.parametrize(
    ("patience", "first", "now", "left"),
    [
        (30, 100, 100, 30),
        (30, 100, 110, 20),
        (30, 100, 130, 0),
        (30, 100, 99999, 0),
        (30, 100, 50, 30),  # the clock was set back, or the event comes from a machine that is ahead
        (0, 100, 100, 0),
    ],
)
def test_how_long_a_batch_still_waits(patience: float, first: float, now: float, left: float) -> None:
    assert time_left(patience, first, now) == left
