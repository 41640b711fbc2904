"""The API as the collector serves it: a real server on a real socket, real files of keys, and clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from starlette.types import ASGIApp
from structlog.testing import LogCapture
from tests.api.described import DESCRIBED

from mailwake.api.app import limits_of, make_app
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parts import ApiParts
from mailwake.api.server import serve_api
from mailwake.clock import ManualClock
from mailwake.config.api_settings import Api
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.metrics import Metrics


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
