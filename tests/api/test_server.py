"""The server with clients of every kind: honest ones, slow ones, and ones that speak no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from tests.api.conftest import Served, serving

from mailwake.api.app import make_app
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.control import api_keys

QUICK = HttpLimits(sweep_seconds=0.01, connections=6, header_bytes=2000)
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ", 2)[1])


def error_of(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert b"connection: close" in head
    (error,) = json.loads(body)["errors"]
    return str(error["message"])


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/v1/webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_what_is_no_request_gets_400_and_is_closed(api: Served, octets: bytes) -> None:
    answer = await api.raw(octets)
    assert status_of(answer) == 400
    assert error_of(answer) == "bad request"


async def test_several_requests_share_a_connection_also_when_pipelined(api: Served) -> None:
    answer = await api.raw(HEALTH * 3 + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b'{"results":{"status":"ok"}}') == 4


@pytest.mark.parametrize("host", [b"[", b"", b"x:y:z", b"a b", b"http://[", b"\xff", b"%00", b"x" * 300])
async def test_a_host_that_is_none_is_nobodys_fault(api: Served, host: bytes) -> None:
    for path, status in ((b"/api/v1/health", 200), (b"/nowhere", 404), (b"/api/v1/events/message?from=x", 401)):
        answer = await api.raw(b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (path, host))
        assert status_of(answer) == status


async def test_an_upgrade_is_passed_over(api: Served) -> None:
    fields = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(HEALTH.replace(b"\r\n\r\n", fields))
    assert status_of(await reader.readuntil(b"}}")) == 200
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /" + b"x" * 3000,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"y" * 3000,
        b"GET / HTTP/1.1\r\n" + b"A: y\r\n" * 600,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"y" * 3000 + b"\r\n\r\n",
        b"GET /?" + b"x" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_a_header_bomb_gets_431(parts: ApiParts, clock: ManualClock, octets: bytes) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        answer = await served.raw(octets)
    assert status_of(answer) == 431
    assert error_of(answer) == "request header fields too large"


@pytest.mark.parametrize("octets", [b"", b"GET / HT", HEALTH[:-2], HEALTH + b"G"])
async def test_a_header_has_its_time(parts: ApiParts, clock: ManualClock, octets: bytes) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(octets)
        if octets.startswith(HEALTH):
            await reader.readuntil(b"}}")
        else:
            await asyncio.sleep(0.03)  # not for the outcome: the octets shall be there when time has passed
        clock.advance(11)
        answer = await reader.read()
        writer.close()
    assert status_of(answer) == 408
    assert error_of(answer) == "request timeout"


async def test_trickling_octets_do_not_prolong_it(parts: ApiParts, clock: ManualClock) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        answer = asyncio.create_task(reader.read())
        for octet in HEALTH[:-1]:
            writer.write(bytes([octet]))
            clock.advance(1)
            done, _ = await asyncio.wait({answer}, timeout=0.02)
            if done:
                break
        else:
            raise AssertionError("its time never ended")
        with contextlib.suppress(ConnectionResetError):  # an octet was on its way
            assert status_of(await answer) == 408
        writer.close()


async def test_a_body_has_its_time(parts: ApiParts, clock: ManualClock) -> None:
    key = parts.keys.create("shop", [api_keys.Scope.ADMIN])
    head = f"POST /api/v1/privacy/erasures HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 100\r\n"
    async with serving(make_app(parts), QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(f"{head}Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"recip')
        await asyncio.sleep(0.03)  # not for the outcome
        clock.advance(31)
        assert status_of(await reader.read()) == 408
        writer.close()


async def test_a_refused_body_is_not_waited_for(parts: ApiParts, clock: ManualClock) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        octets = b"POST /api/v1/privacy/erasures HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(octets)
        head = await reader.readuntil(b"\r\n\r\n")
        assert status_of(head) == 401
        clock.advance(31)
        assert b"HTTP/1.1" not in await reader.read()  # the body of the 401, and the end
        writer.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.from_regex(rb"(GET|POST|PUT) /[ -~]{0,20} HTTP/1\.[01]\r\n([A-Za-z-]{1,9}: ?[ -~]{0,9}\r\n){0,4}\r\n.{0,9}")
)
async def test_whatever_comes_the_next_client_is_served(api: Served, octets: bytes) -> None:
    reader, writer = await asyncio.open_connection(api.host, api.port)
    with contextlib.suppress(ConnectionError):
        writer.write(octets)
        writer.write_eof()
        await reader.read()
    writer.close()
    answer = await api.raw(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert status_of(answer) == 200


async def test_a_connection_without_requests_is_closed_without_a_word(parts: ApiParts, clock: ManualClock) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(HEALTH)
        await reader.readuntil(b"}}")
        clock.advance(16)
        assert await reader.read() == b""
        writer.close()


async def test_one_address_has_half_of_the_connections_and_those_that_are_open_are_served(
    parts: ApiParts, clock: ManualClock
) -> None:
    async with serving(make_app(parts), QUICK, clock, parts.metrics) as served:
        first = [await asyncio.open_connection(served.host, served.port) for _ in range(3)]
        for reader, writer in first:
            writer.write(HEALTH)
            assert status_of(await reader.readuntil(b"}}")) == 200
        answer = await served.raw(HEALTH)
        assert status_of(answer) == 503
        assert b"retry-after: 1" in answer
        assert ("api_requests_total", ("none", "503"), 1) in parts.metrics.snapshot()
        for reader, writer in first:
            writer.write(HEALTH)
            assert status_of(await reader.readuntil(b"}}")) == 200
            writer.close()


async def test_a_client_that_takes_nothing_of_its_answer_is_disconnected(clock: ManualClock) -> None:
    gone = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        disconnected = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not disconnected.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        gone.set()

    async with serving(endless, QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port, limit=1024)
        writer.write(HEALTH)
        assert await reader.readexactly(12) == b"HTTP/1.1 200"
        while not gone.is_set():
            clock.advance(1)
            await asyncio.sleep(0.01)
        writer.close()


async def test_stopping_finishes_what_is_in_hand(parts: ApiParts, clock: ManualClock) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(slow, QUICK, clock) as served:
        asked = asyncio.create_task(served.raw(HEALTH))
        await begun.wait()
        served.stop.set()
        await asyncio.sleep(0)
        go.set()
        answer = await asked
        assert status_of(answer) == 200
        assert answer.endswith(b"\r\n\r\nok")
        await served.task


async def test_draining_answers_open_connections_once_more_and_ends(parts: ApiParts, clock: ManualClock) -> None:
    async with serving(make_app(parts), QUICK, clock) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(HEALTH)
        await reader.readuntil(b"}}")
        served.drain.set()
        await asyncio.sleep(0.05)
        writer.write(HEALTH)
        answer = await reader.read()
        assert status_of(answer) == 200
        assert b"connection: close" in answer
        await served.task
        writer.close()


async def test_a_real_client_in_daily_use(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json() == {"results": {"status": "ok"}}
    assert (await client.head("/api/v1/health")).content == b""
