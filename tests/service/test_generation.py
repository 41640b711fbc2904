"""Generations with workers that do what the test says instead of processes; real ones are in tests/scenarios."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailwake.errors import StartupError
from mailwake.logs import make_logger
from mailwake.service import generation as module
from mailwake.service.generation import GIVE_UP_AFTER, Generation, Stage, WorkerOrder
from mailwake.service.tally import Tally

PATIENCE = 20.0


class FakeWorker:
    """A worker process that reports and ends when it is told to by the test, or asked to by its generation."""

    made: list[FakeWorker]
    dies_at_once = False

    def __init__(
        self, name: str, orders: bytes, descriptors: list[int], on_report: Callable[[], None], forks: None = None
    ) -> None:
        self.name = name
        self.prepared = self.ready = self.has_served = False
        self.version, self.pid = "", 0
        self.counters: dict[tuple[str, tuple[str, ...]], float] = {}
        self.told: list[str] = []
        self._on_report = on_report
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        type(self).made.append(self)
        if self.dies_at_once:
            self.end(1)

    async def run(self) -> int:
        return await self._end

    def report(self, *, prepared: bool = False, ready: bool = False, count: float | None = None) -> None:
        self.prepared = self.prepared or prepared
        self.ready = self.has_served = self.ready or ready
        if count is not None:
            self.counters = {("events_total", ("click",)): count, ("smtp_connections_open", ()): 1.0}
        self._on_report()

    def end(self, status: int) -> None:
        if not self._end.done():
            self._end.set_result(status)

    def serve(self) -> None:
        self.told.append("serve")

    def drain(self, seconds: float) -> None:
        self.told.append(f"drain {seconds:g}")

    def stop(self) -> None:
        self.told.append("stop")

    def kill(self) -> None:
        self.told.append("kill")
        self.end(-9)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    class Fresh(FakeWorker):
        made: list[FakeWorker] = []  # noqa: RUF012  # one list a test

    monkeypatch.setattr(module, "WorkerProcess", Fresh)
    monkeypatch.setattr(module, "RESTART_PAUSES", (0.0,))
    return Fresh.made


def _generation(stage: Stage, tally: Tally | None = None, on_hopeless: Callable[[], None] = lambda: None) -> Generation:
    orders = [WorkerOrder("smtp", 0, b""), WorkerOrder("tracker", 3, b"")]
    log: Any = make_logger("json", "error")
    return Generation(orders, stage, tally or Tally(), log, on_report=lambda: None, on_hopeless=on_hopeless)


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # conditions of objects that know no events
            await asyncio.sleep(0)


async def _end(generation: Generation, workers: list[FakeWorker]) -> None:
    generation.stop()
    for worker in workers:
        worker.end(0)
    await generation.end(PATIENCE)


async def test_on_trial_nobody_serves_before_all_are_prepared(workers: list[FakeWorker]) -> None:
    generation = _generation(Stage.TRIAL)
    generation.start()
    preparing = asyncio.create_task(generation.prepare(PATIENCE))
    await _until(lambda: len(workers) == 2)
    workers[0].report(prepared=True)
    await asyncio.sleep(0.01)
    assert not preparing.done()
    workers[1].report(prepared=True)
    await preparing
    assert [worker.told for worker in workers] == [[], []]
    serving = asyncio.create_task(generation.serve(PATIENCE))
    await _until(lambda: all(worker.told == ["serve"] for worker in workers))
    workers[0].report(ready=True)
    workers[1].report(ready=True)
    await serving
    assert generation.ready
    await _end(generation, workers)


async def test_a_worker_that_dies_on_trial_is_named_and_not_started_again(workers: list[FakeWorker]) -> None:
    generation = _generation(Stage.TRIAL)
    generation.start()
    await _until(lambda: len(workers) == 2)
    workers[1].end(-11)
    with pytest.raises(StartupError, match="tracker-3 ended with signal SIGSEGV before it served"):
        await generation.prepare(PATIENCE)
    generation.drain(0)
    workers[0].end(0)
    await generation.end(PATIENCE)
    assert len(workers) == 2


async def test_a_worker_that_never_gets_ready_is_named_and_in_the_end_killed(workers: list[FakeWorker]) -> None:
    generation = _generation(Stage.TRIAL)
    generation.start()
    await _until(lambda: len(workers) == 2)
    workers[0].report(prepared=True)
    with pytest.raises(StartupError, match=r"tracker-3 did not get ready within 0\.1 seconds"):
        await generation.prepare(0.1)
    generation.drain(0)
    await generation.end(0.1)
    assert workers[1].told == ["drain 0", "kill"]


@pytest.mark.parametrize(("status", "lines"), [(-15, 0), (0, 0), (-9, 1), (1, 1)])
async def test_in_a_drain_an_end_that_we_asked_for_is_no_news(
    workers: list[FakeWorker], capfd: pytest.CaptureFixture[str], status: int, lines: int
) -> None:
    """A worker that has no handler yet dies of the SIGTERM that tells it to stop."""
    generation = _generation(Stage.FORCE)
    generation.start()
    await _until(lambda: len(workers) == 2)
    generation.drain(0)
    generation.hasten()
    for worker in workers:
        worker.end(status if worker.name == "smtp-0" else 0)
    await generation.end(PATIENCE)
    assert capfd.readouterr().err.count("worker died while it drained") == lines


async def test_in_force_a_worker_that_dies_comes_back_and_in_a_drain_it_does_not(workers: list[FakeWorker]) -> None:
    generation = _generation(Stage.FORCE)
    generation.start()
    await _until(lambda: len(workers) == 2)
    assert [worker.told for worker in workers] == [["serve"], ["serve"]]
    for worker in workers:
        worker.report(prepared=True, ready=True)
    workers[0].end(-9)
    await _until(lambda: len(workers) == 3)
    assert (workers[2].name, workers[2].told) == ("smtp-0", ["serve"])
    generation.drain(7)
    assert (workers[1].told[-1], workers[2].told[-1]) == ("drain 7", "drain 7")
    generation.hasten()
    assert (workers[1].told[-1], workers[2].told[-1]) == ("drain 7", "stop")  # a tracker's clients leave by themselves
    workers[1].end(-9)
    workers[2].end(0)
    await generation.end(PATIENCE)
    assert len(workers) == 3


async def test_a_service_whose_workers_never_serve_gives_up(workers: list[FakeWorker]) -> None:
    given_up = asyncio.Event()
    generation = _generation(Stage.FORCE, on_hopeless=given_up.set)
    FakeWorker.dies_at_once = True
    try:
        generation.start()
        async with asyncio.timeout(PATIENCE):
            await given_up.wait()
    finally:
        FakeWorker.dies_at_once = False
    generation.stop()
    await generation.end(PATIENCE)
    assert len(workers) >= GIVE_UP_AFTER


async def test_totals_never_go_back_when_workers_end_and_gauges_do(workers: list[FakeWorker]) -> None:
    tally = Tally()
    former, present = _generation(Stage.FORCE, tally), _generation(Stage.TRIAL, tally)
    former.start()
    present.start()
    await _until(lambda: len(workers) == 4)
    for worker in workers:
        worker.report(prepared=True, ready=True, count=5)
    click, connections = ("events_total", ("click",)), ("smtp_connections_open", ())
    assert (tally.totals[click], tally.totals[connections]) == (20, 4)
    former.drain(1)
    workers[0].report(count=6)
    workers[0].end(0)
    workers[1].end(0)
    await former.end(PATIENCE)
    assert (tally.totals[click], tally.totals[connections]) == (21, 2)
    await _end(present, workers)
    assert (tally.totals[click], tally.totals.get(connections, 0)) == (21, 0)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_worker_that_the_system_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    really, refused = subprocess.Popen, 0

    def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")  # as with systemd's TasksMax
        return really([sys.executable, "-c", "import sys; sys.stdin.read()"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(module, "RESTART_PAUSES", (0.0,))
    tally = Tally()
    generation = Generation(
        [WorkerOrder("smtp", 0, b"")],
        Stage.FORCE,
        tally,
        make_logger("json", "error"),
        on_report=lambda: None,
        on_hopeless=lambda: None,
    )
    descriptors = _descriptors()
    generation.start()
    await _until(lambda: generation.states()["smtp-0"].get("pid"))
    assert refused == 2
    generation.stop()
    await generation.end(PATIENCE)
    assert _descriptors() == descriptors
