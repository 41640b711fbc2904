"""A real feed with its positions, events for it, and sinks that run beside a test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from mailwake.clock import SystemClock
from mailwake.config.sink_settings import Sink
from mailwake.events.model import Event, EventType
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.payload import encode_event
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.writer import FeedWriter
from mailwake.metrics import Metrics
from mailwake.sinks.contract import OutgoingEvent
from mailwake.sinks.make import make_sinks
from mailwake.sinks.runner import SinkRunner
from mailwake.sinks.selection import Selection

START = 1_700_000_000_000


def event(number: int, *, kind: EventType = EventType.CLICK, customer: str = "", **fields: Any) -> Event:
    return Event(
        type=kind,
        event_id=number,
        timestamp=START + number,
        message_id=f"{number:020x}",
        transmission_id=number,
        rcpt_to="bob@example.org",
        customer_id=customer,
        **fields,
    )


def outgoing(numbers: Iterable[int], *, form: str = "flat") -> list[OutgoingEvent]:
    selection = Selection(Sink(kind="stdout", form=form))  # type: ignore[arg-type]  # one of the two words
    return selection.outgoing([event(number) for number in numbers])


def ids_in(text: bytes) -> list[int]:
    """The event ids of lines in either form; an error for anything but whole lines."""
    assert text == b"" or text.endswith(b"\n")
    return [event_id(line) for line in text.splitlines()]


def event_id(content: bytes | str) -> int:
    found = json.loads(content)
    if "msys" in found:
        (found,) = found["msys"].values()
    return int(found["event_id"])


class Node:
    """What sinks live on: the feed of a node, positions, and what was logged and counted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "feed"
        self.writer = FeedWriter(self._directory)
        self.feed = LiveFeed(self._directory, self.writer)
        self.positions = PositionsFile(directory / "positions.sqlite3")
        self.metrics = Metrics()
        self.log = structlog.testing.CapturingLogger()

    def add(self, events: Iterable[Event]) -> None:
        self.writer.append([encode_event(each) for each in events], {})
        self.feed.announce()

    def add_numbers(self, numbers: Iterable[int]) -> None:
        self.add(event(number) for number in numbers)

    def sinks(self, sinks: dict[str, Sink], *, output: int = 1) -> list[SinkRunner]:
        return make_sinks(
            sinks,
            self.feed,
            self.positions,
            output=output,
            log=self.logger,
            metrics=self.metrics,
            clock=SystemClock(),
        )

    def has_all(self, sink: str) -> bool:
        """Whether the sink's position is kept behind every event that there is."""
        position = self.positions.get(f"sink:{sink}")
        return position is not None and not self.feed.read(position, max_events=1).events

    @property
    def logger(self) -> Any:
        return structlog.wrap_logger(self.log, processors=[structlog.processors.EventRenamer("event")])

    @property
    def logged(self) -> list[str]:
        return [call.kwargs["event"] for call in self.log.calls]

    def said(self, name: str, field: str = "error") -> str:
        """The field of the first line with this event."""
        return str(next(call.kwargs[field] for call in self.log.calls if call.kwargs["event"] == name))

    def counted(self, name: str, sink: str) -> float:
        return self.metrics.counter(name, sink).value


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.positions.close()
    node.writer.close()


@contextlib.asynccontextmanager
async def running(*runners: SinkRunner) -> AsyncIterator[asyncio.Event]:
    """The sinks at work; at the end they are stopped in order."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(runner.run(stop)) for runner in runners]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def until(condition: Callable[[], Any], patience: float = 30.0) -> Any:
    """The first true value of `condition`, asked again and again."""
    async with asyncio.timeout(patience):
        while not (value := condition()):  # noqa: ASYNC110  # threads and other processes bring it about
            await asyncio.sleep(0.01)
    return value
