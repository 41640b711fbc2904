"""The parent of all workers: it keeps one generation of them in force, changes it on SIGHUP, and ends all in order.

On SIGUSR2 it makes room for another version of itself, in the same process; see `service/upgrade.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mailwake import __version__
from mailwake.clock import SystemClock, iso_time
from mailwake.errors import MailwakeError, StartupError
from mailwake.first_of import first_of
from mailwake.service.generation import Generation, Stage
from mailwake.service.handover import SavedSupervisor
from mailwake.service.tally import Tally
from mailwake.service.worker_orders import ROLE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.logs import Logger
    from mailwake.service.fork_server import ForkServer
    from mailwake.service.generation import WorkerOrder
    from mailwake.service.service_manager import ServiceManager
    from mailwake.service.tally import Totals

GENERATIONS = 4
"""Generations of workers that may be alive at once: one in force, one that is being made ready, two that drain."""

READY_SECONDS = 60.0
"""How long new workers may take to get ready before a reload counts as failed."""

CLOSE_SECONDS = 5.0
"""How long is waited for the former workers to say that they accept no connection any more."""


HELD_BACK = frozenset({signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT})
"""Signals that wait while one version becomes the other."""


class Asked(Enum):
    """What the supervisor can be asked to change."""

    RELOAD = "a reload"
    UPGRADE = "an upgrade"
    TAKE_OVER = "the second half of an upgrade"


class _Outcome(NamedTuple):
    metric: str
    accepted: str
    refused: str


OUTCOMES = {
    Asked.RELOAD: _Outcome(
        "config_reloads_total",
        "configuration reloaded",
        "configuration not reloaded, the running one stays in force",
    ),
    Asked.UPGRADE: _Outcome("upgrades_total", "", "not upgraded, the running version stays in force"),
    Asked.TAKE_OVER: _Outcome(
        "upgrades_total",
        "upgraded",
        "upgraded in part: workers of the former version stay in force until a reload or an upgrade succeeds",
    ),
}
"""What is counted and logged of each; an upgrade that is accepted goes on as a take-over."""


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


class Upgrader(Protocol):
    """How the supervisor is replaced by another version of itself."""

    former: str
    """The version that it took over from, "" if it was started."""

    async def check(self, saved: SavedSupervisor) -> None:
        """Have the other version try everything but to serve; MailwakeError, one line, says why it cannot."""
        ...

    async def replace(self, save: Callable[[], SavedSupervisor]) -> None:
        """Become it, and never return; MailwakeError, with all as before, when that fails."""
        ...


class Supervisor:
    """Keeps the ordered workers running until `stop()`; `health()` and `totals()` are for the health port.

    Its workers are those of `orders`, or those that a former version has `saved`, which others are to replace. At most
    GENERATIONS of workers are alive at once; before there would be more, the oldest that drains is hastened to its end.
    """

    def __init__(
        self,
        workers: Sequence[WorkerOrder] | SavedSupervisor,
        log: Logger,
        reloader: Reloader,
        upgrader: Upgrader,
        manager: ServiceManager,
        *,
        forks: ForkServer | None = None,
        grace: float = 30.0,
    ) -> None:
        self._manager = manager
        self._forks = forks
        self._log = log
        self._reloader = reloader
        self._upgrader = upgrader
        self._grace = grace
        self._tally = Tally()
        self._started = SystemClock().now()
        self._stopping = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._asked: list[Asked] = []
        self._anything_asked = asyncio.Event()
        self._failed = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._alive: list[Generation] = []  # the oldest first
        if isinstance(workers, SavedSupervisor):
            self._take_over(workers)
        else:
            self._alive.append(self._generation(workers, Stage.FORCE))
        self._current = next(each for each in self._alive if each.stage is Stage.FORCE)

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
        loop.add_signal_handler(signal.SIGHUP, self._ask, Asked.RELOAD)
        loop.add_signal_handler(signal.SIGUSR2, self._ask, Asked.UPGRADE)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)  # what came while one version became the other
        for generation in self._alive:
            generation.start()
            if generation.ends_at is not None:
                self._see_off_later(generation, generation.ends_at - loop.time())
        changing = asyncio.create_task(self._change_when_asked())
        await self._stopping.wait()
        changing.cancel()
        self._manager.stopping()
        self._log.info("stopping", workers=sum(len(generation.states()) for generation in self._alive))
        for generation in self._alive:
            generation.stop()
        await asyncio.gather(*(generation.end(self._grace) for generation in list(self._alive)))
        await asyncio.gather(changing, *self._retiring, return_exceptions=True)
        return not self._failed

    def _generation(self, orders: Sequence[WorkerOrder], stage: Stage) -> Generation:
        return Generation(
            orders,
            stage,
            self._tally,
            self._log,
            on_report=self._note_readiness,
            on_hopeless=self._give_up,
            forks=self._forks,
        )

    def _note_readiness(self) -> None:
        if self._current.ready:
            self._all_ready.set()

    def _give_up(self) -> None:
        self._failed = True
        self.stop()

    # --- reload and upgrade

    def _ask(self, what: Asked) -> None:
        if what not in self._asked:  # one that has not begun yet will do for both
            self._asked.append(what)
        self._anything_asked.set()

    async def _change_when_asked(self) -> None:
        if Asked.TAKE_OVER not in self._asked:
            await self.wait_ready()
        while True:
            await self._anything_asked.wait()
            self._anything_asked.clear()
            while self._asked:
                await self._change(self._asked.pop(0))

    async def _change(self, asked: Asked) -> None:
        self._manager.reloading(f"{asked.value} has begun")
        try:
            if asked is Asked.UPGRADE:
                await self._upgrade()
            else:
                await self._put_in_force(await self._reloader.read(), asked)
        except MailwakeError as error:
            self._refuse(asked, str(error))
        except Exception as error:  # a change that fails by a mistake of ours must not end a running service
            self._refuse(asked, f"{type(error).__name__}: {error}", exc_info=True)
        self._manager.ready(self.status)

    def _refuse(self, asked: Asked, error: str, **facts: Any) -> None:
        outcome = OUTCOMES[asked]
        self._tally.count(outcome.metric, "refused")
        self._log.error(outcome.refused, error=error, **facts)
        if self._current.deserted:
            self._give_up()  # nobody serves, and nobody can be made to

    async def _upgrade(self) -> None:
        self._log.info("upgrading", version=__version__)
        await self._upgrader.check(self._save())
        await self._upgrader.replace(self._save)

    def _save(self) -> SavedSupervisor:
        return SavedSupervisor(
            generations=[generation.save() for generation in self._alive],
            counters=self._tally.settled(),
            asked=[asked.name for asked in self._asked],
        )

    def _take_over(self, saved: SavedSupervisor) -> None:
        self._asked = [Asked.TAKE_OVER, *(Asked[name] for name in saved.asked if name in Asked.__members__)]
        self._anything_asked.set()
        for each in saved.generations:
            self._alive.append(
                Generation.adopt(
                    each,
                    self._tally,
                    self._log,
                    on_report=self._note_readiness,
                    on_hopeless=lambda: self._ask(Asked.RELOAD),  # whoever has died can only be replaced
                )
            )
        self._tally.settle(saved.counters)

    async def _put_in_force(self, change: Change, asked: Asked) -> None:
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
        await self._adopt(generation, change, asked)

    async def _bring_up(self, generation: Generation, change: Change) -> None:
        generation.start()
        await generation.prepare(READY_SECONDS)
        change.begin()
        await generation.serve(READY_SECONDS)

    async def _adopt(self, generation: Generation, change: Change, asked: Asked) -> None:
        former, self._current = self._current, generation
        generation.stage = Stage.FORCE
        self._log = change.log
        change.accept()
        self._retire(former, change.drain_seconds)
        await former.closed(CLOSE_SECONDS)  # whoever connects once it has been said is served under the new settings
        outcome = OUTCOMES[asked]
        self._tally.count(outcome.metric, "accepted")
        versions = {"version": __version__, "former": self._upgrader.former} if asked is Asked.TAKE_OVER else {}
        self._log.info(outcome.accepted, **versions, **change.facts)

    def _retire(self, generation: Generation, seconds: float) -> None:
        generation.drain(seconds)
        generation.ends_at = asyncio.get_running_loop().time() + seconds + self._grace
        self._see_off_later(generation, seconds + self._grace)

    def _see_off_later(self, generation: Generation, seconds: float) -> None:
        task = asyncio.create_task(self._see_off(generation, seconds))
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
