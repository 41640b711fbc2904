"""The parent of all workers: it keeps one generation of them in force, changes it on SIGHUP, and ends all in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from mailwake import __version__
from mailwake.clock import SystemClock, iso_time
from mailwake.errors import MailwakeError, StartupError
from mailwake.service.generation import Generation, Stage
from mailwake.service.life_line import first_of
from mailwake.service.tally import Tally
from mailwake.service.worker_orders import ROLE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.logs import Logger
    from mailwake.service.generation import WorkerOrder
    from mailwake.service.service_manager import ServiceManager
    from mailwake.service.tally import Totals

GENERATIONS = 4
"""Generations of workers that may be alive at once: one in force, one that is being made ready, two that drain."""

READY_SECONDS = 60.0
"""How long new workers may take to get ready before a reload counts as failed."""

CLOSE_SECONDS = 5.0
"""How long is waited for the former workers to say that they accept no connection any more."""


class Change(Protocol):
    """A configuration that was read anew and found right, about to be put in force."""

    log: Logger
    """The logger that its settings ask for."""
    drain_seconds: float
    facts: Mapping[str, Any]
    """What differs from the one in force, for the log."""

    @property
    def workers(self) -> Mapping[str, int]:
        """How many workers it wants, by role."""
        ...

    def orders(self, numbers: Mapping[str, Sequence[int]]) -> list[WorkerOrder]:
        """Its workers, with these numbers by role."""
        ...

    def begin(self) -> None:
        """Have new sockets listen; StartupError when that fails. New workers serve next."""
        ...

    def accept(self) -> None:
        """Take it as the configuration in force from now on."""
        ...

    def refuse(self) -> None:
        """Let go of what it had taken: it will not be used."""
        ...


class Reloader(Protocol):
    """Where the supervisor gets a new configuration from."""

    async def read(self) -> Change:
        """Read and check it, completely; MailwakeError, one line, for whatever keeps it from being used."""
        ...


class Supervisor:
    """Keeps the ordered workers running until `stop()`; `health()` and `totals()` are for the health port.

    `reloader` is asked for another configuration on SIGHUP. At most GENERATIONS of workers are alive at once; before
    there would be more, the oldest that drains is hastened to its end.
    """

    def __init__(
        self,
        orders: Sequence[WorkerOrder],
        log: Logger,
        reloader: Reloader,
        manager: ServiceManager,
        *,
        grace: float = 30.0,
    ) -> None:
        self._manager = manager
        self._log = log
        self._reloader = reloader
        self._grace = grace
        self._tally = Tally()
        self._started = SystemClock().now()
        self._stopping = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._failed = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._current = self._generation(orders, Stage.FORCE)
        self._alive = [self._current]  # the oldest first

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether every worker of the configuration in force serves, and each living worker by name."""
        healthy = not self._stopping.is_set() and self._current.ready
        states: dict[str, dict[str, Any]] = {}
        for generation in list(self._alive):
            states |= generation.states()
        status = "ok" if healthy else "degraded"
        own = {"pid": os.getpid(), "version": __version__, "started": iso_time(self._started)}
        return healthy, {"status": status, **own, "workers": states}

    @property
    def status(self) -> str:
        """What runs, in a few words for people."""
        count = Counter(order.role for order in self._current.orders)
        return (
            f"mailwake {__version__}: " + ", ".join(f"{number} {role}" for role, number in count.items()) + " workers"
        )

    def totals(self) -> Totals:
        """The counters of all workers, living and dead, added up; not changed afterwards."""
        return self._tally.totals

    async def wait_ready(self) -> None:
        """Return when every worker has been serving at the same time, or when the service stops."""
        await first_of(self._all_ready, self._stopping)

    def stop(self) -> None:
        """Begin a graceful end."""
        self._stopping.set()

    async def run(self) -> bool:
        """Run until stopped; False when the workers could not be kept alive."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        self._current.start()
        reloading = asyncio.create_task(self._reload_when_hung_up())
        await self._stopping.wait()
        reloading.cancel()
        self._manager.stopping()
        self._log.info("stopping", workers=sum(len(generation.states()) for generation in self._alive))
        for generation in self._alive:
            generation.stop()
        await asyncio.gather(*(generation.end(self._grace) for generation in list(self._alive)))
        await asyncio.gather(reloading, *self._retiring, return_exceptions=True)
        return not self._failed

    def _generation(self, orders: Sequence[WorkerOrder], stage: Stage) -> Generation:
        return Generation(
            orders, stage, self._tally, self._log, on_report=self._note_readiness, on_hopeless=self._give_up
        )

    def _note_readiness(self) -> None:
        if self._current.ready:
            self._all_ready.set()

    def _give_up(self) -> None:
        self._failed = True
        self.stop()

    # --- reload

    async def _reload_when_hung_up(self) -> None:
        await self.wait_ready()
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()  # a SIGHUP from now on asks for another reload after this one
            self._manager.reloading("reloading the configuration")
            try:
                change = await self._reloader.read()
                await self._put_in_force(change)
            except MailwakeError as error:
                self._refuse(str(error))
            except Exception as error:  # a reload that fails by a mistake of ours must not end a running service
                self._refuse(f"{type(error).__name__}: {error}", exc_info=True)
            self._manager.ready(self.status)

    def _refuse(self, error: str, **facts: Any) -> None:
        self._tally.count("config_reloads_total", "refused")
        self._log.error("configuration not reloaded, the running one stays in force", error=error, **facts)

    async def _put_in_force(self, change: Change) -> None:
        try:
            numbers = await self._make_room(change.workers)
            generation = self._generation(change.orders(numbers), Stage.TRIAL)
            self._alive.append(generation)
            try:
                await self._bring_up(generation, change)
            except BaseException:
                # Those that serve already have clients, who are no less welcome for what became of the others.
                self._retire(generation, change.drain_seconds)
                raise
        except BaseException:
            change.refuse()
            raise
        await self._adopt(generation, change)

    async def _bring_up(self, generation: Generation, change: Change) -> None:
        generation.start()
        await generation.prepare(READY_SECONDS)
        change.begin()
        await generation.serve(READY_SECONDS)

    async def _adopt(self, generation: Generation, change: Change) -> None:
        former, self._current = self._current, generation
        generation.stage = Stage.FORCE
        self._log = change.log
        change.accept()
        self._retire(former, change.drain_seconds)
        await former.closed(CLOSE_SECONDS)  # whoever connects once it has been said is served under the new settings
        self._tally.count("config_reloads_total", "accepted")
        self._log.info("configuration reloaded", **change.facts)

    def _retire(self, generation: Generation, seconds: float) -> None:
        generation.drain(seconds)
        task = asyncio.create_task(self._see_off(generation, seconds + self._grace))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _see_off(self, generation: Generation, seconds: float) -> None:
        await generation.end(seconds)
        self._alive.remove(generation)
        self._log.info("workers of a former configuration have ended", workers=[o.name for o in generation.orders])

    async def _make_room(self, wanted: Mapping[str, int]) -> dict[str, list[int]]:
        """Numbers for new workers that no living one has; hastens the oldest drain until there are enough."""
        for role, count in wanted.items():
            if count > len(self._free_numbers(role, [self._current])):
                raise StartupError(
                    f"workers: {count} new {role} workers beside the running ones are more than {ROLE_NUMBERS[role]}; "
                    "restart mailwake instead"
                )
        while True:
            free = {role: self._free_numbers(role, self._alive) for role in wanted}
            if len(self._alive) < GENERATIONS and all(len(free[role]) >= count for role, count in wanted.items()):
                return {role: free[role][:count] for role, count in wanted.items()}
            oldest = next(generation for generation in self._alive if generation is not self._current)
            oldest.hasten()
            await oldest.ended.wait()
            await asyncio.sleep(0)  # the task that saw it off takes it from the list

    def _free_numbers(self, role: str, living: Sequence[Generation]) -> list[int]:
        taken = {order.number for generation in living for order in generation.orders if order.role == role}
        return [number for number in range(ROLE_NUMBERS[role]) if number not in taken]
