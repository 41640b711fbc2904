"""A spool for an event loop: calls run in a thread of their own, and those that come together share one disk sync.

One group is under way at a time, and the next one is whatever has come meanwhile: under load a sync serves many calls,
and a lone call waits for one sync.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.spool.contract import Spool

T = TypeVar("T")

MOST_TOGETHER = 256
"""Calls of one group at most: other workers wait for its end."""

LATER_SECONDS = 1.0
"""How long what nobody waits for may wait for company."""


class _Order(NamedTuple):
    call: Callable[[], Any]
    future: asyncio.Future[Any]


class GroupCommit:
    """Runs calls of `spool` for one event loop."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done_with: list[str] = []
        self._later: asyncio.TimerHandle | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns, once its effect is durable; what it raises (SpoolError) else.

        A caller that is cancelled no longer waits; the call is made all the same.
        """
        if self._done_with:
            self._forget()
        return await self._order(call)

    def forget_events(self, key: str) -> None:
        """Forget events that are in a journal, together with whatever comes next: nobody waits for that."""
        self._done_with.append(key)
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(LATER_SECONDS, self._forget)

    async def close(self) -> None:
        """Finish what has been asked for, and end; the spool stays open."""
        if self._done_with:
            await asyncio.gather(self._forget(), return_exceptions=True)
        if self._thread is not None:
            self._orders.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _order(self, call: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._loop = loop
            self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = loop.create_future()
        self._orders.put(_Order(call, future))
        return future

    def _forget(self) -> asyncio.Future[None]:
        keys, self._done_with = self._done_with, []
        if self._later is not None:
            self._later.cancel()
            self._later = None
        future = self._order(lambda: self.spool.forget_events(keys))
        # Should it fail, they are written to the journal once more one day, and consumers drop them by their ids.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def _work(self) -> None:
        assert self._loop is not None
        ended = False
        while not ended and (order := self._orders.get()) is not None:
            group = [order]
            while len(group) < MOST_TOGETHER and not self._orders.empty():
                more = self._orders.get()
                if more is None:
                    ended = True
                    break
                group.append(more)
            results = self._results(group)
            try:
                self._loop.call_soon_threadsafe(_resolve, group, results)
            except RuntimeError:  # the loop was closed without close(): nobody waits any more
                return

    def _results(self, group: list[_Order]) -> list[Any]:
        try:
            return self.spool.together([order.call for order in group])
        except Exception as error:  # a defect in one of the calls: those who wait must learn it, the thread goes on
            return [error] * len(group)


def _resolve(group: list[_Order], results: list[Any]) -> None:
    for order, result in zip(group, results, strict=True):
        if order.future.done():  # whoever waited may have been cancelled
            continue
        if isinstance(result, Exception):
            # One object may be the result of several: each needs its own, for the traceback that raising adds.
            order.future.set_exception(SpoolError(str(result)) if isinstance(result, SpoolError) else result)
        else:
            order.future.set_result(result)
