"""From the journal into the feed: order, completion, kills at every point, a disk that refuses, clocks that jump."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows.event_harness import (
    HOLD_MS,
    REMEMBER_MS,
    START_MS,
    TRANSMISSION,
    Collector,
    Worker,
    click,
    head,
    injection,
)

from mailwake.errors import MailwakeError
from mailwake.feed.contract import BEGINNING
from mailwake.flows.event_flow import RELOAD_SECONDS, WARM_UP_MS
from mailwake.journal.segment_file import Disk
from mailwake.links.token import message_id

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.events.model import Event


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def test_an_event_is_held_until_its_neighbours_have_been_seen(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1))
    collector.later(HOLD_MS - 1)
    assert collector.ids() == []
    worker.write(click(2, HOLD_MS - 1))
    collector.later(1)
    assert collector.ids() == [1]
    assert collector.events()[0].agent_family == "seen 2"
    collector.later(HOLD_MS)
    assert collector.ids() == [1, 2]
    assert collector.bystander.seen == [1, 2]


def test_workers_are_merged_by_time_and_each_keeps_its_order(collector: Collector) -> None:
    one, two = Worker(collector.journal, "tracker-0"), Worker(collector.journal, "tracker-1")
    one.write(click(1, 10), click(3, 5), click(5, 300))  # 3 is older than what stands before it
    two.write(click(2, 1), click(4, 200))
    collector.later(10_000)
    assert collector.ids() == [2, 1, 3, 4, 5]


def test_what_the_link_does_not_carry_comes_from_the_injection(collector: Collector) -> None:
    Worker(collector.journal, "smtp-0").write(injection(1))
    Worker(collector.journal, "tracker-0").write(click(2, 50), click(3, 60, transmission=7 << 22))
    collector.later(10_000)
    _, known, unknown = collector.events()
    assert (known.subject, known.msg_from, known.msg_size, known.injection_time) == (
        "Hello",
        "a@example.com",
        700,
        START_MS,
    )
    assert (unknown.subject, unknown.msg_size) == ("", None)


def test_a_click_finds_its_message_after_a_restart(collector: Collector) -> None:
    Worker(collector.journal, "smtp-0").write(injection(1))
    collector.later(10_000)
    collector.start()
    Worker(collector.journal, "tracker-0").write(click(2, 15_000))
    collector.later(10_000)
    assert collector.events()[-1].subject == "Hello"


def test_a_message_is_forgotten_in_time(collector: Collector) -> None:
    Worker(collector.journal, "smtp-0").write(injection(1))
    collector.later(10_000)
    collector.later(REMEMBER_MS)  # of the injection, not of the message, whose id is older
    collector.start()
    Worker(collector.journal, "tracker-0").write(click(2, REMEMBER_MS + 20_000))
    collector.later(20_000)
    assert [event.subject for event in collector.events()] == ["Hello", ""]


def test_a_restart_goes_on_where_it_stopped(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1), click(2, 1000))
    collector.later(HOLD_MS + 500)
    assert collector.ids() == [1]  # the second is still held
    collector.start()
    worker.write(click(3, 3000))
    collector.later(10_000)
    assert collector.ids() == [1, 2, 3]


def test_the_enrichment_sees_what_came_last_before_a_restart(collector: Collector) -> None:
    Worker(collector.journal, "tracker-0").write(click(1))
    collector.later(10_000)
    collector.start()
    collector.flow.warm_up()
    assert collector.bystander.seen == [1]


def test_the_enrichment_is_shown_minutes_and_no_more(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1), click(2, 100_000), click(3, 200_000), click(4, WARM_UP_MS + 50_000))
    collector.later(2 * WARM_UP_MS)
    collector.start()
    collector.flow.warm_up()
    assert collector.bystander.seen == [2, 3, 4]


def test_a_head_request_is_shown_to_the_enrichment_and_is_no_event(collector: Collector) -> None:
    Worker(collector.journal, "tracker-0").write(head(5, "192.0.2.1"), click(1, 9))
    collector.later(10_000)
    assert collector.ids() == [1]
    expected = (message_id(TRANSMISSION, 0), "https://www.example.org/", "192.0.2.1", START_MS + 5)
    assert collector.bystander.heads == [expected]


async def test_the_enrichment_looks_at_its_files_now_and_then(collector: Collector) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(collector.flow.run(stop))
    async with asyncio.timeout(20):
        while not collector.bystander.reloads:
            collector.clock.advance(RELOAD_SECONDS)
            await asyncio.sleep(0.01)
    stop.set()
    await running


def test_a_time_in_the_future_holds_nothing_up(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1, 86_400_000), click(2, 10))
    collector.later(0)
    collector.later(HOLD_MS + 10)
    assert collector.ids() == [1, 2]


def test_a_clock_that_is_set_back_holds_nothing_up(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1), click(2, 1))
    collector.later(10)  # both are in hand
    collector.clock.jump(-3600)
    collector.run_until_idle()
    worker.write(click(3, -3_600_000))
    collector.later(HOLD_MS)
    assert collector.ids() == [1, 2, 3]
    collector.later(HOLD_MS)
    assert collector.flow.settled_ms == int(collector.clock.now() * 1000)


def test_a_record_that_cannot_be_read_is_passed_over_and_counted(collector: Collector) -> None:
    Worker(collector.journal, "tracker-0").write(b"\xc1nonsense", click(1), b"\x91\x63", click(2))
    collector.later(10_000)
    assert collector.ids() == [1, 2]
    assert collector.metrics.counter("journal_records_unreadable_total").value == 2
    collector.start()
    collector.later(10_000)
    assert collector.ids() == [1, 2]


@pytest.mark.parametrize("where", ["observe", "observe_head", "complete"])
def test_what_the_enrichment_stumbles_over_moves_on_once(
    collector: Collector, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> Event:
        raise ZeroDivisionError

    monkeypatch.setattr(collector.bystander, where, stumble)
    Worker(collector.journal, "tracker-0").write(click(1), head(1, "192.0.2.1"), click(2, 3))
    collector.later(10_000)
    assert collector.ids() == [1, 2]
    assert collector.metrics.counter("collector_failures_total", "enrichment").value == (1 if "_" in where else 2)


class FailingDisk(Disk):
    """Fails on order: the write, half of it, or the sync behind it."""

    fails = ""
    writes = 1_000_000

    def write(self, descriptor: int, data: bytes) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.fails == "write":
            super().write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if self.fails == "sync":
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)


@pytest.mark.parametrize("how", ["write", "sync"])
def test_a_disk_that_refuses_loses_and_doubles_nothing(tmp_path: Path, how: str) -> None:
    disk = FailingDisk()
    collector = Collector(tmp_path, disk)
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1))
    collector.later(10_000)
    disk.fails = how
    worker.write(click(2, 11_000))
    for _ in range(3):
        with pytest.raises(MailwakeError):
            collector.later(10_000)
    worker.write(click(3, 12_000))
    disk.fails = ""
    collector.later(10_000)
    assert collector.ids() == [1, 2, 3]


async def test_it_says_once_that_it_waits_and_goes_on_by_itself(tmp_path: Path) -> None:
    disk = FailingDisk()
    collector = Collector(tmp_path, disk)
    Worker(collector.journal, "tracker-0").write(click(1))
    collector.clock.advance(10)
    disk.fails = "write"
    stop = asyncio.Event()
    running = asyncio.create_task(collector.flow.run(stop))
    waiting = asyncio.create_task(collector.feed.grown(BEGINNING, 60))
    await asyncio.sleep(0.05)
    assert collector.ids() == []
    disk.fails = ""
    assert await waiting
    assert collector.ids() == [1]
    stop.set()
    await running


async def test_what_was_appended_before_the_disk_refused_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailwake.flows.event_flow.APPEND_RECORDS", 1)
    disk = FailingDisk()
    collector = Collector(tmp_path, disk)
    Worker(collector.journal, "tracker-0").write(click(1), click(2))
    collector.clock.advance(10)
    disk.writes = 2  # a segment's header, and one append
    stop = asyncio.Event()
    waiting = asyncio.create_task(collector.feed.grown(BEGINNING, 10))
    await asyncio.sleep(0)
    running = asyncio.create_task(collector.flow.run(stop))
    assert await waiting
    assert collector.ids() == [1]
    stop.set()
    await running


def test_records_without_end_are_not_held_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwake.flows.event_flow.HELD_RECORDS", 50)
    collector = Collector(tmp_path)
    Worker(collector.journal, "tracker-0").write(*(click(number, number) for number in range(200)))
    collector.run_until_idle()
    assert collector.ids() == list(range(150))


class Killed(Exception):  # noqa: N818  # nothing handles it, as nothing handles a SIGKILL
    pass


class KillingDisk(Disk):
    """Writes so many octets of an append, and then the process is gone."""

    octets: int | None = None
    writes_before = 0

    def write(self, descriptor: int, data: bytes) -> int:
        self.writes_before -= 1
        if self.octets is None or self.writes_before >= 0:
            return super().write(descriptor, data)
        super().write(descriptor, data[: self.octets])
        raise Killed


def test_two_kills_in_a_row_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = KillingDisk()
    collector = Collector(tmp_path, disk)
    Worker(collector.journal, "tracker-0").write(*(click(number) for number in range(1, 5)))
    collector.clock.advance(10)
    disk.octets, disk.writes_before = -1, 1  # behind the segment's header, all events but not all of the checkpoint
    with pytest.raises(Killed):
        collector.run_until_idle()
    monkeypatch.setattr("mailwake.flows.event_flow.APPEND_RECORDS", 1)
    disk.octets, disk.writes_before = 0, 2  # header, and one event's append
    collector.start()
    with pytest.raises(Killed):
        collector.run_until_idle()
    disk.octets = None
    collector.start()
    collector.run_until_idle()
    assert collector.ids() == [1, 2, 3, 4]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_killed_when_each_event_comes_once_and_in_its_workers_order(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    at_once = pytest.MonkeyPatch()
    at_once.setattr("mailwake.flows.event_flow.APPEND_RECORDS", data.draw(st.sampled_from([1, 2, 5000])))
    disk = KillingDisk()
    collector = Collector(tmp_path_factory.mktemp("killed"), disk)
    workers = [Worker(collector.journal, f"tracker-{number}") for number in range(2)]
    written: list[list[int]] = [[], []]
    number = 0
    for _ in range(data.draw(st.integers(1, 8))):
        for worker, ids in zip(workers, written, strict=True):
            for _ in range(data.draw(st.integers(0, 3))):
                number += 1
                at = int(collector.clock.now() * 1000) - START_MS - data.draw(st.integers(0, 100))
                worker.write(click(number, at))
                ids.append(number)
        disk.octets, disk.writes_before = data.draw(st.none() | st.integers(0, 1500)), data.draw(st.integers(0, 4))
        try:
            collector.later(data.draw(st.integers(0, 2 * HOLD_MS)))
        except Killed:
            disk.octets = None
            collector.start()
        disk.octets = None
    collector.later(10 * HOLD_MS)
    at_once.undo()
    found = collector.ids()
    assert sorted(found) == list(range(1, number + 1))
    for ids in written:
        assert [each for each in found if each in set(ids)] == ids
