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
from mailwake.first_of import first_of
from mailwake.service.collector_parts import collector_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from mailwake.service.collector_parts import Part
    from mailwake.service.worker_main import Worker

NICENESS = 10
"""Mail and clicks come first: what the collector does can wait a moment."""

LOCK_PAUSE = 0.1
RESTART_PAUSE = 5.0
"""Seconds before a part that has failed is begun again."""

END_SECONDS = 20.0
"""How long the parts may take to end, beside a webhook's attempt that is under way."""


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
        parts = await _open_parts(worker, opened)
        stop = asyncio.Event()
        running = [
            asyncio.create_task(_keep_running(part.name, part.run, stop, worker), name=part.name) for part in parts
        ]
        await first_of(worker.told.stop, worker.told.drain)
        stop.set()
        late = await late_ones(running, END_SECONDS + worker.settings.webhook_delivery.timeout)
        if late:
            # A thread of theirs may hang, and would hold up the process's end, and the next collector with it. Being
            # killed costs nothing: whatever was under way is done again.
            worker.log.error("parts of the collector do not end and are given up", parts=late)
            os._exit(1)


async def late_ones(running: Sequence[asyncio.Task[None]], seconds: float) -> list[str]:
    """Wait for the tasks, so long at most; the names of those that have not ended then."""
    _, late = await asyncio.wait(running, timeout=seconds) if running else (set(), set())
    return sorted(task.get_name() for task in late)


async def _open_parts(worker: Worker, opened: ExitStack) -> list[Part]:
    """All parts, their files in `opened`, tried for as long as it takes; none when told to go before."""
    while not worker.told.stop.is_set() and not worker.told.drain.is_set():
        try:
            with ExitStack() as files:
                parts = [*collector_parts(worker, files)]
                opened.enter_context(files.pop_all())
                return parts
        except Exception as error:  # ending would not mend it, but cost a new process again and again
            _note_failure("files", error, worker)
        await first_of(worker.told.stop, worker.told.drain, seconds=RESTART_PAUSE)
    return []


async def _keep_running(
    name: str, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]], stop: asyncio.Event, worker: Worker
) -> None:
    while not stop.is_set():
        try:
            await run(stop)
        except Exception as error:
            _note_failure(name, error, worker)
        else:
            return
        await first_of(stop, seconds=RESTART_PAUSE)


def _note_failure(part: str, error: Exception, worker: Worker) -> None:
    # To be called where it was caught: a defect of ours is logged with its traceback.
    if isinstance(error, MailwakeError):
        worker.log.error("a part of the collector has failed and is begun again", part=part, error=str(error))
    else:
        worker.log.exception("a part of the collector has failed and is begun again", part=part)
    worker.metrics.counter("collector_failures_total", part).inc()


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
