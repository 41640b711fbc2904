"""The dashboard as the collector serves it: the whole application over real files of keys and a real store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import LogCapture
from tests.dashboard.mail import NASTY, mail
from tests.webhooks.conftest import Node

from mailwake.api.app import authentication_of, make_app
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.config.api_settings import Api
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.config.networks import parse_network
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.dashboard.event_stream import Streams
from mailwake.dashboard.page_table import PAGES
from mailwake.dashboard.pages import Page
from mailwake.dashboard.site import Dashboard
from mailwake.events.model import Event
from mailwake.feed.contract import Position
from mailwake.metrics import Metrics
from mailwake.store.duckdb_file import Limits
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.webhooks.webhook import Webhook

NOW = 1_795_700_000.0
"""Thu 26 Nov 2026, 13:33:20 UTC."""

PROXY = "192.0.2.7"
SECRET = bytes(range(32))
LIMITS = Limits(memory=128 << 20, threads=2)


@dataclass
class Served:
    """An application, and how to make its clients."""

    parts: ApiParts
    settings: DashboardSettings
    log: LogCapture
    pages: Sequence[Page] = PAGES
    secret: bytes = SECRET
    node: Node | None = None
    """Its feed and webhooks, where it has some."""
    streams: Streams | None = None
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew, as after a restart of the collector."""
        who = authentication_of(self.parts)
        streams = self.streams
        site = Dashboard(self.parts, self.settings, who, self.secret, self.pages, streams=streams)
        self.app = make_app(self.parts, who=who, site=site)

    def client(self, peer: str = "127.0.0.1", scheme: str = "http", **arguments: Any) -> httpx.AsyncClient:
        """A browser at this address, which has no cookies yet."""
        transport = httpx.ASGITransport(self.app, client=(peer, 40_000))
        return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://mail.test", **arguments)

    def key(self, *scopes: Scope, customer: str | None = None, name: str = "ann", expires: int | None = None) -> str:
        return self.parts.keys.create(name, scopes or (Scope.READ,), customer=customer, expires=expires)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def log() -> LogCapture:
    return LogCapture()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDbStore]:
    made = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await made.open()
    yield made
    made.close()


@pytest.fixture
def parts(tmp_path: Path, clock: ManualClock, log: LogCapture) -> ApiParts:
    """Without a store."""
    return make_parts(tmp_path, clock, log)


def make_parts(directory: Path, clock: ManualClock, log: LogCapture) -> ApiParts:
    return ApiParts(
        settings=Api(trusted_proxies=(parse_network(PROXY),)),
        keys=ApiKeys(directory / "api-keys.sqlite3", clock),
        clock=clock,
        metrics=Metrics(),
        log=structlog.wrap_logger(None, [log], structlog.make_filtering_bound_logger("info")),
    )


@asynccontextmanager
async def with_mail(directory: Path) -> AsyncIterator[Served]:
    """A dashboard over a store with the events of `mail`, in a directory of its own."""
    clock, log = ManualClock(NOW), LogCapture()
    store = DuckDbStore(directory / "store", LIMITS, search_timeout=30)
    await store.open()
    (directory / "node").mkdir()
    node = Node(directory / "node")
    node.open()
    webhook = Webhook(id="4c1f", name=f"crm {NASTY}", target="https://crm.example.com/", events=("click",))
    node.webhooks._tables.subscriptions.add(webhook, node.feed.end(), NOW - 90_000)
    await store.load(mail(), node.feed.end())
    parts = replace(make_parts(directory, clock, log), store=store, feed=node.feed)
    yield Served(replace(parts, webhooks=node.webhooks.subscriptions), DashboardSettings(), log, node=node)
    await node.stop()
    node.writer.close()
    node.positions.close()
    store.close()


@pytest.fixture
def served(parts: ApiParts, store: DuckDbStore, log: LogCapture) -> Served:
    return Served(replace(parts, store=store), DashboardSettings(), log)


@asynccontextmanager
async def logged_in(served: Served, key: str, **arguments: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has logged in with this key."""
    async with served.client(**arguments) as client:
        answer = await log_in(client, key)
        assert answer.status_code == 303, answer.text
        yield client


async def log_in(client: httpx.AsyncClient, key: str, goal: str = "/dashboard") -> httpx.Response:
    """What the form answers to this key."""
    page = await client.get("/dashboard/login", params={"next": goal})
    assert page.status_code == 200
    return await client.post("/dashboard/login", data={**hidden(page.text), "key": key})


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


@pytest.fixture
def load(store: DuckDbStore) -> Callable[[Sequence[Event]], Any]:
    """Puts events into the store."""

    async def keep(events: Sequence[Event]) -> None:
        await store.load(events, Position(1, 1))

    return keep
