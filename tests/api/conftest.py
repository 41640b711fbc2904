"""The API as the collector serves it: a real server on a real socket, real files of keys, and clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from starlette.types import ASGIApp
from structlog.testing import LogCapture
from tests.api.described import DESCRIBED
from tests.store.conftest import LIMITS

from mailwake.api.app import limits_of, make_app
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parts import ApiParts
from mailwake.api.server import serve_api
from mailwake.clock import ManualClock
from mailwake.config.api_settings import Api
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.events.model import Event
from mailwake.events.privacy import SECRET_OCTETS, RecipientHash
from mailwake.feed.contract import Position
from mailwake.metrics import Metrics
from mailwake.store.duckdb_store import DuckDbStore

HASHING = RecipientHash(bytes(range(SECRET_OCTETS)))


class Served:
    """A running server: its port, and the ways to end it."""

    def __init__(self, listening: socket.socket) -> None:
        self.host, self.port = listening.getsockname()[:2]
        self.stop = asyncio.Event()
        self.drain = asyncio.Event()
        self.task: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def raw(self, octets: bytes) -> bytes:
        """All that is answered to these octets until the server closes."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(octets)
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def serving(
    app: ASGIApp, limits: HttpLimits, clock: ManualClock, metrics: Metrics | None = None
) -> AsyncIterator[Served]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        served = Served(listening)
        served.task = asyncio.create_task(
            serve_api([listening], app, served.stop, served.drain, limits=limits, clock=clock, metrics=metrics)
        )
        try:
            yield served
        finally:
            served.stop.set()
            await served.task


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log() -> LogCapture:
    """The lines of the log, as dictionaries in `entries`."""
    return LogCapture()


@pytest.fixture
def parts(tmp_path: Path, clock: ManualClock, log: LogCapture) -> ApiParts:
    return ApiParts(
        settings=Api(),
        keys=ApiKeys(tmp_path / "api-keys.sqlite3", clock),
        clock=clock,
        metrics=Metrics(),
        log=structlog.wrap_logger(None, [log], structlog.make_filtering_bound_logger("info")),
    )


@pytest.fixture
def new_key(parts: ApiParts) -> Callable[..., str]:
    made = 0

    def create(*scopes: Scope, customer: str | None = None, name: str = "") -> str:
        nonlocal made
        made += 1
        return parts.keys.create(name or f"key {made}", scopes or (Scope.READ,), customer=customer)

    return create


@pytest.fixture
async def api(parts: ApiParts, clock: ManualClock) -> AsyncIterator[Served]:
    async with serving(make_app(parts), limits_of(parts), clock) as served:
        yield served


@pytest.fixture
async def client(api: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, event_hooks=DESCRIBED, trust_env=False) as client:
        yield client


@asynccontextmanager
async def loaded_store(directory: Path, events: Sequence[Event]) -> AsyncIterator[DuckDbStore]:
    """A store of its own that has these events."""
    with closing(DuckDbStore(directory / "store", LIMITS, search_timeout=30)) as store:
        await store.open()
        await store.load(events, Position(1, 1))
        yield store


@asynccontextmanager
async def asking(
    parts: ApiParts, store: DuckDbStore, headers: dict[str, str], clock: ManualClock, *, now_ms: int
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over this store, at this time, where recipients may be hashed by HASHING."""
    clock.jump(now_ms / 1000 - clock.now())
    full = replace(parts, store=store, hashing=HASHING)
    async with (
        serving(make_app(full), limits_of(full), clock) as served,
        httpx.AsyncClient(base_url=served.url, headers=headers, event_hooks=DESCRIBED, trust_env=False) as client,
    ):
        yield client


def only_error(answer: httpx.Response) -> dict[str, Any]:
    """The one error of an answer, whose shape is checked."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert isinstance(error["message"], str)
    assert isinstance(error["description"], str)
    assert isinstance(error.get("code", ""), str)
    return dict(error)
