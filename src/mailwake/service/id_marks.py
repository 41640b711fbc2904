"""Keeps the durable mark of a worker's ids well ahead, from a thread: a slow disk must not stop the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from mailwake.events.unique_ids import EPOCH, UniqueIds
from mailwake.journal.id_reservation import IdReservation

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.logs import Logger

AHEAD_MS = 15_000
"""How far ahead the mark is kept; so long may the disk hang before ids cannot be made."""

PAUSE_SECONDS = 3.0

PATIENCE_SECONDS = 0.5
"""How long the event loop waits for a write that the thread has begun, once; then ids fail at once for a while."""


class IdMarks:
    """A worker's ids and the file behind them; making it reserves the first ids, durably."""

    def __init__(self, directory: Path, node: int, slot: int, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._reservation = IdReservation(directory, slot)
        self._writing = threading.Lock()
        self._hangs_until = 0.0
        self.ids = UniqueIds(node, slot, clock.now, self._reserve_now, used_up_to=self._reservation.used_up_to)
        self._move(self._next_mark())

    async def keep_ahead(self) -> None:
        """Advance the mark every few seconds, until cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(PAUSE_SECONDS)
                await self.advance()

    async def advance(self) -> None:
        """Advance the mark once, in a thread; a disk that refuses is logged."""
        try:
            await asyncio.to_thread(self._move, self._next_mark())
        except OSError as error:
            self._log.error("the mark of used ids cannot be written, look at the disk", error=str(error))

    def _next_mark(self) -> int:
        return max(int((self._clock.now() - EPOCH) * 1000), self.ids.latest_ms) + AHEAD_MS

    def _move(self, mark: int) -> None:
        with self._writing:
            self._reservation.reserve(mark)
        self.ids.extend(mark)

    def _reserve_now(self, mark: int) -> None:
        # Asked for in the event loop when ids have overtaken the mark: the thread has failed for a while, or the clock
        # has jumped ahead. The thread may be writing at this moment; its write is worth waiting for, but not for long.
        now = self._clock.monotonic()
        if now < self._hangs_until or not self._writing.acquire(timeout=PATIENCE_SECONDS):
            self._hangs_until = max(self._hangs_until, now + 10 * PATIENCE_SECONDS)
            raise OSError("the disk does not answer")
        try:
            self._reservation.reserve(mark)
        finally:
            self._writing.release()
