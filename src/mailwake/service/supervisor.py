"""The parent of all workers: starts them, starts those that die again, adds up what they count, stops them in order."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailwake.metrics import METRICS
from mailwake.service.worker_process import WorkerProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mailwake.logs import Logger

RESTART_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker is started again, by how often in a row it has died before it served."""

GIVE_UP_AFTER = 10
"""Deaths in a row before readiness after which the service stops: something is wrong that a restart does not mend."""

_GAUGES = frozenset(metric.name for metric in METRICS if metric.gauge)


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """A worker to keep alive: its role (`smtp`, `tracker`), its name, its orders and the sockets it inherits."""

    role: str
    name: str
    orders: bytes
    sockets: Sequence[socket.socket] = field(default=())


class Supervisor:
    """Keeps the ordered workers running until `stop()`; `health()` and `totals()` are for the health port."""

    def __init__(self, orders: Sequence[WorkerOrder], log: Logger, *, grace: float = 30.0) -> None:
        self._totals: dict[tuple[str, tuple[str, ...]], float] = {}
        self._orders = orders
        self._log = log
        self._grace = grace
        self._workers: dict[str, WorkerProcess] = {}
        self._of_the_dead: defaultdict[tuple[str, tuple[str, ...]], float] = defaultdict(float)
        self._stopping = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._failed = False

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether every worker serves, and each worker's state by name."""
        states = {
            order.name: "serving" if (w := self._workers.get(order.name)) and w.ready else "starting"
            for order in self._orders
        }
        healthy = not self._stopping.is_set() and all(state == "serving" for state in states.values())
        return healthy, {"status": "ok" if healthy else "degraded", "workers": states}

    def totals(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """The counters of all workers, living and dead, added up; not changed afterwards."""
        return self._totals

    async def wait_ready(self) -> None:
        """Return when every worker has been serving at the same time, or when the service stops."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._all_ready, self._stopping)]
        _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    def stop(self) -> None:
        """Begin a graceful end."""
        self._stopping.set()

    async def run(self) -> bool:
        """Run until stopped; False when the workers could not be kept alive."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._refuse_reload)
        keepers = [asyncio.create_task(self._keep(order), name=order.name) for order in self._orders]
        await self._stopping.wait()
        self._log.info("stopping", workers=len(self._workers))
        for worker in self._workers.values():
            worker.stop()
        _, late = await asyncio.wait(keepers, timeout=self._grace) if keepers else (None, set())
        for worker in self._workers.values() if late else ():
            self._log.warning("worker did not stop in time and was killed", worker=worker.name, seconds=self._grace)
            worker.kill()
        await asyncio.gather(*keepers)
        return not self._failed

    def _refuse_reload(self) -> None:
        self._log.warning("SIGHUP: this release cannot reload its configuration; restart it instead")

    async def _keep(self, order: WorkerOrder) -> None:
        failures = 0
        while not self._stopping.is_set():
            worker = WorkerProcess(order.name, order.orders, [s.fileno() for s in order.sockets], self._add_up)
            self._workers[order.name] = worker
            status = await worker.run()
            served = worker.has_served
            self._bury(worker)
            if self._stopping.is_set():
                return
            failures = 0 if served else failures + 1
            self._mourn(order, status, failures)
            if failures >= GIVE_UP_AFTER:
                self._failed = True
                self.stop()
                return
            await self._pause(RESTART_PAUSES[min(failures, len(RESTART_PAUSES) - 1)])

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _mourn(self, order: WorkerOrder, status: int, failures: int) -> None:
        self._of_the_dead["worker_restarts_total", (order.role,)] += 1
        cause = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._log.error("worker died and is started again", worker=order.name, cause=cause, failures_in_a_row=failures)
        self._add_up()

    def _bury(self, worker: WorkerProcess) -> None:
        for key, value in worker.counters.items():
            if key[0] not in _GAUGES:
                self._of_the_dead[key] += value
        worker.counters = {}

    def _add_up(self) -> None:
        totals: defaultdict[tuple[str, tuple[str, ...]], float] = defaultdict(float, self._of_the_dead)
        for worker in self._workers.values():
            for key, value in worker.counters.items():
                totals[key] += value
        self._totals = dict(totals)  # a new object each time: the health thread may be reading the last one
        if all((w := self._workers.get(order.name)) and w.ready for order in self._orders):
            self._all_ready.set()
