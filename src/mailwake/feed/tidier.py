"""Deleting what nobody needs any more: the journal's merged segments, and the feed's that are old or too many.

It says who keeps it from that, and goes further when the disk is nearly full. `retention.decide` has the rules.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mailwake.disk_room import free_octets
from mailwake.errors import MailwakeError
from mailwake.feed.lag import Lag, lags
from mailwake.feed.merged_segments import MergedSegments
from mailwake.feed.retention import Limits, StoredSegment, decide
from mailwake.feed.segments import segments_in
from mailwake.first_of import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.feed.contract import Positions
    from mailwake.feed.segments import FeedSegment
    from mailwake.journal.reader import Cursor
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

TIDY_SECONDS: Final = 60.0
SAY_AGAIN_SECONDS: Final = 3600.0
"""How often it is said again that a consumer holds back events."""


class Tidier:
    """Tidies `journal` and `feed`; only the process that writes the feed has one.

    `merged` gives the journal's cursor as it stands durably in the feed. With less than twice `min_free_space` octets
    left on the disk everything goes that may. `closed_segments` is held while segments are deleted, so that nobody who
    replaces them brings one back.
    """

    name = "tidier"

    def __init__(
        self,
        journal: Path,
        feed: Path,
        positions: Positions,
        merged: Callable[[], Cursor],
        limits: Limits,
        *,
        min_free_space: int,
        clock: Clock,
        metrics: Metrics,
        log: Logger,
        closed_segments: asyncio.Lock | None = None,
    ) -> None:
        self._closed_segments = closed_segments or asyncio.Lock()
        self._merged_segments = MergedSegments(journal, merged, clock, log)
        self._feed = feed
        self._positions = positions
        self._limits = limits
        self._enough_free = 2 * min_free_space
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._is_short = False
        self._told: dict[str, float] = {}
        self._lagging: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy at once and then every minute, until `stop` is set."""
        while not stop.is_set():
            await self.tidy()
            await first_of(stop, seconds=TIDY_SECONDS)

    async def tidy(self) -> None:
        """Delete what may go now; what cannot be deleted is logged and tried again the next time."""
        try:
            async with self._closed_segments:
                await asyncio.to_thread(self._tidy)
        except (MailwakeError, OSError) as error:
            self._log.error("the journal cannot be tidied", error=str(error))

    def _tidy(self) -> None:
        wanted = self._octets_wanted()
        freed = self._merged_segments.delete(self._limits.keep_seconds, short_of_room=wanted > 0)
        now_ms = int(self._clock.now() * 1000)
        positions = self._positions.all()
        segments = segments_in(self._feed)
        stored = [StoredSegment(each.number, each.begun_ms, each.path.stat().st_size) for each in segments]
        verdict = decide(stored, positions, self._limits, now_ms, octets_wanted=max(0, wanted - freed))
        self._delete(segments, set(verdict.delete))
        remaining = [each for each in stored if each.number not in verdict.delete]
        behind = lags(self._feed, remaining, positions, now_ms)
        self._measure(sum(each.octets for each in remaining), behind)
        self._warn(verdict.held, behind)

    def _octets_wanted(self) -> int:
        free = free_octets(self._feed)
        self._metrics.counter("data_free_octets").value = free
        wanted = max(0, self._enough_free - free)
        if wanted and not self._is_short:
            self._log.error(
                "the disk is nearly full, old events are deleted before their time", path=str(self._feed), free=free
            )
        elif self._is_short and not wanted:
            self._log.info("the disk has room again, events are kept as long as they should be", free=free)
        self._is_short = bool(wanted)
        return wanted

    def _delete(self, segments: list[FeedSegment], numbers: set[int]) -> None:
        octets = 0
        for segment in segments:
            if segment.number in numbers:
                octets += segment.path.stat().st_size
                segment.path.unlink()
        if numbers:
            self._log.info("old events deleted from the feed", segments=len(numbers), octets=octets)

    def _measure(self, feed_octets: int, behind: Mapping[str, Lag]) -> None:
        self._metrics.counter("feed_octets").value = feed_octets
        self._metrics.counter("journal_octets").value = self._merged_segments.octets
        for consumer in self._lagging - set(behind):  # it is forgotten
            self._set_lag(consumer, 0, 0.0)
        for consumer, lag in behind.items():
            self._set_lag(consumer, lag.octets, lag.seconds)
        self._lagging = set(behind)

    def _set_lag(self, consumer: str, octets: int, seconds: float) -> None:
        self._metrics.counter("feed_lag_octets", consumer).value = octets
        self._metrics.counter("feed_lag_seconds", consumer).value = seconds

    def _warn(self, held: Mapping[str, int], behind: Mapping[str, Lag]) -> None:
        now = self._clock.monotonic()
        for consumer, octets in held.items():
            if now - self._told.get(consumer, -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
                self._told[consumer] = now
                self._log.warning(
                    "a consumer holds back old events that would be deleted",
                    consumer=consumer,
                    octets=octets,
                    seconds=int(behind[consumer].seconds),
                )
        self._told = {consumer: told for consumer, told in self._told.items() if consumer in held}
