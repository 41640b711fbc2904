"""One sink at work: events from the feed to its destination, in order, at least once, for as long as it takes.

The position is kept when the destination has said that all before it is safe there, never sooner. Whatever fails is
tried again without end, after pauses that grow; nothing is skipped. Each sink has a thread and a task of its own, so
that a slow one delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mailwake.errors import MailwakeError
from mailwake.feed.contract import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from mailwake.clock import Clock
    from mailwake.feed.contract import EventFeed, Page, Position, Positions
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.sinks.contract import Destination, OutgoingEvent
    from mailwake.sinks.own_thread import OwnThread
    from mailwake.sinks.selection import Selection

    T = TypeVar("T")

PAGE_EVENTS = 1000
"""Events that are handed on at once, and repeated at most when something fails."""

REST = 0.1
"""Seconds between two pages when the sink is up to date: more events share the costs of a page."""

TEND_SECONDS = 1.0
"""How often a destination is tended, and the lag is told."""

KEEP_SECONDS = 10.0
"""How often a position moves on durably over events that the sink does not get."""

STOP_SECONDS = 5.0
"""How long what is in hand may take when the sink is to stop."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


def pause(failures: int) -> float:
    """Seconds before another attempt, by how many have failed in a row: doubled each time, and never quite the same."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1)


class SinkRunner:
    """The consumer `sink:NAME`; `run()` until told to stop.

    `from_beginning` says where it begins when it has no position yet. The thread is its own, and ends with it.
    """

    def __init__(
        self,
        name: str,
        destination: Destination,
        selection: Selection,
        *,
        feed: EventFeed,
        positions: Positions,
        thread: OwnThread,
        log: Logger,
        metrics: Metrics,
        clock: Clock,
        from_beginning: bool = False,
        pause: Callable[[int], float] = pause,
    ) -> None:
        self.name = name
        self._consumer = f"sink:{name}"
        self._destination = destination
        self._selection = selection
        self._feed = feed
        self._positions = positions
        self._thread = thread
        self._log = log
        self._clock = clock
        self._from_beginning = from_beginning
        self._pause = pause
        self._stop = asyncio.Event()
        self._oldest: int | None = None
        self._failing_since: float | None = None
        self._kept: Position | None = None
        self._kept_at = 0.0
        self._handed_on = metrics.counter("sink_events_total", name)
        self._failures = metrics.counter("sink_failures_total", name)
        self._up = metrics.counter("sink_up", name)
        self._lag = metrics.counter("sink_lag_seconds", name)

    def __repr__(self) -> str:
        return f"<SinkRunner {self.name} {'failing' if self._failing_since is not None else 'up'} at {self._kept}>"

    async def run(self, stop: asyncio.Event) -> None:
        """Hand events on until `stop` is set; what is in hand then is finished, if that does not take too long."""
        self._stop = stop
        self._up.value = 1
        telling = asyncio.create_task(self._tell_lag())
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working}, timeout=STOP_SECONDS)
            if working.done():
                working.result()  # a defect of the runner's own ends it, and is the caller's to see
        finally:
            self._thread.ending.set()
            for task in (telling, working, stopping):
                task.cancel()
            await asyncio.gather(telling, working, stopping, return_exceptions=True)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._destination.close(), 1)
            self._thread.end()

    async def _work(self) -> None:
        with contextlib.suppress(_StopError):
            position = await self._insist(self._begin)
            while not self._stop.is_set():
                page, events = await self._insist(partial(self._read, position))
                if events:
                    self._oldest = events[0].event.timestamp
                    await self._insist(partial(self._destination.write, events))
                    self._handed_on.inc(len(events))
                position = page.position
                await self._settle(position, had_events=bool(events))
                if not page.more:
                    self._oldest = None
                    await self._wait_for_more(position)

    async def _begin(self) -> Position:
        """Where the sink was; for a new one, which is known from now on, where it is to begin."""
        kept = await self._thread.run(partial(self._positions.get, self._consumer))
        if kept is not None:  # also one beyond the feed's end: what a damaged feed gets anew stands behind it
            position = kept
        else:
            position = BEGINNING if self._from_beginning else await self._thread.run(self._feed.end)
            await self._keep(position)
        self._kept = position
        return position

    async def _keep(self, position: Position) -> None:
        await self._thread.run(partial(self._positions.keep, self._consumer, position))
        self._kept, self._kept_at = position, self._clock.monotonic()

    async def _read(self, position: Position) -> tuple[Page, Sequence[OutgoingEvent]]:
        def read() -> tuple[Page, Sequence[OutgoingEvent]]:
            page = self._feed.read(position, max_events=PAGE_EVENTS)
            return page, self._selection.outgoing(each.event for each in page.events)

        page, events = await self._thread.run(read)
        for damage in page.damages:
            self._log.error("a sink passed over damaged events of the feed", sink=self.name, error=str(damage))
        return page, events

    async def _settle(self, position: Position, *, had_events: bool) -> None:
        """All before `position` is done; to keep it costs a sync, which nothing but a delivered event is worth."""
        late = self._clock.monotonic() - self._kept_at >= KEEP_SECONDS
        if position != self._kept and (had_events or late):
            await self._insist(partial(self._keep, position))

    async def _wait_for_more(self, position: Position) -> None:
        await self._until_stopped(asyncio.sleep(REST))
        while not await self._until_stopped(self._feed.grown(position, TEND_SECONDS)):
            await self._insist(self._destination.tend)

    async def _insist(self, action: Callable[[], Awaitable[T]]) -> T:
        """What `action` gives, however often it has to be tried; _StopError instead of another attempt."""
        failures = 0
        while True:
            try:
                result = await action()
            except Exception as error:
                failures += 1
                self._note_failure(error)
                await self._until_stopped(asyncio.sleep(self._pause(failures)))
            else:
                if failures:
                    self._note_success()
                return result

    async def _until_stopped(self, waiting: Coroutine[Any, Any, T]) -> T:
        """What `waiting` gives; _StopError when the sink is told to stop first."""
        task = asyncio.create_task(waiting)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _StopError
            return task.result()
        finally:
            task.cancel()
            stopping.cancel()

    def _note_failure(self, error: Exception) -> None:
        self._failures.inc()
        if self._failing_since is not None:
            return
        self._failing_since = self._clock.monotonic()
        self._up.value = 0
        if isinstance(error, MailwakeError):
            self._log.error("a sink fails, its events wait", sink=self.name, error=str(error))
        else:
            self._log.exception("a sink fails by a defect, its events wait", sink=self.name)

    def _note_success(self) -> None:
        assert self._failing_since is not None
        seconds = round(self._clock.monotonic() - self._failing_since, 1)
        self._failing_since = None
        self._up.value = 1
        self._log.info("a sink is back", sink=self.name, seconds=seconds)

    async def _tell_lag(self) -> None:
        while True:
            oldest = self._oldest
            self._lag.value = 0 if oldest is None else max(0, round(self._clock.now() - oldest / 1000, 3))
            await asyncio.sleep(TEND_SECONDS)


class _StopError(Exception):
    """The sink is to stop, and whatever it waits for does not matter any more."""
