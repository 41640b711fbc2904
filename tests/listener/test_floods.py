"""Connection floods and guessed passwords, over real sockets."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from mailwake.listener.address_limits import AddressLimitSettings
from mailwake.transport.tls import server_context

from .conftest import Client, Running, Start, until

FEW = AddressLimitSettings(connections=2)
SLOW = AddressLimitSettings(new_connections_a_minute=2)
GUARDED = AddressLimitSettings(auth_failures=4, auth_failure_window=600)
LOOPBACK = "127.0.0.0/8"


def _plain(password: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0acme\0{password}".encode()).decode()


RIGHT, WRONG = _plain("secret"), _plain("guess")


async def _by_proxy(running: Running, address: str) -> tuple[Client, str]:
    client = await running.connect()
    family = "TCP6" if ":" in address else "TCP4"
    return client, await client.say(f"PROXY {family} {address} {address} 4711 25\r\n".encode())


def _refused(running: Running, reason: str) -> float:
    return running.metrics.counter("smtp_connections_refused_total", reason).value


async def test_one_address_has_so_many_connections(start: Start) -> None:
    running = await start(networks="", addresses=FEW)
    first, second = await running.ready(), await running.ready()
    third = await running.connect()
    assert (await third.reply()).startswith("421 4.7.0 Too many connections from your address")
    assert await third.at_end()
    assert _refused(running, "too many from address") == 1
    assert (await first.say("QUIT")).startswith("221")
    assert await first.at_end()
    assert (await (await running.ready()).say("NOOP")).startswith("250")
    assert (await second.say("NOOP")).startswith("250")


async def test_those_who_may_relay_have_as_many_as_they_like(start: Start) -> None:
    running = await start(networks=LOOPBACK, addresses=AddressLimitSettings(connections=1, new_connections_a_minute=1))
    for _ in range(5):
        await running.ready()


async def test_behind_a_load_balancer_the_client_counts(start: Start) -> None:
    running = await start(networks="", proxies=LOOPBACK, addresses=FEW)
    for address in ("192.0.2.1", "192.0.2.2"):
        for _ in range(2):
            assert (await _by_proxy(running, address))[1].startswith("220")
        assert (await _by_proxy(running, address))[1].startswith("421 4.7.0")


async def test_ipv6_clients_count_by_their_network(start: Start) -> None:
    running = await start(networks="", proxies=LOOPBACK, addresses=FEW)
    replies = [(await _by_proxy(running, f"2001:db8:1:2::{number}"))[1][:3] for number in range(1, 4)]
    assert replies == ["220", "220", "421"]
    assert (await _by_proxy(running, "2001:db8:1:3::1"))[1].startswith("220")


async def test_xclient_does_not_change_whose_connection_it_is(start: Start) -> None:
    config = '[esmtp_listener.peer."127.0.0.1"]\nsmtp_extensions = ["XCLIENT"]\n'
    running = await start(networks="", addresses=FEW, config=config)
    for _ in range(5):
        client = await running.ready()
        assert (await client.say("XCLIENT ADDR=192.0.2.7")).startswith("220")
        assert (await client.say("QUIT")).startswith("221")
        assert await client.at_end()


async def test_handshakes_count_as_well(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(networks="", addresses=FEW, tls=server_context(*certificate), implicit_tls=True)
    waiting = [await running.connect() for _ in range(2)]
    await until(lambda: len(running.listener._arriving) == 2)
    third = await running.connect()
    assert await third.at_end()
    assert _refused(running, "too many from address") == 1
    for client in waiting:
        client.writer.transport.abort()
    await until(lambda: not running.listener._arriving)
    assert running.listener._keys == {}
    assert running.listener._addresses._open == {}


async def test_one_address_has_so_many_new_connections_a_minute(start: Start) -> None:
    running = await start(networks="", addresses=SLOW)
    for _ in range(2):
        client = await running.ready()
        assert (await client.say("QUIT")).startswith("221")
    for _ in range(3):
        client = await running.connect()
        assert (await client.reply()).startswith("421 4.7.0 Too many new connections from your address")
    assert _refused(running, "too fast from address") == 3
    running.clock.advance(60)
    await running.ready()


async def test_a_flood_is_not_a_flood_in_the_log(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    running = await start(networks="", addresses=SLOW, log_level="info")
    for _ in range(30):
        await (await running.connect()).reply()
    await running.listener.stop(grace=0.1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert '"count":27' in lines[1]


# --- passwords


async def test_every_wrong_password_is_answered_later(start: Start) -> None:
    running = await start(networks="", addresses=GUARDED)
    client = await running.ready()
    for _ in range(2):
        assert (await client.say(WRONG)).startswith("535 5.7.8")
    assert (await client.say(WRONG)).startswith("421 4.7.0")
    assert running.pauses == [1, 2, 4]


async def test_it_is_the_address_that_is_slowed_down_not_only_the_connection(start: Start) -> None:
    running = await start(networks="", addresses=GUARDED)
    for _ in range(3):
        client = await running.ready()
        assert (await client.say(WRONG)).startswith("535 5.7.8")
    assert running.pauses == [1, 2, 4]


async def test_the_right_password_ends_the_slow_down_of_the_connection(start: Start) -> None:
    running = await start(networks=LOOPBACK, addresses=GUARDED)  # their address is not counted
    client = await running.ready()
    for _ in range(2):
        await client.say(WRONG)
    assert (await client.say(RIGHT)).startswith("235")
    assert running.pauses == [1, 2]
    again = await running.ready()
    await again.say(WRONG)
    assert running.pauses[-1] == 1


async def test_after_too_many_no_password_from_there_is_looked_at(start: Start) -> None:
    running = await start(networks="", proxies=LOOPBACK, addresses=GUARDED, auth_requires_tls="no")
    for _ in range(2):
        client, _ = await _by_proxy(running, "192.0.2.1")
        await client.say("EHLO c.example")
        for _ in range(2):
            assert (await client.say(WRONG)).startswith("535")
    client, _ = await _by_proxy(running, "192.0.2.1")
    await client.say("EHLO c.example")
    for _ in range(2):
        assert (await client.say(RIGHT)).startswith("454 4.7.0 Too many failed authentication attempts")
    assert (await client.say(RIGHT)).startswith("421 4.7.0")
    assert running.metrics.counter("smtp_auth_total", "blocked").value == 3
    assert running.metrics.counter("smtp_auth_total", "refused").value == 4
    other, _ = await _by_proxy(running, "192.0.2.2")
    await other.say("EHLO c.example")
    assert (await other.say(RIGHT)).startswith("235")
    running.clock.advance(600)
    client, _ = await _by_proxy(running, "192.0.2.1")
    await client.say("EHLO c.example")
    assert (await client.say(RIGHT)).startswith("235")


async def test_nobody_else_waits_for_a_reply_that_is_held_back(start: Start) -> None:
    running = await start(networks="", addresses=GUARDED)
    released = asyncio.Event()

    async def hold(seconds: float, ending: asyncio.Event) -> None:
        await released.wait()

    running.listener._addresses._pause = hold
    guesser, sender = await running.ready(), await running.ready()
    guesser.writer.write(WRONG.encode() + b"\r\nNOOP\r\n")
    await until(lambda: running.metrics.counter("smtp_auth_total", "refused").value)
    assert (await sender.say(RIGHT)).startswith("235")
    released.set()
    assert [(await guesser.reply())[:3] for _ in range(2)] == ["535", "250"]
