"""A thread for the blocking calls of one sink, so that a disk or a pipe that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

Order = tuple["Callable[[], Any]", "asyncio.Future[Any] | None"]


class OwnThread:
    """Runs calls one after the other; a daemon, so that a call that never returns does not keep the process alive."""

    def __init__(self, name: str) -> None:
        self.ending = threading.Event()
        """Set when the thread is to end; calls that wait in small steps look at it between them. Each start has one."""
        self._name = name
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises, from the thread; when the caller is cancelled it goes on there."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._order((call, future))
        return await future

    def start(self, call: Callable[[], None]) -> None:
        """Run a call that nobody waits for, and that raises nothing."""
        self._order((call, None))

    def end(self) -> None:
        """End after the calls that are in hand; a later call begins anew."""
        self.ending.set()
        self._orders.put(None)
        self._thread = None

    def _order(self, order: Order) -> None:
        if self._thread is None:
            self.ending = threading.Event()
            self._orders = queue.SimpleQueue()
            self._thread = threading.Thread(target=_work, args=(self._orders,), name=self._name, daemon=True)
            self._thread.start()
        self._orders.put(order)


def _work(orders: queue.SimpleQueue[Order | None]) -> None:
    while (order := orders.get()) is not None:
        call, future = order
        try:
            result, error = call(), None
        except BaseException as raised:
            result, error = None, raised
        if future is not None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and whoever waited
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
        del order, call, future, result, error  # not kept until the next one comes


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
