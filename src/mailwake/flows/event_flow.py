"""What happens to an event between the journal and its consumers, once, in the collector.

    journal (one file a worker) → read, merged by time → held for a moment → completed, judged → feed, with a checkpoint

The feed is the one order that every consumer sees. An event is let go when everything that happened within the hold
time after it has been read, too; then `enrichment` can say of it what only its neighbours tell.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from mailwake.errors import MailwakeError
from mailwake.events.from_record import completed, engagement_event, message_event
from mailwake.events.model import EventType
from mailwake.events.record import EngagementRecord, ErasedRecord, MessageRecord, ObservationRecord, decode_record
from mailwake.feed.merge import Merge
from mailwake.feed.payload import encode_event
from mailwake.first_of import first_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.clock import Clock
    from mailwake.enrichment.message_facts import MessageFactsFile
    from mailwake.events.from_record import LinkFacts
    from mailwake.events.model import Event
    from mailwake.events.record import Record as EventRecord
    from mailwake.feed.live_feed import LiveFeed
    from mailwake.feed.writer import FeedWriter
    from mailwake.journal.frame import Record
    from mailwake.journal.reader import Batch, JournalReader
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

POLL_SECONDS: Final = 0.2
RELOAD_SECONDS: Final = 3.0
"""Seconds between two looks at the enrichment's files."""

FAILURE_PAUSE: Final = 1.0
"""Seconds between two tries to write what the disk refuses."""

APPEND_RECORDS: Final = 5_000
"""Records of one append to the feed: one sync for them."""

HELD_RECORDS: Final = 100_000
"""Records that are held at most, about 100 MB; more come only when the collector has stood still under load."""

FORGET_MS: Final = 3_600_000
"""How often old messages are forgotten."""

WARM_UP_MS: Final = 300_000
"""How far back from its end the feed is shown to the enrichment when the collector starts: as far as its rules look."""

WARM_UP_EVENTS: Final = 200_000
"""Events that it is shown at most, some seconds' work: the latest ones may be missing then."""


class Enricher(Protocol):
    """Says of an event what was not recorded with it; `enrichment.enricher.Enricher` is one."""

    def observe(self, event: Event) -> None:
        """See an event as it comes, in the order of times, a while before `complete` is asked about it."""
        ...

    def observe_head(self, message_id: str, target: str, address: str, time_ms: int) -> None:
        """See a HEAD request for a link, which is no event, in the same order."""
        ...

    def complete(self, event: Event) -> Event:
        """The event with all that can be said of it."""
        ...

    def reload_if_changed(self) -> None:
        """Read what it knows anew where its files have changed."""
        ...


