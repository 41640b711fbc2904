"""At least once, in order, whatever fails: the runner against destinations that do what real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.sinks.conftest import Node, event, running, until

from mailwake.clock import SystemClock
from mailwake.config.sink_settings import Sink
from mailwake.events.model import EventType
from mailwake.feed.contract import FeedError, Position
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.writer import FeedWriter
from mailwake.sinks import runner as runner_module
from mailwake.sinks.contract import DestinationError, OutgoingEvent
from mailwake.sinks.own_thread import OwnThread
from mailwake.sinks.runner import LONGEST_PAUSE, SinkRunner, pause
from mailwake.sinks.selection import Selection


class Scripted:
    """A destination that raises what it is told to, call by call, and then takes everything."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.taken: list[int] = []
        self.calls = 0
        self.tended = 0
        self.closed = 0
        self.gate: asyncio.Event | None = None

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.taken += [each.event.event_id for each in events]

    async def tend(self) -> None:
        self.tended += 1

    async def close(self) -> None:
        self.closed += 1


def sink(node: Node, destination: Scripted, settings: Sink | None = None, name: str = "s") -> SinkRunner:
    settings = settings or Sink(kind="stdout", start="beginning")
    return SinkRunner(
        name,
        destination,
        Selection(settings),
        feed=node.feed,
        positions=node.positions,
        thread=OwnThread(name),
        log=node.logger,
        metrics=node.metrics,
        clock=SystemClock(),
        from_beginning=settings.start == "beginning",
        pause=lambda failures: 0,
    )


async def test_everything_in_order_and_the_position_behind_it(node: Node) -> None:
    destination = Scripted()
    node.add_numbers(range(2500))
    async with running(sink(node, destination)):
        await until(lambda: len(destination.taken) == 2500)
        node.add_numbers(range(2500, 2600))
        await until(lambda: len(destination.taken) == 2600)
        await until(lambda: node.positions.get("sink:s") == node.feed.end())
    assert destination.taken == list(range(2600))
    assert destination.closed == 1
    assert node.counted("sink_events_total", "s") == 2600
    assert node.counted("sink_up", "s") == 1


async def test_it_goes_on_where_it_was(node: Node) -> None:
    first, second = Scripted(), Scripted()
    node.add_numbers(range(10))
    async with running(sink(node, first)):
        await until(lambda: node.positions.get("sink:s") == node.feed.end())
    node.add_numbers(range(10, 20))
    async with running(sink(node, second)):
        await until(lambda: second.taken)
    assert (first.taken, second.taken) == (list(range(10)), list(range(10, 20)))


async def test_a_new_sink_begins_now(node: Node) -> None:
    destination = Scripted()
    node.add_numbers(range(10))
    async with running(sink(node, destination, Sink(kind="stdout"))):
        await until(lambda: node.positions.get("sink:s"))
        node.add_numbers([10])
        await until(lambda: destination.taken)
    assert destination.taken == [10]


async def test_its_beginning_is_kept_though_there_is_no_event_yet(node: Node) -> None:
    node.add_numbers(range(10))
    async with running(sink(node, Scripted(), Sink(kind="stdout"))):
        await until(lambda: node.positions.get("sink:s"))
    node.add_numbers([10])
    destination = Scripted()
    async with running(sink(node, destination, Sink(kind="stdout"))):
        await until(lambda: destination.taken)
    assert destination.taken == [10]


async def test_failures_skip_nothing_and_are_told_once(node: Node) -> None:
    destination = Scripted(
        None, DestinationError("broken; mend it"), DestinationError("still broken"), ValueError("a defect"), None
    )
    node.add_numbers(range(5))
    async with running(sink(node, destination)):
        await until(lambda: destination.taken)
        node.add_numbers(range(5, 8))
        await until(lambda: len(destination.taken) == 8)
        await until(lambda: "a sink is back" in node.logged)
    assert destination.taken == list(range(8))
    assert node.logged == ["a sink fails, its events wait", "a sink is back"]
    assert node.said("a sink fails, its events wait") == "broken; mend it"
    assert node.counted("sink_failures_total", "s") == 3
    assert node.counted("sink_up", "s") == 1


async def test_while_it_fails_its_position_stays(node: Node) -> None:
    destination = Scripted()
    destination.gate = asyncio.Event()
    node.add_numbers(range(5))
    async with running(sink(node, destination)):
        await until(lambda: destination.calls)
        assert node.positions.get("sink:s") == Position()
        await until(lambda: node.counted("sink_lag_seconds", "s") > 0)
        destination.gate.set()
        await until(lambda: node.positions.get("sink:s") == node.feed.end())


