"""The live tail: what comes into the feed is seen once, by those who may see it, and nothing is left when they go."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import LogCapture
from tests.api.conftest import Served as Server
from tests.api.conftest import serving
from tests.dashboard.conftest import Served, log_in, logged_in
from tests.dashboard.stories import NASTY, TAKEN, an_event, one_message
from tests.webhooks.conftest import Node

from mailwake.api.app import limits_of
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.dashboard import event_stream
from mailwake.dashboard.event_stream import MOST_OF_ONE, Streams
from mailwake.dashboard.live_page import fits
from mailwake.events.model import Event, EventType
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.filters import Cut
from mailwake.store.question import Question

LIVE = "/dashboard/live"
STREAM = "/dashboard/live/events"


@pytest.fixture
async def node(tmp_path: Any) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    yield made
    made.writer.close()
    made.positions.close()


@pytest.fixture
def served(parts: ApiParts, store: DuckDbStore, node: Node, log: LogCapture, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.01)
    streams = Streams(asyncio.Event(), most=6, seconds=60)
    return Served(replace(parts, store=store, feed=node.feed), DashboardSettings(), log, streams=streams)


def add(node: Node, *events: Event) -> None:
    """These events come into the feed."""
    node.append(range(len(events)), lambda place: events[place])


class Tail:
    """One stream as a browser reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.after = ""
        self.last: dict[str, Any] = {}

    async def ids(self, number: int) -> list[int]:
        """The events of the next frames, until there are so many; in the order that they are shown."""
        found: list[int] = []
        async with asyncio.timeout(20):
            while len(found) < number:
                line = await anext(self._lines)
                if line.startswith("id: "):
                    self.after = line[4:]
                if line.startswith("data: "):
                    self.last = json.loads(line[6:])
                    found += [int(each) for each in re.findall(r'data-event="(\d+)"', self.last["rows"])]
        return found

    async def begun(self) -> None:
        """Wait until the server has said where it begins."""
        async with asyncio.timeout(20):
            while not self.after:
                line = await anext(self._lines)
                self.after = line[4:] if line.startswith("id: ") else ""

    async def rest(self) -> list[str]:
        """All lines until the server ends it."""
        async with asyncio.timeout(20):
            return [line async for line in self._lines]


@asynccontextmanager
async def browsing(served: Served, key: str, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=20) as client:
        assert (await log_in(client, key)).status_code == 303
        yield client


@pytest.fixture
async def server(served: Served) -> AsyncIterator[Server]:
    async with serving(served.app, limits_of(served.parts), ManualClock()) as server:
        yield server


