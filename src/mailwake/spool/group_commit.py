"""A spool for an event loop: calls that come together share one disk sync, and no sync holds up the loop.

One group is under way at a time, and the next one is whatever has come meanwhile: under load a sync serves many calls,
and a lone call waits for one sync. What may wait (for other writers, for the disk) runs in a thread of its own, the
calls between in the loop: SQLite lets go of the interpreter at every statement, and a thread that has to win it back
ten times a message from a busy loop would be far slower. Large calls go to the thread all the same.
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

MOST_TOGETHER = 64
"""Calls of one group at most: the loop and other workers wait for them."""

LARGE = 1 << 20
"""Octets from which on a group's calls are made in the thread."""

LATER_SECONDS = 1.0
"""How long what nobody waits for may wait for company."""


class _Order(NamedTuple):
    call: Callable[[], Any]
    octets: int
    future: asyncio.Future[Any]


class _Work(NamedTuple):
    call: Callable[[], Any]
    then: Callable[[Any], None]


class GroupCommit:
    """Runs calls of `spool` for one event loop."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._waiting: list[_Order] = []
        self._busy = False
        self._idle: asyncio.Future[None] | None = None
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done_with: list[str] = []
        self._later: asyncio.TimerHandle | None = None

    async def run(self, call: Callable[[], T], octets: int = 0) -> T:
        """What `call` returns, once its effect is durable; what it raises (SpoolError) else.

        `octets` says how much it moves. A caller that is cancelled no longer waits; the call is made all the same.
        """
        if self._done_with:
            self._forget()
        return await self._order(call, octets)

    def forget_events(self, key: str) -> None:
        """Forget events that are in a journal, together with whatever comes next: nobody waits for that."""
        self._done_with.append(key)
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(LATER_SECONDS, self._forget)

    async def close(self) -> None:
        """Finish what has been asked for, and end; the spool stays open."""
        if self._done_with:
            self._forget()
        while self._busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        if self._thread is not None:
            self._work.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _order(self, call: Callable[[], T], octets: int) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._loop = loop
            self._thread = threading.Thread(target=self._serve, name="spool", daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Order(call, octets, future))
        if not self._busy:
            # Not at once: what else this turn of the loop asks for goes into the same group.
            self._busy = True
            loop.call_soon(self._begin)
        return future

    def _forget(self) -> None:
        keys, self._done_with = self._done_with, []
        if self._later is not None:
            self._later.cancel()
            self._later = None
        future = self._order(lambda: self.spool.forget_events(keys), 0)
        # Should it fail, they are written to the journal once more one day, and readers drop them by their ids.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    # --- one group after the other

    def _begin(self) -> None:
        thread = threading.get_ident()
        self._work.put(_Work(lambda: self.spool.open_group(thread), self._opened))

    def _opened(self, error: Exception | None) -> None:
        group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        calls = [order.call for order in group]
        if error is not None:
            self._end(group, [error] * len(group))
        elif sum(order.octets for order in group) >= LARGE:
            self._work.put(_Work(lambda: self._make(calls), lambda results: self._made(group, results)))
        else:
            self._made(group, self._make(calls))

    def _make(self, calls: list[Callable[[], Any]]) -> list[Any] | Exception:
        try:
            return self.spool.call_in_group(calls)
        except Exception as error:  # of a full disk, or of a defect in one of the calls
            return error

    def _made(self, group: list[_Order], results: list[Any] | Exception) -> None:
        if isinstance(results, Exception):
            self._make_alone(group)
        else:
            self._work.put(_Work(self.spool.close_group, lambda error: self._closed(group, results, error)))

    def _closed(self, group: list[_Order], results: list[Any], error: Exception | None) -> None:
        if error is not None:
            self._make_alone(group)
        else:
            self._end(group, results)

    def _make_alone(self, group: list[_Order]) -> None:
        """Nothing was done; those that need no room, or have no defect, may still succeed by themselves."""

        def alone() -> list[Any]:
            results: list[Any] = []
            for order in group:
                try:
                    results.append(order.call())
                except Exception as error:  # whatever it is belongs to who waits for it
                    results.append(error)
            return results

        self._work.put(_Work(alone, lambda results: self._end(group, results)))

    def _end(self, group: list[_Order], results: list[Any]) -> None:
        for order, result in zip(group, results, strict=True):
            if order.future.done():  # whoever waited may have been cancelled
                continue
            if isinstance(result, Exception):
                # One object may be the result of several: each needs its own, for the traceback that raising adds.
                order.future.set_exception(SpoolError(str(result)) if isinstance(result, SpoolError) else result)
            else:
                order.future.set_result(result)
        if self._waiting:
            self._begin()
        else:
            self._busy = False
            if self._idle is not None:
                self._idle.set_result(None)
                self._idle = None

    def _serve(self) -> None:
        assert self._loop is not None
        while (work := self._work.get()) is not None:
            try:
                result = work.call()
            except Exception as error:  # goes to who waits
                result = error
            try:
                self._loop.call_soon_threadsafe(work.then, result)
            except RuntimeError:  # the loop was closed without close(): nobody waits any more
                return
