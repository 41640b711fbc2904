"""Targets that do as they are told, over real sockets, and a node whose time passes only when it waits."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from tests.feed.conftest import START, event

from mailwake.clock import ManualClock
from mailwake.config.networks import parse_network
from mailwake.config.schema import Settings
from mailwake.config.webhook_settings import ConfiguredWebhook, WebhookDelivery
from mailwake.events.model import Event
from mailwake.feed.contract import Position
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.payload import encode_event
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.writer import FeedWriter
from mailwake.metrics import Metrics
from mailwake.webhooks.webhooks import Webhooks

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = parse_network("127.0.0.0/8")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The collector's own loop."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def batch_id(self) -> str:
        return self.headers["x-messagesystems-batch-id"]

    @property
    def ids(self) -> list[int]:
        """The ids of the events in it."""
        return [int(fields["event_id"]) for each in json.loads(self.body) for fields in each["msys"].values()]

    @property
    def basic(self) -> str:
        return b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()


def reply(status: int = 200, body: bytes = b"ok", headers: Sequence[str] = ()) -> Behaviour:
    """A plain answer."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]
    return raw("\r\n".join(lines).encode() + body)


def raw(data: bytes) -> Behaviour:
    """These octets, and the end of the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return behave


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Nothing, until the other side has had enough."""
    await reader.read()


def endless(start: bytes, more: bytes) -> Behaviour:
    """`start`, and then `more` for ever."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone does not let others have a turn

    return behave


class Target:
    """An HTTP server: `script` has what it does with the next requests, `always` with all others."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: list[Behaviour] = []
        self.always: Behaviour = reply()
        self.arrived = asyncio.Event()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, **options: Any) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, **options)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://target.example:{self.port}/events"

    @property
    def batches(self) -> list[Request]:
        """The requests that had events in them."""
        return [request for request in self.requests if request.body != b'[{"msys":{}}]']

    @property
    def ids(self) -> list[int]:
        return [number for request in self.batches for number in request.ids]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()

    async def until_requests(self, number: int) -> None:
        await self.until(lambda: len(self.requests) >= number)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Request(first.split(" ")[1], headers, body))
            self.arrived.set()
            await (self.script.pop(0) if self.script else self.always)(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.arrived.set()
            writer.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what nobody announces: the state of a file."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # a file cannot call us
            await asyncio.sleep(0.001)


class JumpingPauses:
    """Waiting takes no time, but the clock moves as if it had."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.waited: list[float] = []
        self.held: asyncio.Event | None = None
        """Where a test lets nobody go on before it says so."""

    async def wait(self, seconds: float, woken: asyncio.Event) -> None:
        if woken.is_set():
            return
        self.waited.append(seconds)
        self._clock.advance(seconds)
        await asyncio.sleep(0)
        if self.held is not None:
            await self.held.wait()


async def lookup(host: str, port: int) -> list[str]:
    """Every name leads to this machine."""
    return ["127.0.0.1"]


class Node:
    """A feed and its webhooks over files in one directory; `crash()` and another `start()` are a kill and a restart."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.clock = ManualClock(START / 1000 + 86400)  # the events of `event()` are a day old: no batch waits for more
        self.pauses = JumpingPauses(self.clock)
        self.metrics = Metrics()
        self.delivery = WebhookDelivery(allow_http=True, allow_private_targets=(LOOPBACK,), timeout=5)
        self.configured: dict[str, ConfiguredWebhook] = {}
        self.lookup: Any = lookup
        self.writer = FeedWriter(directory / "feed")
        self.feed = LiveFeed(directory / "feed", self.writer)
        self.positions = PositionsFile(directory / "positions.sqlite3")
        self.log = structlog.get_logger()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> Webhooks:
        settings = Settings(webhook_delivery=self.delivery, webhooks=self.configured)
        self.webhooks = Webhooks(
            self._directory / "webhooks.sqlite3",
            self.feed,
            self.positions,
            settings,
            clock=self.clock,
            log=self.log,
            metrics=self.metrics,
            lookup=self.lookup,
            pauses=self.pauses,
        )
        return self.webhooks

    def start(self) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.open().run(self._stop))

    async def stop(self) -> None:
        if self._task is not None:
            self._stop.set()
            await self._task
            self._task = None
        self.webhooks.close()

    async def crash(self) -> None:
        """End at once, wherever it is: what is not in the files is lost."""
        assert self._task is not None
        running = [each.task for each in self.webhooks._running.values()]
        for task in (self._task, *running):
            task.cancel()
        await asyncio.gather(self._task, *running, return_exceptions=True)
        self._task = None
        self.webhooks.close()

    def append(self, numbers: Iterable[int], make: Callable[[int], Event] = event) -> None:
        self.writer.append([encode_event(make(number)) for number in numbers], {})
        self.feed.announce()

    async def create(self, target: Target, **fields: Any) -> str:
        """A webhook with this target that gets all types of events that `event()` makes."""
        body = {"name": "crm", "target": target.url, "events": ["click", "open"], **fields}
        return str((await self.webhooks.subscriptions.create(body))["id"])

    async def until_delivered(self, webhook_id: str, target: Target, number: int) -> None:
        """Wait until the target has had so many batches, and none is in hand any more."""
        await target.until(lambda: len(target.batches) >= number)

        async def nothing_in_hand() -> bool:
            return await asyncio.to_thread(self.webhooks._tables.batches.current, webhook_id) is None

        await until(nothing_in_hand)

    async def until_position(self, webhook_id: str, position: Position) -> None:
        """Wait until the feed's retention may have all up to here."""

        async def there() -> bool:
            return self.positions.get(f"webhook:{webhook_id}") == position

        await until(there)

    async def until_consumers(self, names: set[str]) -> None:
        """Wait until exactly these hold positions in the feed."""

        async def all_of_them() -> bool:
            return set(self.positions.all()) == names

        await until(all_of_them)

    async def dead(self, webhook_id: str) -> list[dict[str, Any]]:
        return await self.webhooks.subscriptions.dead_letters(webhook_id)

    async def until_dead_count(self, webhook_id: str, number: int) -> None:
        """Wait for exactly so many dead letters."""

        async def so_many() -> bool:
            return len(await self.dead(webhook_id)) == number

        await until(so_many)

    async def until_dead(self, webhook_id: str, number: int) -> list[dict[str, Any]]:
        """Wait for so many dead letters."""

        async def enough() -> bool:
            return len(await self.dead(webhook_id)) >= number

        await until(enough)
        return await self.dead(webhook_id)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    yield made
    if made._task is not None:
        await made.stop()
    made.writer.close()
    made.positions.close()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def start_target() -> AsyncIterator[Callable[[], Awaitable[Target]]]:
    made: list[Target] = []

    async def start(**options: Any) -> Target:
        made.append(Target())
        await made[-1].start(**options)
        return made[-1]

    yield start
    for each in made:
        await each.stop()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What is logged goes nowhere, but to tests that capture it."""
    structlog.configure(processors=[structlog.testing.LogCapture()])
    yield
    structlog.reset_defaults()
