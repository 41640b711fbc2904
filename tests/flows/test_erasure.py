"""Erasing one person's events, from the request to the last file; on real segments, a real feed, real SQLite files."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.control.erasures import Erasures
from mailwake.enrichment.message_facts import MessageFactsFile
from mailwake.errors import MailwakeError
from mailwake.events.model import Event, EventType
from mailwake.events.privacy import RecipientHash
from mailwake.events.record import (
    EngagementRecord,
    ErasedRecord,
    MessageFacts,
    decode_record,
    encode_engagement,
    encode_head,
    encode_message,
    pack_facts,
    record_time,
)
from mailwake.feed.contract import Position
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.people import People
from mailwake.feed.writer import FeedWriter
from mailwake.flows.erasure import ErasureFlow
from mailwake.flows.event_flow import EventFlow
from mailwake.flows.leftover_rows import FactsRows, SpoolRows
from mailwake.journal.frame import frame
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_file import Disk, SegmentFile
from mailwake.links.token import LinkContext, LinkKind, decode_body, link_array, message_id, pack_context
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.spool.sqlite_spool import SqliteSpool

NOW_MS = 1_790_689_600_000
ANN, BOB = "Ann.Somebody@example.org", "bob@example.org"
HASHING = RecipientHash(bytes(32))


class Bystander:
    def observe(self, event: Event) -> None:
        pass

    def observe_head(self, message_id: str, target: str, address: str, time_ms: int) -> None:
        pass

    def reload_if_changed(self) -> None:
        pass

    def complete(self, event: Event) -> Event:
        return event


class Store:
    """What matters of a store here: how far it has read, and that it forgets."""

    def __init__(self) -> None:
        self.at = Position()
        self.erased: list[list[str]] = []

    async def position(self) -> Position:
        return self.at

    async def erase(self, recipients: Collection[str]) -> int:
        self.erased.append(list(recipients))
        return 5


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock(NOW_MS / 1000)
        self.metrics = Metrics()
        self.erasures = Erasures(directory / "erasures.sqlite3")
        self.store = Store()
        self.worker = SegmentFile(_made(directory / "journal"), "smtp-0", Disk(), 1 << 20)
        self.number = 0
        SqliteSpool(directory / "spool.sqlite3").close()
        self.start()

    def start(self) -> None:
        """A collector of the same data directory."""
        log = make_logger("json", "error")
        self.writer = FeedWriter(self.directory / "feed")
        self.feed = LiveFeed(self.directory / "feed", self.writer)
        self.facts = MessageFactsFile(self.directory / "facts.sqlite3")
        journal = self.directory / "journal"
        self.moving = EventFlow(
            JournalReader(journal, time_of=record_time),
            self.writer,
            self.feed,
            self.facts,
            Bystander(),
            decode_body,
            hold_ms=0,
            clock=self.clock,
            metrics=self.metrics,
            log=log,
        )
        self.closed_segments = asyncio.Lock()
        self.flow = ErasureFlow(
            self.erasures,
            journal,
            self.directory / "feed",
            self.moving,
            end=self.feed.end,
            store=self.store,
            leftovers=[SpoolRows(self.directory / "spool.sqlite3"), FactsRows(self.directory / "facts.sqlite3")],
            hashing=HASHING,
            clock=self.clock,
            metrics=self.metrics,
            log=log,
            closed_segments=self.closed_segments,
        )

    def stop(self) -> None:
        self.writer.close()
        self.facts.close()

    def write(self, *recipients: str, sender: str = "news@shop.example") -> None:
        """A message to each: injected, clicked."""
        for recipient in recipients:
            self.number += 2
            transmission = 55_000_000_000 << 22 | self.number
            now = int(self.clock.now() * 1000)
            facts = pack_facts(MessageFacts(transmission, now, 700, subject="Hello", msg_from=sender))
            context = LinkContext("acme", transmission, message_id(transmission, 0), now // 1000, 86400, recipient)
            packed = pack_context(context)
            body = packed[:8] + link_array(LinkKind.CLICK, packed, "https://www.example.org/")
            click = EngagementRecord(EventType.CLICK, self.number + 1, now, "192.0.2.1", "", "", False, body)
            injected = encode_message(EventType.INJECTION, self.number, now, facts, recipient, 0)
            self.worker.append(frame(injected) + frame(encode_engagement(click)))
            self.clock.advance(0.01)

    def close_segment(self) -> None:
        self.worker.close()
        self.clock.advance(1)
        self.worker = SegmentFile(self.directory / "journal", "smtp-0", Disk(), 1 << 20)

    def request(self, recipient: str = ANN) -> None:
        # Segments have their birth from the real clock, which is not that of the test.
        now = time.time_ns() // 1_000_000
        self.erasures.request(recipient, now)
        while time.time_ns() // 1_000_000 == now:
            pass

    async def round(self) -> None:
        self.clock.advance(1)
        while self.moving.step():
            self.clock.advance(0.01)
        self.store.at = self.feed.end()
        await self.flow.step()

    def recipients(self) -> list[str]:
        return [each.event.raw_rcpt_to for each in self.feed.read(Position()).events]

    def everything(self) -> bytes:
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return b"\n".join(path.read_bytes() for path in files)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_one_person_is_gone_and_the_others_stay_where_they_were(bench: Bench) -> None:
    bench.write(ANN, BOB, ANN.upper(), HASHING.hashed(ANN), "x" + ANN)
    await bench.round()
    before = bench.feed.read(Position()).events
    bench.request()
    bench.close_segment()
    await _rounds(bench)
    (erasure,) = bench.erasures.all()
    assert erasure.finished_ms is not None
    after = bench.feed.read(Position()).events
    assert [event for event in after if event in before] == after
    assert {each.event.raw_rcpt_to for each in after} == {BOB, "x" + ANN}
    # Three spellings of the person: six records in the journal, six in the feed, and what the store says.
    assert erasure.records == 6 + 6 + 5
    assert bench.metrics.counter("erased_records_total").value == 17
    assert bench.store.erased == [sorted({ANN.lower(), HASHING.hashed(ANN)})]
    bench.stop()
    left = bench.everything().lower().replace(b"x" + ANN.lower().encode(), b"")
    assert ANN.lower().encode() not in left
    assert HASHING.hashed(ANN).encode() not in left


async def test_nothing_is_replaced_while_somebody_deletes_segments(bench: Bench) -> None:
    bench.write(ANN)
    await bench.round()
    bench.request()
    bench.close_segment()
    async with bench.closed_segments:
        working = asyncio.create_task(bench.flow.step())
        await asyncio.wait({working}, timeout=0.2)
        assert bench.erasures.all()[0].records == 0
    await working
    assert bench.erasures.all()[0].records > 0


def test_a_head_request_for_a_link_of_the_person_is_erased_too() -> None:
    transmission = 55_000_000_000 << 22
    packed = pack_context(LinkContext("", transmission, message_id(transmission, 0), NOW_MS // 1000, 86400, ANN))
    body = packed[:8] + link_array(LinkKind.CLICK, packed, "https://www.example.org/")
    payload = encode_head(EventType.CLICK, NOW_MS, "192.0.2.1", "UA", body)
    assert People([BOB], HASHING).erased_in_journal(payload) is None
    left = People([ANN], HASHING).erased_in_journal(payload)
    assert left is not None
    assert len(left) == len(payload)
    assert isinstance(decode_record(left), ErasedRecord)


async def test_it_waits_for_segments_that_still_grow_and_then_for_the_feed_and_the_store(bench: Bench) -> None:
    bench.write(ANN, BOB)
    bench.request()
    for _ in range(4):
        await bench.round()
    assert bench.erasures.pending(), "a worker still writes to a segment with the person's events"
    assert bench.metrics.counter("erasures_waiting").value == 1
    bench.write(ANN)
    bench.close_segment()
    for _ in range(4):
        bench.clock.advance(1)
        while bench.moving.step():
            pass
        await bench.flow.step()
    assert bench.erasures.pending(), "the store has not read all of the feed"
    assert bench.store.erased == []
    await bench.round()
    assert not bench.erasures.pending()
    assert bench.recipients() == [BOB, BOB]
    assert bench.metrics.counter("erasures_waiting").value == 0


async def test_a_kill_at_any_time_costs_nothing_but_another_look(bench: Bench) -> None:
    bench.write(ANN, BOB)
    await bench.round()
    bench.request()
    bench.close_segment()
    for _ in range(3):
        await bench.round()
        bench.stop()
        bench.start()  # all that it had in memory is lost
    await _rounds(bench)
    assert not bench.erasures.pending()
    assert bench.recipients() == [BOB, BOB]


async def test_events_that_are_on_their_way_when_it_begins_are_erased_too(bench: Bench) -> None:
    bench.write(ANN)
    bench.moving.step()
    bench.request()
    bench.close_segment()
    await bench.flow.step()  # the journal is clean, and the collector may still hold what it has read before
    await _rounds(bench)
    assert not bench.erasures.pending()
    assert bench.recipients() == []


async def test_segments_that_were_put_aside_are_not_left_out(bench: Bench) -> None:
    bench.write(ANN, BOB)
    await bench.round()
    bench.close_segment()
    (segment,) = (path for path in (bench.directory / "journal").glob("*.segment") if path != bench.worker.path)
    aside = bench.directory / "journal" / "damaged"
    aside.mkdir()
    segment.rename(aside / segment.name)
    assert ANN.encode() in (aside / segment.name).read_bytes()
    bench.request()
    await _rounds(bench)
    assert ANN.encode() not in (aside / segment.name).read_bytes()
    assert BOB.encode() in (aside / segment.name).read_bytes()


async def test_a_sender_that_names_the_recipient_is_forgotten_with_it(bench: Bench) -> None:
    bench.write(ANN, sender="bounces+Ann.Somebody=example.org@list.example")
    bench.write(BOB, sender="bounces+bob=example.org@list.example")
    await bench.round()
    bench.request()
    bench.close_segment()
    await _rounds(bench)
    bench.stop()
    assert b"ann.somebody" not in bench.everything().lower()
    with sqlite3.connect(bench.directory / "facts.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM facts").fetchone() == (1,)


async def test_what_refuses_is_tried_again(bench: Bench) -> None:
    bench.write(ANN)
    await bench.round()
    bench.request()
    bench.close_segment()
    with sqlite3.connect(bench.directory / "spool.sqlite3") as busy:
        busy.execute("PRAGMA journal_mode=WAL")
        busy.execute("BEGIN IMMEDIATE")
        bench.flow._leftovers = [_quickly(bench.directory / "spool.sqlite3")]
        with pytest.raises(MailwakeError, match=r"spool\.sqlite3: database is locked"):
            await _rounds(bench)
    assert bench.erasures.pending()
    await bench.round()
    assert not bench.erasures.pending()
    assert len(bench.store.erased) == 1


async def _rounds(bench: Bench) -> None:
    for _ in range(5):
        await bench.round()


def _quickly(path: Path) -> SpoolRows:
    return SpoolRows(path, patience=0.01)