@pytest.fixture
async def client(served: Served, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(served, served.key(name="boss"), server) as client:
        yield client


@asynccontextmanager
async def tail(client: httpx.AsyncClient, query: str = "", **options: Any) -> AsyncIterator[Tail]:
    async with client.stream("GET", f"{STREAM}?{query}", **options) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        tail = Tail(response)
        await tail.begun()
        yield tail


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # a connection's end is not announced
            await asyncio.sleep(0.005)


async def test_what_comes_is_shown_and_after_a_break_nothing_is_missing_or_twice(
    client: httpx.AsyncClient, node: Node
) -> None:
    async with tail(client, "tz=Asia/Tokyo") as first:
        add(node, an_event(1), an_event(2))
        assert await first.ids(2) == [2, 1]  # the newest first
        assert "2026-11-25 20:33:20" in first.last["rows"]
        assert (first.last["count"], first.last["skipped"]) == (2, False)
    add(node, an_event(3))
    async with tail(client, f"after={first.after}") as second:
        assert await second.ids(1) == [3]
        add(node, an_event(4))
        assert await second.ids(1) == [4]
    add(node, an_event(5))
    async with tail(client, headers={"last-event-id": second.after}) as third:  # as EventSource says it
        assert await third.ids(1) == [5]


async def test_the_page_begins_with_the_newest_and_the_stream_goes_on_from_there(
    served: Served, client: httpx.AsyncClient, node: Node, store: DuckDbStore
) -> None:
    empty = (await client.get(LIVE)).text
    assert "Nothing has happened in the last 24 hours" in " ".join(empty.split())
    assert "<noscript>" in empty
    assert 'href="/dashboard/messages?range=24h"' in empty
    recent = [an_event(number, timestamp=TAKEN + 10 * 3_600_000 + number) for number in range(1, 4)]
    add(node, *recent[:2])
    await store.load(recent[:2], node.feed.end())
    add(node, recent[2])
    page = (await client.get(LIVE)).text
    assert re.findall(r'data-event="(\d+)"', page) == ["2", "1"]
    found = re.search(r'data-stream="([^"]+)" data-after="([^"]+)"', page)
    assert found is not None
    async with tail(client, f"after={found[2]}") as stream:
        assert await stream.ids(1) == [3]


async def test_only_what_is_asked_for_comes(client: httpx.AsyncClient, node: Node) -> None:
    async with tail(client, "events=click&campaign=spring&cut=human") as stream:
        add(
            node,
            an_event(1, EventType.OPEN, campaign_id="spring"),
            an_event(2, campaign_id="autumn"),
            an_event(3, campaign_id="spring", is_bot=True),
            an_event(4, campaign_id="spring", is_prefetched=True),
            an_event(5, campaign_id="spring"),
        )
        assert await stream.ids(1) == [5]
        assert stream.last["count"] == 1


async def test_another_customers_events_never_come(served: Served, server: Server, node: Node) -> None:
    async with browsing(served, served.key(customer="shop"), server) as bound:
        for query in ("", "customer=other&customer=shop", "customer=shop"):
            async with tail(bound, query) as stream:
                add(node, an_event(1, customer_id="other"), an_event(2), an_event(3, customer_id="shop"))
                assert await stream.ids(1) == [3]
                assert stream.last["count"] == 1
        async with tail(bound, "customer=other") as stream:
            add(node, an_event(4, customer_id="other"), an_event(5, customer_id="shop"))
            assert served.streams is not None
            served.streams.stopping.set()
            assert not [line for line in await stream.rest() if line.startswith("data")]


async def test_the_filters_are_those_of_the_store(store: DuckDbStore, load: Any) -> None:
    events = [
        *one_message(),
        *one_message(50, "0123456789abcdef0002", customer_id="other", campaign_id="spring", rcpt_tags=("news",)),
        an_event(100, EventType.OPEN, is_prefetched=True, is_bot=True),
        an_event(101, EventType.BOUNCE, recipient_domain="example.com"),
    ]
    await load(events)
    for filters in (
        {},
        {"types": (EventType.CLICK, EventType.BOUNCE)},
        {"campaigns": ("spring",)},
        {"recipient_domains": ("example.org", "example.net")},
        {"tags": ("spring", "nothing")},
        {"customers": ("other", "shop"), "only_customer": "shop"},
        {"only_customer": "other", "link_names": ("banner",)},
        {"cut": Cut.NOT_PREFETCHED},
        {"cut": Cut.PEOPLE},
        {"cut": Cut.PEOPLE, "types": (EventType.OPEN,), "only_customer": ""},
    ):
        question = Question(**filters)
        found = (await store.search(question)).events
        fit = fits(question)
        assert {each.event_id for each in events if fit(each)} == {each.event_id for each in found}, filters


async def test_rows_are_escaped(client: httpx.AsyncClient, node: Node) -> None:
    async with tail(client) as stream:
        add(node, *one_message(friendly_from=NASTY, rcpt_to=f"{NASTY}@example.com", customer_id=NASTY))
        await stream.ids(8)
        assert "<script" not in stream.last["rows"]
        assert "javascript:" not in re.findall(r'href="([^"]*)"', stream.last["rows"])


@pytest.mark.parametrize("forged", ["1:0", "AAAA", "%3Cscript%3E", "é"])
async def test_a_place_that_we_never_told_is_now(client: httpx.AsyncClient, node: Node, forged: str) -> None:
    add(node, an_event(1))
    async with tail(client, f"after={forged}") as stream:
        add(node, an_event(2))
        assert await stream.ids(1) == [2]


async def test_more_than_can_be_shown_is_passed_over_and_said(
    client: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MOST_READ", 60)
    async with tail(client) as stream:
        add(node, *(an_event(number) for number in range(1, 101)))
        assert await stream.ids(1) == [*range(60, 10, -1)]
        assert (stream.last["count"], stream.last["skipped"]) == (60, True)
        add(node, an_event(200))
        assert await stream.ids(1) == [200]


async def test_streams_are_few_and_leave_nothing_behind(served: Served, server: Server, node: Node) -> None:
    streams = served.streams
    assert streams is not None
    async with (
        browsing(served, served.key(name="ann"), server) as ann,
        browsing(served, served.key(name="bob"), server) as bob,
    ):
        opened = [tail(ann) for _ in range(MOST_OF_ONE)]
        for each in opened:
            await each.__aenter__()
        refused = await ann.get(STREAM)
        assert refused.status_code == 503
        assert "too many live views are open" in refused.text
        async with tail(bob), tail(bob):
            assert len(streams) == 6
            assert (await bob.get(STREAM)).status_code == 503  # 6 of all
            assert (await bob.get(LIVE)).status_code == 200
        for each in opened:
            await each.__aexit__(None, None, None)
        await until(lambda: len(streams) == 0)
        await until(lambda: not node.feed._waiting)
        async with tail(ann) as again:
            add(node, an_event(1))
            assert await again.ids(1) == [1]


async def test_a_stream_ends_in_its_time_and_with_the_service(
    served: Served, client: httpx.AsyncClient, server: Server, node: Node
) -> None:
    streams = served.streams
    assert streams is not None
    streams.seconds = 0.05
    async with tail(client) as stream:
        assert await stream.rest() == [""]
    streams.seconds = 60
    async with tail(client) as stream:
        streams.stopping.set()
        await stream.rest()
    await until(lambda: len(streams) == 0)


async def test_the_servers_times_do_not_end_it(served: Served, node: Node) -> None:
    clock = ManualClock()
    served.parts = replace(served.parts, clock=clock)
    served.start()
    limits = HttpLimits(idle_timeout=1, header_timeout=1, body_timeout=1, write_timeout=1, sweep_seconds=0.01)
    key = served.key(name="x")
    async with (
        serving(served.app, limits, clock) as server,
        browsing(served, key, server) as client,
        tail(client) as stream,
    ):
        clock.advance(30)
        await asyncio.sleep(0.05)  # sweeps
        add(node, an_event(1))
        assert await stream.ids(1) == [1]


async def test_quiet_streams_say_that_they_live(
    client: httpx.AsyncClient, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "QUIET_SECONDS", 0.02)
    assert served.streams is not None
    served.streams.seconds = 0.3
    async with tail(client) as stream:
        lines = await stream.rest()
    assert ": nothing new" in lines
    assert not [line for line in lines if line.startswith("data")]


async def test_who_may_not_read_has_no_stream(served: Served) -> None:
    async with served.client() as nobody:
        answer = await nobody.get(STREAM, headers={"sec-fetch-dest": "empty"})
        assert answer.status_code == 401
    async with logged_in(served, served.key(name="head")) as client:
        assert (await client.head(STREAM)).content == b""
    served.parts = replace(served.parts, feed=None)
    served.start()
    async with logged_in(served, served.key(name="feedless")) as client:
        assert (await client.get(STREAM)).status_code == 503
