"""Made-up events as records of the journal: the collector makes the same events of them again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.demo.test_generator import END, ENGAGEMENT, unjudged

from mailwake.clock import ManualClock
from mailwake.demo.generator import generate
from mailwake.demo.living import live_on
from mailwake.demo.records import facts_of, record_of
from mailwake.events.from_record import EventReader, completed
from mailwake.events.model import EventType
from mailwake.journal.reader import JournalReader
from mailwake.journal.writer import JournalWriter
from mailwake.links.body import decode_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailwake.events.model import Event


def test_an_event_is_the_same_after_the_journal() -> None:
    read = EventReader(decode_body).read
    seen = set()
    for event in generate(15_000, end_ms=END, days=10):
        again = read(record_of(event))
        assert again is not None
        if event.type in ENGAGEMENT:
            again = completed(again, facts_of(event))
        assert again == unjudged(event)
        seen.add(event.type)
    assert seen >= set(EventType) - {EventType.AMP_CLICK, EventType.LIST_UNSUBSCRIBE, EventType.POLICY_REJECTION}


async def test_each_is_recorded_at_its_time_and_none_after_the_end(tmp_path: Path) -> None:
    past, present, future = list(generate(1_000, end_ms=END, days=2))[:3]
    clock, stop, asked = ManualClock(present.timestamp / 1000), asyncio.Event(), asyncio.Event()

    def events() -> Iterator[Event]:
        yield past
        yield present
        yield future
        asked.set()  # nobody asks for more before the last one's time has come
        raise AssertionError("it was recorded before its time")

    writer = JournalWriter(tmp_path, "demo-0")
    living = asyncio.create_task(live_on(events(), writer, clock, stop))
    reader = JournalReader(tmp_path)
    while len(reader.read().records) < 2:
        assert not living.done()
        await asyncio.sleep(0)
    stop.set()
    await living
    await writer.close()
    assert [record.payload for record in reader.read().records] == [record_of(past), record_of(present)]
    assert not asked.is_set()


async def test_what_is_over_is_recorded_to_its_end(tmp_path: Path) -> None:
    events = list(generate(1_000, end_ms=END, days=2))
    writer = JournalWriter(tmp_path, "demo-0")
    await live_on(events, writer, ManualClock(END / 1000), asyncio.Event())
    await writer.close()
    assert [record.payload for record in JournalReader(tmp_path).read().records] == [record_of(each) for each in events]
