"""The collector: it moves events from the journal into the feed, and runs everything that reads it.

At a reload the new collector waits until the former one has let go of the feed; meanwhile events wait in the journal.
Whatever fails in one of its parts is logged and begun again, and hinders neither the others nor mail and clicks.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError
from mailwake.feed.lock import open_lock
from mailwake.file_lock import try_lock
from mailwake.service.collector_parts import collector_parts
from mailwake.service.life_line import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from mailwake.service.worker_main import Worker

NICENESS = 10
"""Mail and clicks come first: what the collector does can wait a moment."""

LOCK_PAUSE = 0.1
RESTART_PAUSE = 5.0
"""Seconds before a part that has failed is begun again."""


async def run_collector(worker: Worker) -> None:
    """Collect until told to stop or to drain."""
    with suppress(OSError):  # a sandbox may not allow it
        os.nice(NICENESS)
    if not await worker.may_serve():
        return
    worker.report(ready=True)
    with ExitStack() as opened:
        descriptor = await _take_feed(worker)
        if descriptor is None:
            return
        opened.callback(os.close, descriptor)
        parts = [*collector_parts(worker, opened)]
        stop = asyncio.Event()
        running = [asyncio.create_task(_keep_running(part.name, part.run, stop, worker)) for part in parts]
        await first_of(worker.told.stop, worker.told.drain)
        stop.set()
        await asyncio.gather(*running)


async def _keep_running(
    name: str, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]], stop: asyncio.Event, worker: Worker
) -> None:
    while not stop.is_set():
        try:
            await run(stop)
        except MailwakeError as error:
            worker.log.error("a part of the collector has failed and is begun again", part=name, error=str(error))
        except Exception:
            worker.log.exception("a part of the collector has failed and is begun again", part=name)
        else:
            return
        worker.metrics.counter("collector_failures_total", name).inc()
        await first_of(stop, seconds=RESTART_PAUSE)


async def _take_feed(worker: Worker) -> int | None:
    """The descriptor that holds the feed for this process; None when it is told to go before it had it."""
    descriptor = open_lock(worker.data.feed)
    waited = False
    while not try_lock(descriptor):
        if not waited:
            worker.log.info("the former collector still has the feed")
            waited = True
        await first_of(worker.told.stop, worker.told.drain, seconds=LOCK_PAUSE)
        if worker.told.stop.is_set() or worker.told.drain.is_set():
            os.close(descriptor)
            return None
    return descriptor