class EventFlow:
    """Moves events from the journal into the feed; `run` it as the only one on this data directory.

    `hold_ms` is how long after an event, in milliseconds, others are still of interest for it; `remember_ms` for how
    long a message's facts are remembered, 0 for ever.
    """

    name = "feed"

    def __init__(
        self,
        journal: JournalReader,
        writer: FeedWriter,
        feed: LiveFeed,
        facts: MessageFactsFile,
        enricher: Enricher,
        decode_link: Callable[[bytes], LinkFacts],
        *,
        hold_ms: int,
        remember_ms: int = 0,
        clock: Clock,
        metrics: Metrics,
        log: Logger,
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._feed = feed
        self._facts = facts
        self._enricher = enricher
        self._decode_link = decode_link
        self._hold_ms = hold_ms
        self._remember_ms = remember_ms
        self._forget_at = 0
        self._clock = clock
        self._log = log
        self._merge = Merge(writer.cursor)
        self._unclaimed = set(writer.unclaimed)
        self._caught_up_ms: int | None = None
        self._due: list[Event] = []
        self._settled_ms = self._now_ms = 0
        self._roll_wanted = False
        self._moved: Final = metrics.counter("feed_events_total")
        self._unreadable: Final = metrics.counter("journal_records_unreadable_total")
        self._damaged: Final = metrics.counter("journal_damaged_octets_total")
        self._defects: Final = metrics.counter("collector_failures_total", "enrichment")
        self._behind: Final = metrics.counter("feed_behind_seconds")

    @property
    def settled_ms(self) -> int:
        """What was recorded before this time (Unix milliseconds, of this process's clock) stands in the feed."""
        return self._settled_ms

    def roll_soon(self) -> None:
        """Have the feed's segment closed at the next occasion, for erasure; any thread may ask."""
        self._roll_wanted = True

    async def run(self, stop: asyncio.Event) -> None:
        """Move events until `stop` is set; what the disk refuses is tried again for ever, and nothing is skipped."""
        failing = False
        look_at = self._clock.monotonic() + RELOAD_SECONDS
        while not stop.is_set():
            if self._clock.monotonic() >= look_at:
                await asyncio.to_thread(self._enricher.reload_if_changed)
                look_at = self._clock.monotonic() + RELOAD_SECONDS
            before = self._writer.end
            try:
                moved = await asyncio.to_thread(self.step)
            except MailwakeError as error:
                if not failing:
                    self._log.error("events wait in the journal", error=str(error))
                failing = True
                if self._writer.end > before:  # a part was appended before it failed
                    self._feed.announce()
                await first_of(stop, seconds=FAILURE_PAUSE)
                continue
            if failing:
                self._log.info("events move on")
                failing = False
            if moved:
                self._feed.announce()
            else:
                await first_of(stop, seconds=POLL_SECONDS)

    def warm_up(self) -> None:
        """Show the enrichment what came last before the start; FeedError when the feed cannot be read."""
        position, more, shown = self._feed.seek(self._writer.latest_ms - WARM_UP_MS), True, 0
        while more and shown < WARM_UP_EVENTS:
            page = self._feed.read(position)
            position, more = page.position, page.more
            for each in page.events:
                self._enricher.observe(each.event)
            shown += len(page.events)

    def step(self) -> int:
        """Read on, and let go what is due; how many records that were. FeedError and its like when that fails.

        After an error it can be called again: nothing is lost or let go twice.
        """
        if self._due:
            return self._settle()
        now_ms = self._look_at_clock()  # before reading: what is recorded meanwhile may have been missed
        batch = self._journal.read(self._merge.read_cursor)
        latest = 0
        for record in batch.records:
            latest = max(latest, self._take_in(record, now_ms))
        self._merge.read_cursor = batch.cursor
        self._report(batch)
        let_go = 0
        up_to = (latest if batch.more else now_ms) - self._hold_ms
        while due := self._merge.let_go(up_to, APPEND_RECORDS, at_most_held=HELD_RECORDS):
            self._due = due
            let_go += self._settle()
        if self._roll_wanted:
            self._roll_wanted = False
            self._writer.roll()
        elif not let_go:
            self._writer.roll_if_old()
            self._forget(now_ms)
        oldest = self._merge.oldest_ms()
        if not batch.more:
            self._settled_ms = now_ms if oldest is None else min(now_ms, oldest)
            self._caught_up_ms = now_ms if self._caught_up_ms is None else self._caught_up_ms
            if self._settled_ms > self._caught_up_ms:  # what was not in the journal any more will not come again
                self._unclaimed = set()
        self._behind.value = 0.0 if oldest is None else max(0, now_ms - oldest) / 1000
        return let_go or len(batch.records)

    def _forget(self, now_ms: int) -> None:
        if self._remember_ms and now_ms >= self._forget_at:
            self._facts.forget_before(now_ms - self._remember_ms)
            self._forget_at = now_ms + FORGET_MS

    def _look_at_clock(self) -> int:
        now_ms = int(self._clock.now() * 1000)
        if now_ms < self._now_ms:
            self._merge.set_back(now_ms)
        self._now_ms = now_ms
        return now_ms

    def _take_in(self, record: Record, now_ms: int) -> int:
        # A time in the future, of a clock that was set back since, must not hold up what comes after it.
        event, time_ms = None, 0
        try:
            decoded = decode_record(record.payload)
            time_ms = min(decoded.time_ms, now_ms)
            event = self._event_of(decoded)
        except MailwakeError as error:
            self._unreadable.inc()
            place = f"{record.segment}:{record.start}"
            self._log.error("a record of the journal is passed over", place=place, error=str(error))
        self._merge.add(record, time_ms, event)
        return time_ms

    def _event_of(self, record: EventRecord) -> Event | None:
        if isinstance(record, ErasedRecord):
            return None
        if isinstance(record, ObservationRecord):
            self._note(record)
            return None
        event = self._known_of(record)
        try:
            self._enricher.observe(event)
        except Exception:
            self._note_defect()
        return event

    def _known_of(self, record: EngagementRecord | MessageRecord) -> Event:
        if isinstance(record, EngagementRecord):
            return engagement_event(record, self._decode_link(record.raw_body))
        if record.type is EventType.INJECTION:
            # What links carry themselves need not be kept beside them.
            self._facts.keep(msgspec.structs.replace(record.facts, metadata="", tags=()))
        return message_event(record)

    def _note(self, record: ObservationRecord) -> None:
        link = self._decode_link(record.raw_body)
        try:
            self._enricher.observe_head(link.context.message_id, link.target, record.address, record.time_ms)
        except Exception:
            self._note_defect()

    def _settle(self) -> int:
        # Whatever fails here is tried again with the same events.
        due = self._due
        self._facts.load(event.transmission_id for event in due if event.type.group != "message_event")
        # What a kill has left in the feed without its checkpoint stands there already.
        fresh = [event for event in due if event.event_id not in self._unclaimed]
        payloads = [encode_event(self._finish(event)) for event in fresh]
        self._facts.commit()
        unclaimed = self._unclaimed.difference(event.event_id for event in due) if self._unclaimed else self._unclaimed
        self._writer.append(payloads, self._merge.cursor(), unclaimed)
        self._moved.inc(len(payloads))
        self._unclaimed = unclaimed
        self._due = []
        self._writer.write_ahead()
        return len(due)

    def _finish(self, event: Event) -> Event:
        if event.type.group == "message_event":
            return event
        facts = self._facts.of(event.transmission_id)
        if facts is not None:
            event = completed(event, facts)
        try:
            return self._enricher.complete(event)
        except Exception:
            self._note_defect()
            return event

    def _note_defect(self) -> None:
        # One event that the enrichment stumbles over must not hold up all that come behind it.
        if not self._defects.value:
            self._log.exception("the enrichment has failed at an event, which moves on without it")
        self._defects.inc()

    def _report(self, batch: Batch) -> None:
        for damage in batch.damages:
            self._damaged.inc(damage.octets)
            self._log.error("the journal is damaged, and read on behind the damage", error=str(damage))
