"""Workers that write journals, and a collector made of the real parts on files of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailwake.clock import ManualClock
from mailwake.enrichment.message_facts import MessageFactsFile
from mailwake.events.model import Event, EventType
from mailwake.events.record import (
    EngagementRecord,
    MessageFacts,
    encode_engagement,
    encode_head,
    encode_message,
    pack_facts,
    record_time,
)
from mailwake.feed.contract import BEGINNING
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.writer import FeedWriter
from mailwake.flows.event_flow import EventFlow
from mailwake.journal.frame import frame
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_file import Disk, SegmentFile
from mailwake.links.token import LinkContext, LinkKind, decode_body, link_array, message_id, pack_context
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

START_MS = 1_790_689_600_000
TRANSMISSION = 55_000_000_000 << 22 | 5
HOLD_MS = 2_500
REMEMBER_MS = 86_400_000


class Bystander:
    """An enricher that notes what it saw, and says of each event how many had been seen by then."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.reloads = 0
        self.heads: list[tuple[str, str, str, int]] = []

    def reload_if_changed(self) -> None:
        self.reloads += 1

    def observe_head(self, message_id: str, target: str, address: str, time_ms: int) -> None:
        self.heads.append((message_id, target, address, time_ms))

    def observe(self, event: Event) -> None:
        self.seen.append(event.event_id)

    def complete(self, event: Event) -> Event:
        return msgspec.structs.replace(event, agent_family=f"seen {len(self.seen)}")


def click(number: int, at_ms: int = 0, *, transmission: int = TRANSMISSION) -> bytes:
    context = LinkContext("acme", transmission, message_id(transmission, 0), START_MS // 1000, 86400, "bob@example.org")
    packed = pack_context(context)
    body = packed[:8] + link_array(LinkKind.CLICK, packed, "https://www.example.org/")
    return encode_engagement(EngagementRecord(EventType.CLICK, number, START_MS + at_ms, "", "", "", False, body))


def head(at_ms: int, address: str) -> bytes:
    context = LinkContext("acme", TRANSMISSION, message_id(TRANSMISSION, 0), START_MS // 1000, 86400, "bob@example.org")
    packed = pack_context(context)
    body = packed[:8] + link_array(LinkKind.CLICK, packed, "https://www.example.org/")
    return encode_head(EventType.CLICK, START_MS + at_ms, address, "curl/8", body)


def injection(number: int, at_ms: int = 0, subject: str = "Hello") -> bytes:
    facts = pack_facts(MessageFacts(TRANSMISSION, START_MS, 700, subject=subject, msg_from="a@example.com"))
    return encode_message(EventType.INJECTION, number, START_MS + at_ms, facts, "bob@example.org", 0)


class Worker:
    """A segment of the journal, written as a worker does."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(exist_ok=True)
        self.segment = SegmentFile(directory, name, Disk(), 1 << 20)

    def write(self, *payloads: bytes) -> None:
        self.segment.append(b"".join(map(frame, payloads)))


class Collector:
    """All parts of an event's way, made anew by each `start()` on the same files."""

    def __init__(self, base: Path, disk: Disk | None = None) -> None:
        self.base = base
        self.journal = base / "journal"
        self.journal.mkdir(exist_ok=True)
        self.clock = ManualClock(now=START_MS / 1000)
        self.metrics = Metrics()
        self.disk = disk or Disk()
        self.start()

    def start(self) -> None:
        self.writer = FeedWriter(self.base / "feed", disk=self.disk)
        self.feed = LiveFeed(self.base / "feed", self.writer)
        self.facts = MessageFactsFile(self.base / "facts.sqlite3")
        self.bystander = Bystander()
        self.flow = EventFlow(
            JournalReader(self.journal, time_of=record_time),
            self.writer,
            self.feed,
            self.facts,
            self.bystander,
            decode_body,
            hold_ms=HOLD_MS,
            remember_ms=REMEMBER_MS,
            clock=self.clock,
            metrics=self.metrics,
            log=make_logger("json", "error"),
        )

    def run_until_idle(self) -> None:
        while self.flow.step():
            pass

    def later(self, ms: int) -> None:
        self.clock.advance(ms / 1000)
        self.run_until_idle()

    def events(self) -> list[Event]:
        return [each.event for each in self.feed.read(BEGINNING).events]

    def ids(self) -> list[int]:
        return [event.event_id for event in self.events()]
