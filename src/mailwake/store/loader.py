"""The consumer that loads the feed into the store: in batches, each with its position, as long as the service runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mailwake.feed.contract import BEGINNING, PAGE_EVENTS, FeedError
from mailwake.first_of import first_of
from mailwake.store.contract import CONSUMER, StoreError

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.feed.contract import EventFeed, Page, Position, Positions
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.store.contract import EventStore

LINGER = 1.0
"""Seconds in which events gather before they are loaded together: one load costs as much as some hundred events."""

FAILURE_PAUSE = 30.0
WAIT = 30.0
MIRROR_PAUSE = 10.0
RETENTION_PAUSE = 3600.0


class StoreLoader:
    """Loads the feed into the store; `run` it as the only one.

    The position stands in the store, in the same transaction as the events before it; `positions` only learns of it,
    so that retention keeps what is not loaded. `keep` is for how many seconds events are kept, 0 for ever.
    """

    name = CONSUMER

    def __init__(
        self,
        feed: EventFeed,
        store: EventStore,
        positions: Positions,
        *,
        keep: float,
        clock: Clock,
        metrics: Metrics,
        log: Logger,
        linger: float = LINGER,
    ) -> None:
        self._feed = feed
        self._store = store
        self._positions = positions
        self._keep = keep
        self._clock = clock
        self._log = log
        self._linger = linger
        self._failure = ""
        self._mirrored: Position | None = None
        self._mirror_due = 0.0
        self._retention_due = 0.0
        self._loaded: Final = metrics.counter("store_events_loaded_total")
        self._known: Final = metrics.counter("store_events_known_total")
        self._up: Final = metrics.counter("store_up")
        self._events: Final = metrics.counter("store_events")
        self._octets: Final = metrics.counter("store_octets")
        self._behind: Final = metrics.counter("store_behind_seconds")

    async def run(self, stop: asyncio.Event) -> None:
        """Load until `stop` is set. A store or feed that cannot be used is tried again for ever, and said once."""
        while not stop.is_set():
            try:
                await self._store.open()
                await self._follow(stop)
            except (StoreError, FeedError) as error:
                self._failed(str(error))
                await first_of(stop, seconds=FAILURE_PAUSE)
        self._up.value = 0.0

    async def _follow(self, stop: asyncio.Event) -> None:
        position = await self._begin()
        while not stop.is_set():
            page = await asyncio.to_thread(self._feed.read, position, max_events=PAGE_EVENTS)
            await self._load(page)
            position = page.position
            await self._mirror(position, now=not page.more)
            if not page.more:
                await self._rest(position, stop)

    async def _begin(self) -> Position:
        position = await self._store.position()
        end = await asyncio.to_thread(self._feed.end)
        if position > end:
            # Whoever put an older feed in place gets what it holds; what the store has already is known by its id.
            self._log.warning("the feed ends before what the store has loaded; it is read from its beginning")
            return BEGINNING
        return position

    async def _load(self, page: Page) -> None:
        for damage in page.damages:
            self._log.error("the feed is damaged, and loaded on behind the damage", error=str(damage))
        if page.events:
            loaded = await self._store.load([each.event for each in page.events], page.position)
            self._loaded.inc(loaded.stored)
            self._known.inc(loaded.known)
            newest = page.events[-1].event.timestamp / 1000
            self._behind.value = max(0.0, self._clock.now() - newest) if page.more else 0.0
        self._up.value = 1.0
        if self._failure:
            self._failure = ""
            self._log.info("the store is loaded again")

    async def _mirror(self, position: Position, *, now: bool) -> None:
        """Tell retention of the position: at a rest, and under way now and then."""
        if position == self._mirrored or not (now or self._clock.monotonic() >= self._mirror_due):
            return
        if await self._store.position() != position:  # there were no events on the way
            await self._store.load([], position)
        await asyncio.to_thread(self._positions.keep, CONSUMER, position)
        self._mirrored = position
        self._mirror_due = self._clock.monotonic() + MIRROR_PAUSE

    async def _rest(self, position: Position, stop: asyncio.Event) -> None:
        """All is loaded: do what can wait, and wait for more."""
        self._behind.value = 0.0
        if self._clock.monotonic() >= self._retention_due:
            await self._forget()
            self._retention_due = self._clock.monotonic() + RETENTION_PAUSE
        status = await self._store.status()
        self._events.value = status.events
        self._octets.value = status.octets
        if await self._grown(position, stop):
            await first_of(stop, seconds=self._linger)

    async def _forget(self) -> None:
        if not self._keep:
            return
        forgotten = await self._store.forget_before(int((self._clock.now() - self._keep) * 1000))
        if forgotten:
            self._log.info("old events are forgotten", events=forgotten)

    async def _grown(self, position: Position, stop: asyncio.Event) -> bool:
        """Wait for more, or for the end; whether there is more."""
        grown = asyncio.ensure_future(self._feed.grown(position, WAIT))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((grown, stopped), return_when=asyncio.FIRST_COMPLETED)
            return grown.done() and grown.result()
        finally:
            for each in (grown, stopped):
                each.cancel()
            await asyncio.gather(grown, stopped, return_exceptions=True)

    def _failed(self, error: str) -> None:
        self._up.value = 0.0
        if error != self._failure:
            self._log.error("the store is not loaded; events wait in the feed", error=error)
            self._failure = error
