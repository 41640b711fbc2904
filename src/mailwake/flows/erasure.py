"""The way of a request to erase a person's events: out of the journal, the feed, the store, and what remembers them.

    list (control/erasures) → journal's closed segments → all of the journal is in the feed → feed's closed segments
        → the store has read that far → store → what deleted rows leave in SQLite's files → the list forgets the name

Segments that still grow are waited for: a worker's is closed within the hour, the feed's when it is asked for. Every
step can be done again, so a kill costs nothing but time. What happens after the request makes new events.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from mailwake.errors import MailwakeError
from mailwake.feed.merged_segments import DAMAGED
from mailwake.feed.people import People
from mailwake.feed.segments import segments_in
from mailwake.first_of import first_of
from mailwake.journal.erasure import discard_unfinished, erase_in
from mailwake.journal.frame import SEGMENT_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.control.erasures import Erasure, Erasures
    from mailwake.events.privacy import RecipientHash
    from mailwake.feed.contract import Position
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

POLL_SECONDS: Final = 1.0

_BIRTH = re.compile(rf"-(\d{{13,}})-[0-9a-f]+{re.escape(SEGMENT_SUFFIX)}$")


class MovingEvents(Protocol):
    """What moves the journal into the feed; `event_flow.EventFlow` is it."""

    @property
    def settled_ms(self) -> int:
        """What was recorded before this time stands in the feed."""
        ...

    def roll_soon(self) -> None:
        """Have the feed's segment closed."""
        ...


class ErasingStore(Protocol):
    """The part of `store.contract.EventStore` that matters here."""

    async def position(self) -> Position:
        """Up to where the feed is loaded."""
        ...

    async def erase(self, recipients: Collection[str]) -> int:
        """Forget all events of these recipients, and have no file hold anything of them."""
        ...


class RowsLeftBehind(Protocol):
    """A SQLite file in which deleted rows may stand until their room is used again."""

    def __call__(self, people: People) -> None:
        """Have it hold nothing of these people; MailwakeError when that has to be tried again."""
        ...


@dataclass(slots=True)
class _Progress:
    # Of one request, in this process: after a kill all is looked at again, which finds less to do.
    clean: set[Path] = field(default_factory=set)
    journal_done_ms: int | None = None
    roll_asked_ms: int | None = None
    feed_end: Position | None = None
    store_done: bool = False


class ErasureFlow:
    """Works off the list; run it as the only one on this data directory, beside the one that moves events.

    `closed_segments` is held while segments are replaced: one that was deleted meanwhile would come back, and be merged
    once more.
    """

    name = "erasure"

    def __init__(
        self,
        erasures: Erasures,
        journal: Path,
        feed: Path,
        moving: MovingEvents,
        *,
        end: EndOfFeed,
        store: ErasingStore | None,
        leftovers: Sequence[RowsLeftBehind],
        hashing: RecipientHash,
        clock: Clock,
        metrics: Metrics,
        log: Logger,
        closed_segments: asyncio.Lock | None = None,
    ) -> None:
        self._closed_segments = closed_segments or asyncio.Lock()
        self._erasures = erasures
        self._journal = journal
        self._feed = feed
        self._moving = moving
        self._end = end
        self._store = store
        self._leftovers = leftovers
        self._hashing = hashing
        self._clock = clock
        self._log = log
        self._progress: dict[int, _Progress] = {}
        self._waiting: Final = metrics.counter("erasures_waiting")
        self._done: Final = metrics.counter("erasures_total")
        self._records: Final = metrics.counter("erased_records_total")

    async def run(self, stop: asyncio.Event) -> None:
        """Work off the list until `stop` is set; what fails is tried again with the next look at it."""
        for directory in (self._journal, self._feed):
            discard_unfinished(directory)
        failing = False
        while not stop.is_set():
            try:
                await self.step()
                failing = False
            except MailwakeError as error:
                if not failing:
                    self._log.error("events cannot be erased yet", error=str(error))
                failing = True
            await first_of(stop, seconds=POLL_SECONDS)

    async def step(self) -> None:
        """Do for each request what can be done now; MailwakeError, one line, when something refuses."""
        pending = await asyncio.to_thread(self._erasures.pending)
        self._waiting.value = len(pending)
        for erasure in pending:
            progress = self._progress.setdefault(erasure.number, _Progress())
            if await self._advance(erasure, People([erasure.recipient], self._hashing), progress):
                await asyncio.to_thread(self._erasures.finish, erasure.number, self._now_ms())
                del self._progress[erasure.number]
                self._done.inc()
                self._waiting.inc(-1)
                self._log.info("a person's events are erased", erasure=erasure.number)

    async def _advance(self, erasure: Erasure, people: People, progress: _Progress) -> bool:
        """Go on with one request; whether it is done."""
        async with self._closed_segments:
            still_growing = await asyncio.to_thread(self._erase_in_journal, erasure, people, progress)
            await asyncio.to_thread(self._erase_in_feed, erasure, people, progress)
        if still_growing:
            progress.journal_done_ms = None
            return False
        if progress.journal_done_ms is None:
            progress.journal_done_ms = self._now_ms()
        if self._moving.settled_ms <= progress.journal_done_ms:
            return False
        if progress.roll_asked_ms is None:
            self._moving.roll_soon()
            progress.roll_asked_ms = self._now_ms()
        if self._moving.settled_ms <= progress.roll_asked_ms:
            return False
        if progress.feed_end is None:
            progress.feed_end = self._end()
            async with self._closed_segments:
                await asyncio.to_thread(self._erase_in_feed, erasure, people, progress)
        if self._store is not None and not progress.store_done:
            if await self._store.position() < progress.feed_end:
                return False
            self._count(erasure, await self._store.erase(sorted(people.names)))
            progress.store_done = True
        for clean in self._leftovers:
            await asyncio.to_thread(clean, people)
        return True

    def _erase_in_journal(self, erasure: Erasure, people: People, progress: _Progress) -> bool:
        """Erase in what is closed; whether a segment still grows that was begun before the request."""
        growing = False
        aside = (self._journal / DAMAGED).glob("*" + SEGMENT_SUFFIX)
        for path in [*sorted(self._journal.glob("*" + SEGMENT_SUFFIX)), *aside]:
            if path in progress.clean:
                continue
            erased = erase_in(path, people.erased_in_journal)
            if erased is not None:
                self._count(erasure, erased)
                progress.clean.add(path)
            elif path.exists():
                birth = _BIRTH.search(path.name)
                growing |= birth is None or int(birth[1]) <= erasure.requested_ms
        return growing

    def _erase_in_feed(self, erasure: Erasure, people: People, progress: _Progress) -> None:
        for segment in segments_in(self._feed):
            if segment.path not in progress.clean:
                erased = erase_in(segment.path, people.erased_in_feed)
                if erased is not None:
                    self._count(erasure, erased)
                    progress.clean.add(segment.path)

    def _count(self, erasure: Erasure, records: int) -> None:
        if records:
            self._erasures.count(erasure.number, records)
            self._records.inc(records)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


class EndOfFeed(Protocol):
    """Where the feed ends; `LiveFeed.end` is it."""

    def __call__(self) -> Position:
        """Behind the last event there is now."""
        ...
