"""The workers of one configuration: made ready beside those of the last one, kept alive, and let go in the end."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from mailwake.errors import StartupError
from mailwake.first_of import first_of
from mailwake.service.handover import SavedGeneration
from mailwake.service.worker_process import STATUS_UNKNOWN, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.logs import Logger
    from mailwake.service.fork_server import ForkServer
    from mailwake.service.tally import Tally

RESTART_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker is started again, by how often in a row it has died before it served."""

GIVE_UP_AFTER = 10
"""Deaths in a row before readiness after which the service stops: something is wrong that a restart does not mend."""


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """A worker to keep alive: its role, its number among the role's workers, orders, what it inherits."""

    role: str
    number: int
    orders: bytes
    descriptors: Sequence[int] = ()

    @property
    def name(self) -> str:
        """The worker's name; no two living workers share one."""
        return f"{self.role}-{self.number}"


class Stage(Enum):
    """Where a generation is; a worker that dies is started again in FORCE only."""

    TRIAL = "trial"
    """It is being made ready while another serves: the first death fails it."""
    FORCE = "force"
    DRAINING = "draining"
    """It takes nothing new and ends when its clients have left."""
    ENDING = "ending"


class Generation:
    """The workers for `orders`; `start()` them, then `drain()` or `stop()` them; `ended` is set when none is left."""

    def __init__(
        self,
        orders: Sequence[WorkerOrder],
        stage: Stage,
        tally: Tally,
        log: Logger,
        *,
        on_report: Callable[[], None],
        on_hopeless: Callable[[], None],
        forks: ForkServer | None = None,
    ) -> None:
        self.orders = orders
        self.stage = stage
        self.ended = asyncio.Event()
        self._tally = tally
        self._log = log
        self._on_report = on_report
        self._on_hopeless = on_hopeless
        self._forks = forks
        self._workers: dict[str, WorkerProcess] = {}
        self._adopted: dict[str, WorkerProcess] = {}
        self._of_former_version = False
        self.ends_at: float | None = None
        """When, in seconds of the event loop's clock, a drain is cut off."""
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._serving = False
        self._failure = ""

    def __repr__(self) -> str:
        return f"<Generation {self.stage.value} {list(self._workers.values())}>"

    @property
    def ready(self) -> bool:
        """Whether every worker serves."""
        return all((w := self._workers.get(order.name)) and w.ready for order in self.orders)

    @property
    def deserted(self) -> bool:
        """Whether nobody of it takes mail or answers clicks any more, nor will again."""
        living = {order.name for order in self.orders if order.role != "collector"} & self._workers.keys()
        return self.ended.is_set() or (self._of_former_version and not living)

    def states(self) -> dict[str, dict[str, Any]]:
        """Each worker's state by name, with its process id, version and start, for people."""
        workers = dict(self._workers)
        if self.stage in (Stage.DRAINING, Stage.ENDING):
            return {name: {"state": "draining", **worker.facts()} for name, worker in workers.items()}
        return {order.name: _state(workers.get(order.name)) for order in self.orders}

    def start(self) -> None:
        """Start every worker; a generation in force serves as soon as it can."""
        self._serving = self.stage is Stage.FORCE
        self._keeping = asyncio.create_task(self._keep_all())

    @classmethod
    def adopt(
        cls,
        saved: SavedGeneration,
        tally: Tally,
        log: Logger,
        *,
        on_report: Callable[[], None],
        on_hopeless: Callable[[], None],
    ) -> Generation:
        """Workers that the former version of this process has started; none of them can be started again."""
        orders = [WorkerOrder(role, number, b"") for role, number in saved.orders]
        stage = Stage.FORCE if saved.ends_at is None else Stage.DRAINING
        generation = cls(orders, stage, tally, log, on_report=on_report, on_hopeless=on_hopeless)
        generation._adopted = {each.name: WorkerProcess.adopt(each, generation._report) for each in saved.workers}
        generation._workers = dict(generation._adopted)  # /healthz and /metrics may be asked before `start()`
        for worker in generation._adopted.values():
            tally.enrol(worker)
        generation._of_former_version = True
        generation.ends_at = saved.ends_at
        if saved.ends_at is not None:
            generation._leaving.set()
        return generation

    def save(self) -> SavedGeneration:
        """What `adopt` needs."""
        workers = [saved for worker in self._workers.values() if (saved := worker.save()) is not None]
        orders = [(order.role, order.number) for order in self.orders]
        return SavedGeneration(orders=orders, workers=workers, ends_at=self.ends_at)

    async def prepare(self, patience: float) -> None:
        """Return when every worker has made all it needs; StartupError says which one could not, or not in time."""
        await self._reach(lambda worker: worker.prepared, "get ready", patience)

    async def serve(self, patience: float) -> None:
        """Have every worker accept connections, and return when all of them do; StartupError as for `prepare`."""
        self._serving = True
        for worker in self._workers.values():
            worker.serve()
        await self._reach(lambda worker: worker.ready, "serve", patience)

    async def _reach(self, goal: Callable[[WorkerProcess], bool], what: str, patience: float) -> None:
        deadline = asyncio.get_running_loop().time() + patience
        while not self._failure:
            late = [o.name for o in self.orders if not ((w := self._workers.get(o.name)) and goal(w))]
            if not late:
                return
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                self._failure = f"worker {late[0]} did not {what} within {patience:g} seconds"
                break
            self._changed.clear()
            await first_of(self._changed, seconds=left)
        raise StartupError(self._failure)

    def drain(self, seconds: float) -> None:
        """Take nothing new; each worker ends when its clients have left, after `seconds` at the latest."""
        self.stage = Stage.DRAINING
        self._leaving.set()
        for worker in self._workers.values():
            worker.drain(seconds)

    async def closed(self, patience: float) -> None:
        """Return when no SMTP worker accepts connections any more, or after `patience` seconds; `drain` comes first."""
        deadline = asyncio.get_running_loop().time() + patience
        names = [order.name for order in self.orders if order.role == "smtp"]
        while any(name in self._workers and not self._workers[name].closed for name in names):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            self._changed.clear()
            await first_of(self._changed, self.ended, seconds=left)

    def hasten(self) -> None:
        """End a drain early: SMTP clients between messages get 421; those of a tracker are soon gone by themselves."""
        for order in self.orders:
            if order.role == "smtp" and order.name in self._workers:
                self._workers[order.name].stop()

    def stop(self) -> None:
        """Begin a graceful end: messages and requests in hand are finished, everybody else has to go."""
        self.stage = Stage.ENDING
        self._leaving.set()
        for worker in self._workers.values():
            worker.stop()

    async def end(self, grace: float) -> None:
        """Return when every worker has ended, by force after `grace` seconds; `drain` or `stop` comes first."""
        await first_of(self.ended, seconds=grace)
        for worker in self._workers.values() if not self.ended.is_set() else ():
            self._log.warning("worker did not stop in time and was killed", worker=worker.name, seconds=grace)
            worker.kill()
        await self._keeping

    async def _keep_all(self) -> None:
        await asyncio.gather(*(self._keep(order) for order in self.orders))
        self.ended.set()

    async def _keep(self, order: WorkerOrder) -> None:
        failures = 0
        while order.name in self._adopted or not self._leaving.is_set():
            if self._of_former_version and order.name not in self._adopted:
                return  # a former version's worker that has no process: only its own version could start it
            worker, status = await self._live(order)
            if self.stage is not Stage.FORCE:
                self._note_end(order, status)
                return
            if self._of_former_version:
                self._tally.count("worker_restarts_total", order.role)
                self._log.error("worker of the former version died", worker=order.name, cause=_cause(status))
                self._on_hopeless()
                return
            failures = 0 if worker.has_served else failures + 1
            self._mourn(order, status, failures)
            if failures >= GIVE_UP_AFTER and order.role != "collector":  # mail and clicks go on without one
                self._on_hopeless()
                return
            await first_of(self._leaving, seconds=RESTART_PAUSES[min(failures, len(RESTART_PAUSES) - 1)])

    async def _live(self, order: WorkerOrder) -> tuple[WorkerProcess, int]:
        worker = self._adopted.pop(order.name, None)
        if worker is None:
            worker = WorkerProcess(order.name, order.orders, order.descriptors, self._report, self._forks)
            if self._serving:
                worker.serve()
            self._tally.enrol(worker)
        self._workers[order.name] = worker
        try:
            return worker, await worker.run()
        except OSError as error:  # no memory, or as many processes as there may be: that passes
            self._log.error("worker cannot be started", worker=order.name, error=str(error))
            return worker, STATUS_UNKNOWN
        finally:
            del self._workers[order.name]
            self._tally.bury(worker)

    def _report(self) -> None:
        self._tally.add_up()
        self._changed.set()
        self._on_report()

    def _note_end(self, order: WorkerOrder, status: int) -> None:
        if self.stage is Stage.TRIAL:
            self._failure = f"worker {order.name} ended with {_cause(status)} before it served; its own line says why"
            self._changed.set()
        elif status not in (0, -signal.SIGTERM) and self.stage is Stage.DRAINING:  # SIGTERM: we ended it ourselves
            self._log.error("worker died while it drained", worker=order.name, cause=_cause(status))

    def _mourn(self, order: WorkerOrder, status: int, failures: int) -> None:
        self._tally.count("worker_restarts_total", order.role)
        self._log.error(
            "worker died and is started again", worker=order.name, cause=_cause(status), failures_in_a_row=failures
        )


def _state(worker: WorkerProcess | None) -> dict[str, Any]:
    if worker is None:
        return {"state": "starting"}
    return {"state": "serving" if worker.ready else "starting", **worker.facts()}


def _cause(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
