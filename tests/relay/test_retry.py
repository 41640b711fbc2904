"""The retry loop with a real spool; only the next hop and the clock are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwake.clock import ManualClock
from mailwake.logs import Logger
from mailwake.metrics import Metrics
from mailwake.relay.bounce_report import BounceReports
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.retry import RetryLoop
from mailwake.relay.schedule import DAY, RetrySchedule
from mailwake.smtp.replies import Reply
from mailwake.spool.contract import NewEntry, SpooledCopy, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool

OK = Outcome(Status.DELIVERED, Reply(250, "2.0.0", "ok"), "hop:25", "content")
LATER = Outcome(Status.DEFERRED, Reply(451, "4.7.1", "later"), "hop:25", "rcpt")
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

    def __init__(self, spool: SqliteSpool, log: Logger) -> None:
        self.spool, self.log = spool, log
        self.clock = ManualClock(1_000_000.0)
        self.delivery = ScriptedDelivery()
        self.metrics = Metrics()
        self.told: list[tuple[str, Status, bool]] = []
        self.trouble: Exception | None = None
        self.told_something = asyncio.Event()
        self.loop = self.make_loop(spool)

    def make_loop(self, spool: SqliteSpool, **changes: float) -> RetryLoop:
        return RetryLoop(
            spool,
            self.delivery,
            RetrySchedule(jitter=0.0),
            self.clock,
            self._on_outcome,
            BounceReports("relay.example"),
            log=self.log,
            metrics=self.metrics,
            **{"concurrency": 3, "poll_seconds": 3600.0, **changes},  # type: ignore[arg-type]
        )

    async def _on_outcome(self, copy: SpooledCopy, outcome: Outcome, final: bool) -> None:
        self.told.append((copy.recipient, outcome.status, final))
        self.told_something.set()
        if self.trouble is not None:
            raise self.trouble

    def put(self, number: int = 1, **changes: object) -> list[int]:
        now = self.clock.now()
        entry = NewEntry("s@a.example", "r@b.example", b"S: x\r\n\r\n", False, "8BITMIME", 1, "m1", "451 x", now, now)
        return self.spool.put([replace(entry, **changes) for _ in range(number)])  # type: ignore[arg-type]

    async def step(self) -> int:
        begun = await self.loop.claim()
        await self.loop.settle()
        return begun

    def retried(self, outcome: str) -> float:
        return self.metrics.counter("spool_retries_total", outcome).value


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SqliteSpool]:
    opened = SqliteSpool(tmp_path / "spool.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
async def bench(spool: SqliteSpool, log: Logger) -> AsyncIterator[Bench]:
    made = Bench(spool, log)
    async with asyncio.timeout(60):
        yield made


async def test_a_due_copy_is_delivered_and_forgotten(bench: Bench) -> None:
    bench.put()
    assert await bench.step() == 1
    assert bench.delivery.copies == [Copy("s@a.example", "r@b.example", (b"S: x\r\n\r\n",), body="8BITMIME")]
    assert bench.told == [("r@b.example", Status.DELIVERED, True)]
    assert bench.spool.count() == 0
    assert bench.retried("delivered") == 1


async def test_a_deferred_copy_follows_the_schedule(bench: Bench) -> None:
    bench.put()
    bench.delivery.script = [LATER, replace(LATER, status=Status.UNREACHABLE), replace(LATER, status=Status.UNCERTAIN)]
    for delay in (300, 900, 1800):  # the first minute had passed before it came here
        assert await bench.step() == 1
        (listed,) = bench.spool.list()
        assert listed.next_attempt == bench.clock.now() + delay
        assert listed.last_reply == "451 4.7.1 later"
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


async def test_a_refused_copy_is_bounced_to_its_sender(bench: Bench) -> None:
    bench.put()
    bench.delivery.script = [NEVER]
    await bench.step()
    assert bench.told == [("r@b.example", Status.REFUSED, True)]
    (listed,) = bench.spool.list()
    assert (listed.sender, listed.recipient, listed.is_bounce) == ("", "s@a.example", True)
    await bench.step()
    assert b"report-type=delivery-status" in bench.delivery.copies[1].pieces[0]
    assert bench.spool.count() == 0
    assert bench.retried("bounced") == 1
    assert bench.metrics.counter("spool_entries_total", "bounce").value == 1


async def test_an_expired_copy_gets_a_last_attempt_and_is_bounced(bench: Bench) -> None:
    bench.put(attempts=20)
    bench.clock.advance(5 * DAY)
    bench.delivery.script = [LATER]
    await bench.step()
    assert bench.told == [("r@b.example", Status.DEFERRED, True)]
    (listed,) = bench.spool.list()
    assert listed.is_bounce


@pytest.mark.parametrize("changes", [{"sender": ""}, {"is_bounce": True}])
async def test_a_report_is_never_bounced(bench: Bench, changes: dict[str, Any]) -> None:
    bench.put(**changes)
    bench.delivery.script = [NEVER]
    await bench.step()
    assert bench.spool.count() == 0
    assert bench.told[0][2]
    assert bench.retried("dropped") == 1


async def test_concurrency_is_bounded(bench: Bench) -> None:
    bench.put(10)
    assert [await bench.step() for _ in range(5)] == [3, 3, 3, 1, 0]
    assert bench.delivery.most_at_once == 3


async def test_running_it_works_through_everything_and_stops(bench: Bench) -> None:
    bench.put(10)
    bench.loop.start()
    while len(bench.told) < 10:
        bench.told_something.clear()
        await bench.told_something.wait()
    bench.put()
    bench.loop.wake()
    bench.told_something.clear()
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


async def test_stop_gives_up_after_the_grace_and_the_copy_stays(bench: Bench) -> None:
    bench.put()
    bench.delivery.open.clear()
    await bench.loop.claim()
    await bench.loop.stop(grace_seconds=0.05)
    assert bench.spool.count() == 1
    bench.clock.advance(300)
    bench.delivery.open.set()
    assert await bench.step() == 1


async def test_a_lease_is_renewed_while_the_copy_is_in_hand(bench: Bench, tmp_path: Path) -> None:
    bench.put()
    bench.delivery.open.clear()
    loop = bench.make_loop(bench.spool, lease_seconds=0.06)
    loop.start()
    while bench.spool.list()[0].leased_until == 0.0:  # noqa: ASYNC110 - the spool has no event
        await asyncio.sleep(0.01)
    bench.clock.advance(1000)
    while bench.spool.list()[0].leased_until < bench.clock.now():  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    bench.delivery.open.set()
    await loop.stop()
    assert len(bench.delivery.copies) == 1
    assert bench.spool.count() == 0


async def test_trouble_in_the_callback_costs_nothing_but_a_log_line(bench: Bench) -> None:
    bench.put(2)
    bench.trouble = RuntimeError("journal is full")
    await bench.step()
    assert bench.spool.count() == 0
    assert len(bench.told) == 2


async def test_a_delivered_copy_that_cannot_be_deleted_is_not_sent_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(entry_id: int) -> None:
        raise SpoolError("disk full")

    bench.put()
    with monkeypatch.context() as patched:
        patched.setattr(bench.spool, "delivered", full)
        await bench.step()
        bench.clock.advance(300)
        await bench.step()
    bench.clock.advance(300)
    await bench.step()
    assert len(bench.delivery.copies) == 1
    assert bench.spool.count() == 0


async def test_two_workers_on_one_spool_deliver_each_copy_once(bench: Bench, tmp_path: Path) -> None:
    bench.spool.put(
        [
            NewEntry("s@a", f"r{n}@b", b"x\r\n", False, "7BIT", 1, f"{n}", "451", bench.clock.now(), bench.clock.now())
            for n in range(40)
        ]
    )
    other_spool = SqliteSpool(tmp_path / "spool.sqlite3")
    other = bench.make_loop(other_spool)
    bench.loop.start()
    other.start()
    while len(bench.told) < 40:
        bench.told_something.clear()
        await bench.told_something.wait()
    await bench.loop.stop()
    await other.stop()
    other_spool.close()
    assert sorted(copy.recipient for copy in bench.delivery.copies) == sorted(f"r{n}@b" for n in range(40))
    assert bench.spool.count() == 0