async def test_a_slow_sink_delays_no_other(node: Node) -> None:
    slow, quick = Scripted(), Scripted()
    slow.gate = asyncio.Event()
    node.add_numbers(range(5))
    async with running(sink(node, slow, name="slow"), sink(node, quick, name="quick")):
        await until(lambda: slow.calls and len(quick.taken) == 5)
        node.add_numbers(range(5, 10))
        await until(lambda: len(quick.taken) == 10)
        assert slow.taken == []
        slow.gate.set()
        await until(lambda: len(slow.taken) == 10)


async def test_what_is_in_hand_at_the_end_is_finished_and_kept(node: Node) -> None:
    destination = Scripted()
    destination.gate = asyncio.Event()
    node.add_numbers(range(5))
    async with running(sink(node, destination)) as stop:
        await until(lambda: destination.calls)
        stop.set()
        destination.gate.set()
    assert destination.taken == list(range(5))
    assert node.positions.get("sink:s") == node.feed.end()


async def test_a_write_that_hangs_is_given_up_at_the_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "STOP_SECONDS", 0.05)
    destination = Scripted()
    destination.gate = asyncio.Event()
    node.add_numbers(range(5))
    async with running(sink(node, destination)):
        await until(lambda: destination.calls)
    assert destination.taken == []
    assert destination.closed == 1
    assert node.positions.get("sink:s") == Position()


async def test_only_what_is_asked_for(node: Node) -> None:
    wanted = Scripted()
    settings = Sink(kind="stdout", start="beginning", events=("open", "bounce"), customers=("42", "43"))
    node.add(
        [
            event(1, kind=EventType.OPEN, customer="42"),
            event(2, kind=EventType.CLICK, customer="42"),
            event(3, kind=EventType.BOUNCE, customer="43"),
            event(4, kind=EventType.OPEN, customer="44"),
            event(5, kind=EventType.OPEN),
        ]
    )
    async with running(sink(node, wanted, settings)):
        await until(lambda: node.positions.get("sink:s") == node.feed.end())
    assert wanted.taken == [1, 3]


async def test_events_that_it_does_not_get_move_its_position_too(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "KEEP_SECONDS", 0)
    destination = Scripted()
    node.add_numbers(range(5))
    async with running(sink(node, destination, Sink(kind="stdout", start="beginning", events=("open",)))):
        await until(lambda: node.positions.get("sink:s") == node.feed.end())
    assert destination.calls == 0


async def test_it_is_tended_while_nothing_comes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "TEND_SECONDS", 0.01)
    destination = Scripted()
    async with running(sink(node, destination)):
        await until(lambda: destination.tended > 2)


async def test_a_feed_and_positions_that_fail_are_tried_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = Scripted()
    failing = {"read": 2, "keep": 2}

    def failing_first(name: str, call):  # type: ignore[no-untyped-def]
        def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
            if failing[name]:
                failing[name] -= 1
                raise FeedError(f"{name} fails")
            return call(*arguments, **named)

        return wrapped

    monkeypatch.setattr(node.feed, "read", failing_first("read", node.feed.read))
    monkeypatch.setattr(node.positions, "keep", failing_first("keep", node.positions.keep))
    node.add_numbers(range(5))
    async with running(sink(node, destination)):
        await until(lambda: node.positions.get("sink:s") == node.feed.end())
    assert destination.taken == list(range(5))
    assert node.counted("sink_failures_total", "s") == 4


async def test_a_feed_that_lost_its_end_is_not_sent_again(node: Node, tmp_path: Path) -> None:
    node.add_numbers(range(5))
    node.positions.keep("sink:s", Position(99, 0))
    node.writer.close()
    node.writer = FeedWriter(tmp_path / "feed", above=99)
    node.feed = LiveFeed(tmp_path / "feed", node.writer)
    destination = Scripted()
    async with running(sink(node, destination)):
        node.add_numbers([7])
        await until(lambda: destination.taken)
    assert destination.taken == [7]
    assert node.logged == []


def test_pauses_grow_to_a_limit_and_differ() -> None:
    assert 0.25 <= pause(1) <= 0.5
    assert LONGEST_PAUSE / 2 <= pause(1000) <= LONGEST_PAUSE
    assert len({pause(5) for _ in range(5)}) > 1
