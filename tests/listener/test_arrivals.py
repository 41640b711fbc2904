"""Listeners behind load balancers: a PROXY header from a listed one, or nothing at all."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from mailwake.listener.arrivals import HEADER_OCTETS

from .conftest import Client, Running, Start

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 25)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
GREETING = "220 mx.test.example ESMTP mailwake"
LOOPBACK = "127.0.0.0/8"


async def _refused(running: Running, reason: str) -> None:
    for _ in range(500):
        if running.metrics.counter("smtp_connections_refused_total", reason).value:
            break
        await asyncio.sleep(0.01)
    assert running.metrics.counter("smtp_connections_refused_total", reason).value == 1
    assert running.metrics.counter("smtp_connections_total").value == 0


async def _closed(client: Client) -> bool:
    """Whether it ends without a word; it may be reset, as what was sent was not all read."""
    try:
        return await client.at_end()
    except ConnectionResetError:
        return True


async def _send(client: Client) -> None:
    for command, code in (
        ("EHLO c.example", "250"),
        ("MAIL FROM:<a@b.example>", "250"),
        ("RCPT TO:<r@c.example>", "250"),
    ):
        assert (await client.say(command)).startswith(code), command
    assert (await client.say("DATA")).startswith("354")
    assert (await client.say(b"hello\r\n.\r\n")).startswith("250")


@pytest.mark.parametrize("header", [V1, V2, V2[:15] + b"\x0f" + V2[16:] + b"\4\0\0"], ids=["v1", "v2", "v2 and TLV"])
async def test_the_header_names_the_client_before_the_greeting(start: Start, header: bytes) -> None:
    running = await start(proxies=LOOPBACK, networks="192.0.2.0/24", config=_TRACKING)
    client = await running.connect()
    assert await client.say(header) == GREETING
    await _send(client)
    session = running.receiver.messages[0][0]
    assert (session.peer_address, session.peer_port) == ("192.0.2.7", 4711)
    assert session.context.get("remote_ip") == "192.0.2.7"
    assert session.options.tracking_domain.value == "track.client.example"


_TRACKING = '[esmtp_listener.peer."192.0.2.0/24"]\ntracking_domain = "track.client.example"\n'


@pytest.mark.parametrize("header", [V1, V2, LOCAL])
async def test_octet_by_octet(start: Start, header: bytes) -> None:
    client = await (await start(proxies=LOOPBACK)).connect()
    for octet in header:
        client.writer.write(bytes([octet]))
        await asyncio.sleep(0)
    assert await client.reply() == GREETING
    assert (await client.say("NOOP")).startswith("250")


@pytest.mark.parametrize("header", [V1, V2, LOCAL])
async def test_commands_in_the_same_segment_are_the_clients(start: Start, header: bytes) -> None:
    client = await (await start(proxies=LOOPBACK)).connect()
    assert await client.say(header + b"EHLO c.example\r\nNOOP\r\n") == GREETING
    assert (await client.reply()).startswith("250-")
    assert await client.reply() == "250 2.0.0 Ok"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
async def test_without_an_address_the_load_balancers_own_holds(start: Start, header: bytes) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    assert await client.say(header) == GREETING
    await _send(client)
    assert running.receiver.messages[0][0].peer_address == "127.0.0.1"


async def test_the_client_of_the_header_may_relay_or_not_by_its_own_address(start: Start) -> None:
    client = await (await start(proxies=LOOPBACK, networks=LOOPBACK)).connect()
    assert await client.say(V1) == GREETING
    await client.say("EHLO c.example")
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert (await client.say("RCPT TO:<r@c.example>")).startswith("550 5.7.1")


async def test_the_client_of_the_header_is_trusted_by_its_own_address(start: Start) -> None:
    config = '[esmtp_listener.peer."127.0.0.1"]\nsmtp_extensions = ["XCLIENT"]\n'
    running = await start(proxies=LOOPBACK, config=config)
    client = await running.connect()
    await client.say(V1)
    assert (await client.say("XCLIENT ADDR=127.0.0.1")).startswith("550 5.7.0")


@pytest.mark.parametrize(
    "sent",
    [
        b"EHLO c.example\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        b"PROXY " + b"x" * 200,
        V2[:14] + struct.pack("!H", HEADER_OCTETS + 1),
    ],
)
async def test_anything_else_is_closed_without_a_word(start: Start, sent: bytes) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    client.writer.write(sent)
    assert await _closed(client)
    await _refused(running, "no PROXY header")


@pytest.mark.parametrize("header", [V1, V2])
async def test_whoever_is_not_listed_is_closed_whatever_it_says(start: Start, header: bytes) -> None:
    running = await start(proxies="192.0.2.0/24")
    client = await running.connect()
    client.writer.write(header)
    assert await _closed(client)
    await _refused(running, "not a listed proxy")


@pytest.mark.parametrize("header", [V1, V2])
async def test_where_clients_connect_themselves_it_is_no_command(start: Start, header: bytes) -> None:
    running = await start()
    client = await running.connect()
    assert await client.reply() == GREETING
    assert (await client.say(header)).startswith("500 5.5.1" if header == V1 else "5")
    assert running.metrics.counter("smtp_connections_refused_total", "no PROXY header").value == 0


@pytest.mark.parametrize("sent", [b"", V1[:20], V2[:17]], ids=["nothing", "half of v1", "half of v2"])
async def test_a_header_that_does_not_come_is_not_waited_for(start: Start, sent: bytes) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    client.writer.write(sent)
    await asyncio.sleep(0.05)
    running.clock.advance(61)
    assert await _closed(client)
    await _refused(running, "no PROXY header")


@pytest.mark.parametrize("sent", [b"", V1[:20]])
async def test_a_load_balancer_that_leaves_is_forgotten(start: Start, sent: bytes) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    client.writer.write(sent)
    client.writer.close()
    await _refused(running, "no PROXY header")
    await asyncio.wait_for(running.listener.drain(), 10)


async def test_a_load_balancer_that_resets_is_forgotten(start: Start) -> None:
    running = await start(proxies=LOOPBACK)
    client = socket.create_connection(("127.0.0.1", running.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.05)
    client.close()
    await _refused(running, "no PROXY header")
    await asyncio.wait_for(running.listener.drain(), 10)


async def test_those_that_wait_are_not_more_than_there_may_be_connections(start: Start) -> None:
    running = await start(proxies=LOOPBACK, connections=2)
    waiting = [await running.connect() for _ in range(2)]
    await asyncio.sleep(0.05)
    assert await _closed(await running.connect())
    await _refused(running, "too many")
    assert await waiting[0].say(V1) == GREETING
    assert await waiting[1].say(V1) == GREETING


async def test_a_stop_does_not_wait_for_headers(start: Start) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    await asyncio.sleep(0.05)
    await asyncio.wait_for(running.listener.stop(grace=20), 5)
    assert await _closed(client)


async def test_draining_lets_a_header_that_is_under_way_arrive(start: Start) -> None:
    running = await start(proxies=LOOPBACK)
    client = await running.connect()
    client.writer.write(V1[:20])
    await asyncio.sleep(0.05)
    draining = asyncio.create_task(running.listener.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()
    assert await client.say(V1[20:]) == GREETING
    assert (await client.say("QUIT")).startswith("221")
    await asyncio.wait_for(draining, 10)
