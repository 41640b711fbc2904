"""The retry loop with a real spool; only the next hop and the clock are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwake.clock import ManualClock
from mailwake.logs import Logger
from mailwake.metrics import Metrics
from mailwake.relay.attempt_end import AttemptEnds
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.retry import RetryLoop
from mailwake.relay.route_pauses import FIRST_PAUSE
from mailwake.relay.schedule import DAY, HOUR, RetrySchedule
from mailwake.relay.status_report import StatusReports
from mailwake.smtp.dsn import DsnRequest
from mailwake.smtp.replies import Reply
from mailwake.spool.contract import AT_ONCE, NO_EVENTS, KeptEvents, NewEntry, Settlement, SpooledCopy, SpoolError
from mailwake.spool.group_commit import GroupCommit
from mailwake.spool.sqlite_spool import SqliteSpool

OK = Outcome(Status.DELIVERED, Reply(250, "2.0.0", "ok"), "hop:25", "content")
LATER = Outcome(Status.DEFERRED, Reply(451, "4.7.1", "later"), "hop:25", "rcpt")
DOWN = Outcome(Status.UNREACHABLE, Reply(451, "4.4.1", "nobody there"), "hop:25", "connect")
NEVER = Outcome(Status.REFUSED, Reply(550, "5.1.1", "never"), "hop:25", "rcpt")


class ScriptedDelivery:
    """Gives the outcomes of `script` in turn, then OK; holds each delivery until `open`."""

    def __init__(self) -> None:
        self.script: list[Outcome] = []
        self.copies: list[Copy] = []
        self.at_once = self.most_at_once = 0
        self.open = asyncio.Event()
        self.open.set()

    async def deliver(self, copy: Copy) -> Outcome:
        self.copies.append(copy)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        await self.open.wait()
        self.at_once -= 1
        return self.script.pop(0) if self.script else OK

    async def close(self) -> None: ...


class Bench:
    """A retry loop, what it works with, and what it told."""

    def __init__(self, spool: SqliteSpool, clock: ManualClock, log: Logger) -> None:
        self.spool, self.log, self.clock = spool, log, clock
        self.fronts: list[GroupCommit] = []
        self.delivery = ScriptedDelivery()
        self.metrics = Metrics()
        self.told: list[tuple[str, Status, bool]] = []
        self.published: list[KeptEvents] = []
        self.trouble: Exception | None = None
        self.journal = asyncio.Event()
        self.journal.set()
        self.told_something = asyncio.Event()
        self.loop = self.make_loop(spool)

    def make_loop(self, spool: SqliteSpool, **changes: float) -> RetryLoop:
        self.fronts.append(GroupCommit(spool))
        reports = StatusReports("relay.example")
        return RetryLoop(
            self.fronts[-1],
            self.delivery,
            AttemptEnds(RetrySchedule(jitter=0.0), reports, self, delay_report=4 * HOUR),
            self,
            self.clock,
            log=self.log,
            metrics=self.metrics,
            **{"concurrency": 3, "poll_seconds": 3600.0, "settle_again_seconds": 0.01, **changes},  # type: ignore[arg-type]
        )

    def of_attempt(self, copy: SpooledCopy, outcome: Outcome, *, final: bool) -> KeptEvents:
        self.told.append((copy.recipient, outcome.status, final))
        self.told_something.set()
        if self.trouble is not None:
            raise self.trouble
        return KeptEvents(f"{copy.id}-{copy.attempts}", [b"event"]) if copy.event_facts else NO_EVENTS

    async def publish(self, events: KeptEvents) -> None:
        await self.journal.wait()
        self.published.append(events)

    async def close(self) -> None:
        for front in self.fronts:
            await front.close()

    def put(self, number: int = 1, **changes: object) -> list[int]:
        now = self.spool.now()
        entry = NewEntry("s@a.example", "r@b.example", b"S: x\r\n\r\n", False, "8BITMIME", 1, "m1", "451 x", now, now)
        return self.spool.put([replace(entry, **changes) for _ in range(number)])  # type: ignore[arg-type]

    async def step(self) -> int:
        begun = await self.loop.claim()
        await self.loop.settle()
        return begun

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  # threads bring it about, and send no event
            await asyncio.sleep(0.001)

    def retried(self, outcome: str) -> float:
        return self.metrics.counter("spool_retries_total", outcome).value


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteSpool]:
    opened = SqliteSpool(tmp_path / "spool.sqlite3", clock=clock, boot_id="this")
    yield opened
    opened.close()


@pytest.fixture
async def bench(spool: SqliteSpool, clock: ManualClock, log: Logger) -> AsyncIterator[Bench]:
    made = Bench(spool, clock, log)
    async with asyncio.timeout(60):
        yield made
    await made.close()


async def test_a_due_copy_is_delivered_and_forgotten(bench: Bench) -> None:
    bench.put()
    assert await bench.step() == 1
    assert bench.delivery.copies == [Copy("s@a.example", "r@b.example", (b"S: x\r\n\r\n",), body="8BITMIME")]
    assert bench.told == [("r@b.example", Status.DELIVERED, True)]
    assert bench.spool.count() == 0
    assert bench.retried("delivered") == 1


async def test_a_deferred_copy_follows_the_schedule(bench: Bench) -> None:
    bench.put()
    bench.delivery.script = [LATER, DOWN, replace(LATER, status=Status.UNCERTAIN)]
    for delay in (300, 900, 1800):  # the first minute had passed before it came here
        assert await bench.step() == 1
        (listed,) = bench.spool.list()
        assert listed.next_attempt == bench.clock.now() + delay
        assert listed.last_reply in ("451 4.7.1 later", "451 4.4.1 nobody there")
        bench.clock.advance(delay - 1)
        assert await bench.step() == 0
        bench.clock.advance(1)
    assert await bench.step() == 1
    assert [(status, final) for _, status, final in bench.told] == [
        (Status.DEFERRED, False),
        (Status.UNREACHABLE, False),
        (Status.UNCERTAIN, False),
        (Status.DELIVERED, True),
    ]


async def test_a_copy_may_be_due_again_while_the_events_of_its_last_attempt_are_written(bench: Bench) -> None:
    bench.put(event_facts=b"facts")
    bench.delivery.script = [LATER]
    bench.journal.clear()
    assert await bench.loop.claim() == 1
    await bench.until(lambda: bench.retried("deferred") == 1)
    bench.clock.advance(300)
    assert await bench.loop.claim() == 1
    await bench.until(lambda: bench.retried("delivered") == 1)
    bench.journal.set()
    await bench.loop.settle()
    assert len(bench.published) == 2
    assert bench.loop._octets == 0
    assert bench.spool.count() == 0


async def test_a_refused_copy_is_reportd_to_its_sender(bench: Bench) -> None:
    bench.put()
    bench.delivery.script = [NEVER]
    await bench.step()
    assert bench.told == [("r@b.example", Status.REFUSED, True)]
    (listed,) = bench.spool.list()
    assert (listed.sender, listed.recipient, listed.is_report) == ("", "s@a.example", True)
    await bench.step()
    assert b"report-type=delivery-status" in bench.delivery.copies[1].pieces[0]
    assert bench.spool.count() == 0
    assert bench.retried("bounced") == 1
    assert bench.metrics.counter("spool_entries_total", "bounce").value == 1


async def test_an_expired_copy_gets_a_last_attempt_and_is_reportd(bench: Bench) -> None:
    bench.put(attempts=20)
    bench.clock.advance(5 * DAY)
    bench.delivery.script = [LATER]
    await bench.step()
    assert bench.told == [("r@b.example", Status.DEFERRED, True)]
    (listed,) = bench.spool.list()
    assert listed.is_report


@pytest.mark.parametrize("changes", [{"sender": ""}, {"is_report": True}])
async def test_a_report_is_never_bounced(bench: Bench, changes: dict[str, Any]) -> None:
    bench.put(**changes)
    bench.delivery.script = [NEVER]
    await bench.step()
    assert bench.spool.count() == 0
    assert bench.told[0][2]
    assert bench.retried("dropped") == 1


async def test_concurrency_is_bounded(bench: Bench) -> None:
    bench.put(20)
    assert [await bench.step() for _ in range(3)] == [12, 8, 0]
    assert bench.delivery.most_at_once == 3


async def test_running_it_works_through_everything_and_stops(bench: Bench) -> None:
    bench.put(10)
    bench.loop.start()
    while len(bench.told) < 10:
        bench.told_something.clear()
        await bench.told_something.wait()
    bench.told_something.clear()
    await bench.fronts[0].run(bench.put)
    bench.loop.wake()
    await bench.told_something.wait()
    await bench.loop.stop()
    assert bench.spool.count() == 0
    assert bench.delivery.most_at_once <= 3


async def test_stop_lets_the_attempt_in_hand_end(bench: Bench) -> None:
    bench.put()
    bench.delivery.open.clear()
    await bench.loop.claim()
    stopping = asyncio.create_task(bench.loop.stop())
    await asyncio.sleep(0)
    bench.delivery.open.set()
    await stopping
    assert bench.spool.count() == 0


async def test_stop_gives_up_after_the_grace_and_the_copy_is_due_at_once(bench: Bench, tmp_path: Path) -> None:
    bench.put(5)
    bench.delivery.open.clear()
    await bench.loop.claim()
    await bench.loop.stop(grace_seconds=0.05)
    assert len(bench.delivery.copies) <= 3
    assert [listed.in_hand for listed in bench.spool.list()] == [False] * 5
    bench.delivery.open.set()
    bench.loop = bench.make_loop(bench.spool)
    assert await bench.step() == 5


async def test_a_defect_in_the_callback_puts_the_copy_off(bench: Bench) -> None:
    bench.put(2)
    bench.delivery.script = [LATER, LATER]
    bench.trouble = RuntimeError("a defect")
    await bench.step()
    assert [(listed.attempts, listed.in_hand) for listed in bench.spool.list()] == [(1, False)] * 2
    assert await bench.step() == 0


async def test_a_delivered_copy_is_not_sent_again_whatever_goes_wrong_then(bench: Bench) -> None:
    bench.put()
    bench.trouble = RuntimeError("a defect")
    await bench.step()
    bench.clock.advance(HOUR)
    assert await bench.step() == 0
    assert len(bench.delivery.copies) == 1
    assert bench.spool.count() == 0


async def test_the_loop_outlives_a_defect_of_the_spool(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    met = asyncio.Event()
    event_loop = asyncio.get_running_loop()

    def defective(*_: object, **__: object) -> list[SpooledCopy]:
        event_loop.call_soon_threadsafe(met.set)
        raise ValueError("a damaged row")

    with monkeypatch.context() as patched:
        patched.setattr(bench.spool, "claim_due", defective)
        bench.loop.start()
        await met.wait()
        await asyncio.sleep(0)
    bench.put()
    bench.loop.wake()
    await bench.told_something.wait()
    await bench.loop.stop()
    assert bench.spool.count() == 0


async def test_a_delivered_copy_that_cannot_be_deleted_is_not_sent_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = asyncio.Event()
    event_loop = asyncio.get_running_loop()

    def full(settlement: Settlement) -> bool:
        event_loop.call_soon_threadsafe(refused.set)
        raise SpoolError("disk full")

    bench.put(event_facts=b"x")
    with monkeypatch.context() as patched:
        patched.setattr(bench.spool, "settle", full)
        await bench.loop.claim()
        await refused.wait()
        assert await bench.loop.claim() == 0
        assert bench.published == []
    await bench.loop.settle()
    assert len(bench.delivery.copies) == 1
    assert bench.spool.count() == 0
    assert len(bench.published) == 1


async def test_events_are_kept_with_the_step_that_they_tell_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def killed(events: KeptEvents) -> None: ...

    monkeypatch.setattr(bench, "publish", killed)  # after the spool knows, before the journal does
    (entry_id,) = bench.put(event_facts=b"x")
    bench.delivery.script = [LATER]
    await bench.step()
    bench.clock.advance(HOUR)
    await bench.step()
    bench.spool.leave_events([f"{entry_id}-1", f"{entry_id}-2"])
    assert [events.key for events in bench.spool.left_events(9)] == [f"{entry_id}-1", f"{entry_id}-2"]


async def test_left_events_and_copies_of_a_dead_worker_are_taken_over(bench: Bench, tmp_path: Path) -> None:
    other = SqliteSpool(tmp_path / "spool.sqlite3", clock=bench.clock, boot_id="this")
    now = other.now()
    entry = NewEntry("s@a", "r@b", b"x\r\n", False, "7BIT", 1, "m", "451", now, now)
    other.put([entry], in_hand=True, events=KeptEvents("7", [b"injected"]))
    assert await bench.step() == 0
    other.close()  # or killed: the kernel lets go of its lock either way
    bench.loop.start()
    await bench.told_something.wait()
    await bench.loop.stop()
    assert KeptEvents("7", [b"injected"]) in bench.published
    assert bench.spool.count() == 0


class TestReports:
    async def test_a_late_copy_is_reported_once(self, bench: Bench) -> None:
        bench.put()
        bench.delivery.script = [LATER, LATER]
        await bench.step()
        assert bench.spool.count() == 1
        bench.clock.advance(4 * HOUR)
        await bench.step()
        late, report = sorted(bench.spool.list(), key=lambda listed: listed.is_report)
        assert (report.recipient, report.sender, late.attempts) == ("s@a.example", "", 3)
        await bench.step()  # the report is sent
        assert b"\r\nAction: delayed\r\n" in bench.delivery.copies[-1].pieces[0]
        bench.clock.advance(4 * HOUR)
        bench.delivery.script = [LATER]
        await bench.step()
        assert [listed.is_report for listed in bench.spool.list()] == [False]
        assert bench.metrics.counter("spool_entries_total", "report").value == 1

    @pytest.mark.parametrize("notify", ["NEVER", "FAILURE"])
    async def test_no_delay_is_reported_to_who_did_not_ask(self, bench: Bench, notify: str) -> None:
        bench.put(dsn=DsnRequest(notify))
        bench.clock.advance(5 * HOUR)
        bench.delivery.script = [LATER]
        await bench.step()
        assert bench.spool.count() == 1

    async def test_who_wants_to_hear_nothing_hears_nothing(self, bench: Bench) -> None:
        bench.put(dsn=DsnRequest("NEVER"))
        bench.delivery.script = [NEVER]
        await bench.step()
        assert bench.spool.count() == 0
        assert bench.retried("untold") == 1
        assert bench.metrics.counter("spool_reports_dropped_total").value == 0

    @pytest.mark.parametrize(("passed", "reports"), [(False, 1), (True, 0)])
    async def test_success_is_reported_where_the_next_hop_will_not(
        self, bench: Bench, passed: bool, reports: int
    ) -> None:
        bench.put(dsn=DsnRequest("SUCCESS"))
        bench.delivery.script = [replace(OK, dsn_passed=passed)]
        await bench.step()
        assert [listed.is_report for listed in bench.spool.list()] == [True] * reports

    async def test_a_report_that_nobody_takes_ends_there_and_is_counted(self, bench: Bench) -> None:
        bench.put()
        bench.delivery.script = [NEVER, NEVER]
        assert [await bench.step() for _ in range(3)] == [1, 1, 0]
        assert bench.spool.count() == 0
        assert bench.metrics.counter("spool_reports_dropped_total").value == 1


class TestARouteThatIsDown:
    async def test_one_copy_asks_and_the_others_wait(self, bench: Bench) -> None:
        bench.put(50)
        bench.delivery.script = [DOWN] * 200
        for _ in range(6):
            await bench.step()
        knocked = len(bench.delivery.copies)
        assert knocked <= 3  # those that were under way together
        assert sum(listed.attempts > 1 for listed in bench.spool.list()) == knocked
        bench.clock.advance(FIRST_PAUSE)
        await bench.step()
        assert len(bench.delivery.copies) == knocked + 1
        bench.clock.advance(2 * FIRST_PAUSE - 1)
        await bench.step()
        assert len(bench.delivery.copies) == knocked + 1
        bench.delivery.script = []
        bench.clock.advance(1)
        await bench.step()
        assert len(bench.delivery.copies) == knocked + 2
        while await bench.step():
            pass
        assert bench.spool.count() == knocked + 1  # those wait for their next attempt
        bench.clock.advance(DAY)
        while await bench.step():
            pass
        assert bench.spool.count() == 0

    async def test_an_operator_may_have_it_asked_at_once(self, bench: Bench) -> None:
        bench.put()
        bench.delivery.script = [DOWN]
        await bench.step()
        bench.put(3)
        assert await bench.step() == 0
        bench.put(next_attempt=AT_ONCE)
        await bench.step()  # the next hop is back: the others follow
        assert await bench.step() == 3

    async def test_other_routes_go_on(self, bench: Bench) -> None:
        bench.put(1, route="dead")
        bench.delivery.script = [DOWN]
        await bench.step()
        bench.put(5, route="dead")
        bench.put(2)
        assert await bench.step() == 2
        assert bench.spool.count() == 6

    async def test_what_expires_meanwhile_is_bounced_without_knocking(self, bench: Bench) -> None:
        bench.put(20, recipient="old@b.example")
        bench.clock.advance(5 * DAY)
        bench.put(20)
        bench.delivery.script = [DOWN] * 100
        await bench.step()
        knocked = len(bench.delivery.copies)
        assert knocked <= 3
        await bench.step()
        assert len(bench.delivery.copies) == knocked
        listed = bench.spool.list()
        assert sum(each.is_report for each in listed) == 20
        assert not any(each.recipient == "old@b.example" for each in listed)

    async def test_nothing_for_it_is_taken_in_hand(self, bench: Bench) -> None:
        assert bench.loop.reserve([""], 10)
        bench.loop.unreserve(1)
        bench.put()
        bench.delivery.script = [DOWN]
        await bench.step()
        assert not bench.loop.reserve([""], 10)
        assert bench.loop.reserve(["other"], 10)


class TestClockJumps:
    @pytest.mark.parametrize("jump", [10 * DAY, -10 * DAY, 3 * HOUR, -3 * HOUR])
    async def test_a_step_of_the_wall_clock_neither_bounces_nor_stalls(self, bench: Bench, jump: float) -> None:
        bench.put(3)
        bench.delivery.script = [LATER] * 3
        await bench.step()
        bench.clock.jump(jump)
        assert await bench.step() == 0
        bench.clock.advance(299)
        assert await bench.step() == 0
        bench.clock.advance(1)
        bench.delivery.script = [LATER] * 3
        assert await bench.step() == 3
        assert bench.retried("bounced") == 0
        bench.clock.jump(-jump)
        bench.clock.advance(900)
        assert await bench.step() == 3
        assert bench.spool.count() == 0


async def test_two_workers_on_one_spool_deliver_each_copy_once(bench: Bench, tmp_path: Path) -> None:
    bench.spool.put(
        [
            NewEntry("s@a", f"r{n}@b", b"x\r\n", False, "7BIT", 1, f"{n}", "451", bench.clock.now(), bench.clock.now())
            for n in range(40)
        ]
    )
    other_spool = SqliteSpool(tmp_path / "spool.sqlite3", clock=bench.clock, boot_id="this")
    other = bench.make_loop(other_spool)
    bench.loop.start()
    other.start()
    while len(bench.told) < 40:
        bench.told_something.clear()
        await bench.told_something.wait()
    await bench.loop.stop()
    await other.stop()
    await bench.close()
    other_spool.close()
    assert sorted(copy.recipient for copy in bench.delivery.copies) == sorted(f"r{n}@b" for n in range(40))
    assert bench.spool.count() == 0
