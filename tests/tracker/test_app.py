"""Every row of the tracker's table (2-tracking §2), octet for octet, through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mailwake.clock import ManualClock
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.tracker.address_rate import AddressRate
from mailwake.tracker.app import TrackerApp
from mailwake.tracker.client_facts import ClientFacts, ClientFactsReader
from mailwake.tracker.domains import Domains
from mailwake.tracker.messages import Request
from mailwake.tracker.outcome import Outcome, Shown
from mailwake.tracker.pages import NOT_FOUND_PAGE, PIXEL_GIF

Serve = Callable[..., AbstractAsyncContextManager[Any]]
"""The fixture of conftest.py."""

TARGET = "https://shop.example/a?b=c&d=%20#e"


class Script:
    """A link handler that answers by the token, and remembers what it was asked and by whom."""

    def __init__(self) -> None:
        self.reader = ClientFactsReader([ip_network("127.0.0.0/8")])
        self.facts: list[ClientFacts] = []
        self.asked: list[tuple[str, str, bool]] = []
        self.outcomes: dict[str, Outcome] = {"click": TARGET, "image": Shown.IMAGE}
        self.forms: list[tuple[str, bytes]] = []
        self.gate = asyncio.Event()

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        self.asked.append((family, token, record))
        self.facts.append(self.reader.read(request))
        if token == "raise":
            raise RuntimeError("a fault of our own")
        if token == "wait":
            await self.gate.wait()
            return TARGET
        return self.outcomes.get(token, Shown.NOTHING)

    async def unsubscribe(self, token: str, request: Request) -> Outcome:
        self.forms.append((token, request.body))
        return self.outcomes.get(token, Shown.NOTHING)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(script: Script, metrics: Metrics, tmp_path: Path) -> TrackerApp:
    directory = tmp_path / "links.example"
    directory.mkdir()
    (directory / "apple-app-site-association").write_bytes(b'{"applinks":{}}')
    return TrackerApp(script, Domains(app_links=tmp_path), metrics, make_logger("json", "error"))


def without_date(answer: bytes) -> bytes:
    head, blank, body = answer.partition(b"\r\n\r\n")
    return re.sub(rb"\r\ndate: [^\r\n]+", b"", head) + blank + body


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


REDIRECT = head(
    "HTTP/1.1 302 Found",
    "connection: close",
    "location: " + TARGET,
    "cache-control: no-store",
    "x-robots-tag: noindex",
    "referrer-policy: no-referrer",
    "content-length: 0",
)
IMAGE = head(
    "HTTP/1.1 200 OK",
    "connection: close",
    "content-type: image/gif",
    "cache-control: no-store, private",
    "x-robots-tag: noindex",
    "content-length: 43",
)
NOT_FOUND = head(
    "HTTP/1.1 404 Not Found",
    "connection: close",
    "content-type: text/html; charset=utf-8",
    "cache-control: no-store",
    "x-robots-tag: noindex",
    "referrer-policy: no-referrer",
    "x-content-type-options: nosniff",
    f"content-length: {len(NOT_FOUND_PAGE)}",
)


def same(answer: bytes, expected: bytes) -> bool:
    """Whether two answers are equal but for the date and the order of their header fields."""

    def parts(octets: bytes) -> tuple[bytes, list[bytes], bytes]:
        top, _, body = without_date(octets).partition(b"\r\n\r\n")
        first, *fields = top.split(b"\r\n")
        return first, sorted(fields), body

    assert parts(answer) == parts(expected)
    return True


@pytest.mark.parametrize(
    "path", ["/f/a/click", "/f/summer_sale/2026/click", "/f/a/click/", "/f/a/click?utm=1&fbclid=x", "/f/a%2Fb/%63lick"]
)
async def test_click_redirects_to_exactly_the_target(
    serve: Serve, app: TrackerApp, script: Script, metrics: Metrics, path: str
) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get(path), REDIRECT)
    assert script.asked == [("f", "click", True)]
    assert metrics.counter("tracker_requests_total", "redirect").value == 1


@pytest.mark.parametrize("family", ["q", "o"])
async def test_opens_show_the_image(
    serve: Serve, app: TrackerApp, script: Script, metrics: Metrics, family: str
) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get(f"/{family}/image?x=1"), IMAGE + PIXEL_GIF)
    assert len(PIXEL_GIF) == 43
    assert script.asked == [(family, "image", True)]
    assert metrics.counter("tracker_requests_total", "image").value == 1


@pytest.mark.parametrize(
    ("path", "expected"), [("/f/a/click", REDIRECT), ("/q/image", IMAGE), ("/f/a/forged", NOT_FOUND)]
)
async def test_head_gives_the_same_fields_without_body_and_records_nothing(
    serve: Serve, app: TrackerApp, script: Script, path: str, expected: bytes
) -> None:
    async with serve(app) as tracker:
        answer = await tracker.get(path, method="HEAD")
    assert same(answer, expected)
    assert [record for _, _, record in script.asked] == [False]


async def test_forged_token_gets_the_page_for_people(serve: Serve, app: TrackerApp, metrics: Metrics) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get("/f/a/forged"), NOT_FOUND + NOT_FOUND_PAGE)
    assert metrics.counter("tracker_requests_total", "not_found").value == 1


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/favicon.ico",
        "/f",
        "/f/",
        "/f/click",
        "/x/a/click",
        "//f/a/click",
        "/F/a/click",
        "/q/",
        "/%ff",
        "/.well-known/x",
        "/f/a/%00",
    ],
)
async def test_other_paths_do_not_exist(serve: Serve, app: TrackerApp, path: str) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get(path), NOT_FOUND + NOT_FOUND_PAGE)


async def test_robots_are_kept_out(serve: Serve, app: TrackerApp) -> None:
    async with serve(app) as tracker:
        answer = await tracker.get("/robots.txt")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: text/plain; charset=utf-8\r\n" in answer
    assert answer.endswith(b"\r\n\r\nUser-agent: *\nDisallow: /\n")


async def test_app_association_file_of_the_domain(serve: Serve, app: TrackerApp) -> None:
    async with serve(app) as tracker:
        found = await tracker.get("/.well-known/apple-app-site-association", host="Links.example:8080")
        elsewhere = await tracker.get("/.well-known/apple-app-site-association", host="other.example")
        absent = await tracker.get("/.well-known/assetlinks.json")
    assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in found
    assert found.endswith(b'\r\n\r\n{"applinks":{}}')
    assert same(elsewhere, NOT_FOUND + NOT_FOUND_PAGE)
    assert same(absent, NOT_FOUND + NOT_FOUND_PAGE)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "FOO"])
async def test_other_methods_are_not_allowed(serve: Serve, app: TrackerApp, script: Script, method: str) -> None:
    async with serve(app) as tracker:
        answer = await tracker.ask(f"{method} /f/a/click HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nallow: GET, HEAD\r\n" in answer
    assert script.asked == []


CLICK = b"GET /f/a/click HTTP/1.1\r\nHost: a\r\n"
SECOND = b"GET /f/a/click HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        CLICK + b"Content-Length: 5\r\n\r\nhello",
        CLICK + b"Content-Length: 500\r\n\r\nhello",
        CLICK + b"Content-Length: 00\r\n\r\n",
        CLICK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CLICK + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_a_request_with_a_body_is_refused_and_the_connection_closed(
    serve: Serve, app: TrackerApp, script: Script, request_: bytes
) -> None:
    async with serve(app) as tracker:
        answer = await tracker.ask(request_ + SECOND)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows a refused body must not be taken for a request"
    assert script.asked == []


async def test_an_empty_body_is_no_body(serve: Serve, app: TrackerApp) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get("/f/a/click", "Content-Length: 0"), REDIRECT)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", b"400"),
        (CLICK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (CLICK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (CLICK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", b"400"),
        (CLICK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"400"),
        (CLICK + b"Content-Length : 5\r\n\r\nhello", b"400"),
        (CLICK + b"X: a\nContent-Length: 5\r\n\r\nhello", b"400"),
        (CLICK + b"Host: b\r\n\r\n", b"400"),
        (b"GET /f/a/click HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /f/a/click HTTP/2.0\r\nHost: a\r\n\r\n", b"505"),
        (b"GET /f/a/click\r\n\r\n", b"505"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (CLICK + b"User-Agent: a\x00b\r\n\r\n", b"400"),
        (CLICK + b" folded\r\n\r\n", b"400"),
        (CLICK + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n", b"431"),
        (CLICK + b"X: " + b"y" * 400_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
    ],
)
async def test_what_is_no_request_is_answered_and_closed_and_harms_nobody(
    serve: Serve, app: TrackerApp, script: Script, request_: bytes, status: bytes
) -> None:
    async with serve(app) as tracker:
        reader, writer = await tracker.connect()
        writer.write(request_)
        with contextlib.suppress(ConnectionError):  # closed while we still send: the answer may not get through
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert answer.count(b"HTTP/1.1 ") == 1
        assert script.asked == []
        assert same(await tracker.get("/f/a/click"), REDIRECT)


async def test_strange_octets_in_a_field_do_not_cost_the_click(serve: Serve, app: TrackerApp) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get("/f/a/click", "User-Agent: caf\xe9\xff"), REDIRECT)


async def test_an_address_that_asks_too_often_is_turned_away(serve: Serve, script: Script, metrics: Metrics) -> None:
    rate = AddressRate(2, ClientFactsReader(), ManualClock())
    app = TrackerApp(script, Domains(), metrics, make_logger("json", "error"), rate=rate)
    async with serve(app) as tracker:
        answers = [await tracker.get("/f/a/click") for _ in range(3)]
    assert [answer[9:12] for answer in answers] == [b"302", b"302", b"403"]
    assert metrics.counter("tracker_requests_total", "too_many").value == 1
    assert len(script.asked) == 2


async def test_behind_a_proxy_each_client_has_its_own_limit(serve: Serve, script: Script, metrics: Metrics) -> None:
    rate = AddressRate(1, script.reader, ManualClock())
    app = TrackerApp(script, Domains(), metrics, make_logger("json", "error"), rate=rate)
    async with serve(app) as tracker:
        codes = [
            (await tracker.get("/f/a/click", f"X-Forwarded-For: {client}"))[9:12]
            for client in ("198.51.100.1", "198.51.100.2", "198.51.100.1", "203.0.113.9, 198.51.100.2")
        ]
    assert codes == [b"302", b"302", b"403", b"403"]


@pytest.mark.parametrize("length", [8_000, 43_696])
async def test_long_tokens_reach_the_handler(serve: Serve, app: TrackerApp, script: Script, length: int) -> None:
    async with serve(app) as tracker:
        assert same(await tracker.get("/f/a/" + "x" * length), NOT_FOUND + NOT_FOUND_PAGE)
    assert [len(token) for _, token, _ in script.asked] == [length]


async def test_facts_of_the_client_as_the_server_gives_them(serve: Serve, app: TrackerApp, script: Script) -> None:
    fields = (
        "User-Agent: Mail/1.0\t(x)",
        "X-Forwarded-For: 203.0.113.9, 198.51.100.1",
        "x-forwarded-for: 127.0.0.2",
        "Accept-Language: de",
        "Sec-Purpose: prefetch",
    )
    async with serve(app) as tracker:
        await tracker.get("/f/a/click", *fields)
        await tracker.get("/f/a/click", 'Forwarded: for="[2001:db8::1]:80"')
        await tracker.get("/f/a/click", "X-Forwarded-For: caf\xe9")
    assert script.facts == [
        ClientFacts("198.51.100.1", "Mail/1.0 (x)", "de", True),
        ClientFacts("2001:db8::1", "", "", False),
        ClientFacts("127.0.0.1", "", "", False),
    ]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_an_ipv6_client_has_no_brackets(serve: Serve, app: TrackerApp, script: Script) -> None:
    async with serve(app, host="::1") as tracker:
        assert same(await tracker.get("/f/a/click"), REDIRECT)
    assert script.facts[0].address == "::1"


async def test_a_fault_of_our_own_is_a_plain_500_and_counted(serve: Serve, app: TrackerApp, metrics: Metrics) -> None:
    async with serve(app) as tracker:
        assert (await tracker.get("/f/a/raise")).startswith(b"HTTP/1.1 500 ")
        assert same(await tracker.get("/f/a/click"), REDIRECT)
    assert metrics.counter("tracker_requests_total", "failed").value == 1


async def test_pipelined_requests_are_answered_in_order(serve: Serve, app: TrackerApp, script: Script) -> None:
    async with serve(app) as tracker:
        answer = await tracker.ask(CLICK + b"\r\n" + b"GET /q/image HTTP/1.1\r\nHost: a\r\n\r\n" + SECOND)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"302", b"200", b"302"]
    assert [token for _, token, _ in script.asked] == ["click", "image", "click"]


async def test_a_click_waits_for_nobody_else(serve: Serve, app: TrackerApp, script: Script) -> None:
    async with serve(app) as tracker:
        waiting = asyncio.create_task(tracker.get("/f/a/wait"))
        assert same(await tracker.get("/f/a/click"), REDIRECT)
        assert not waiting.done()
        script.gate.set()
        assert same(await waiting, REDIRECT)
