"""Keeps the durable mark of a worker's ids well ahead, from a thread: a slow disk must not stop the event loop."""

from __future__ import annotations

import asyncio
import contextlib
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


class IdMarks:
    """A worker's ids and the file behind them."""

    def __init__(self, directory: Path, node: int, slot: int, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._reservation = IdReservation(directory, slot)
        self._busy = False
        self.ids = UniqueIds(node, slot, clock.now, self._reserve_now, used_up_to=self._reservation.used_up_to)

    async def keep_ahead(self) -> None:
        """Advance the mark every few seconds, until cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await self._advance()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _advance(self) -> None:
        mark = max(int((self._clock.now() - EPOCH) * 1000), self.ids.latest_ms) + AHEAD_MS
        self._busy = True
        try:
            await asyncio.to_thread(self._reservation.reserve, mark)
        except OSError as error:
            self._log.error("the mark of used ids cannot be written, look at the disk", error=str(error))
        else:
            self.ids.extend(mark)
        finally:
            self._busy = False

    def _reserve_now(self, mark: int) -> None:
        # Asked for in the event loop: at the very start, and when the thread above has failed for a while.
        if self._busy:
            raise OSError("the disk does not answer")
        self._reservation.reserve(mark)
