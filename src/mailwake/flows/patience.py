"""A limit on how long requests wait for the disk: one timer for all, because one for each would be felt."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

_GENERATIONS: Final = 8


class Patience:
    """Cancels futures that are not done `limit` seconds after `watch`, or up to an eighth of it later."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        self._loop = loop
        self._pause = limit / _GENERATIONS
        self._young: list[asyncio.Future[Any]] = []
        self._older: deque[list[asyncio.Future[Any]]] = deque()
        self._ticking = False

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Begin to wait for `future`; it costs an append to a list, and nothing when the future is done in time."""
        self._young.append(future)
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(self._pause, self._tick)

    def _tick(self) -> None:
        # Of each generation only those not done are kept: under load thousands come and go between two ticks.
        self._older = deque([future for future in generation if not future.done()] for generation in self._older)
        self._older.append([future for future in self._young if not future.done()])
        self._young = []
        if len(self._older) > _GENERATIONS:
            for future in self._older.popleft():
                future.cancel()
        self._ticking = any(self._older)
        if self._ticking:
            self._loop.call_later(self._pause, self._tick)
        else:
            self._older.clear()
