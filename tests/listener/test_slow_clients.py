"""Clients that are silent, trickle, or take no replies: at every state of a session there is an end to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailwake.smtp.server_protocol import UNSENT_OCTETS
from mailwake.smtp.states import State
from mailwake.transport.tls import server_context

from .conftest import Client, Running, Start, until
from .test_policy_phases import policies

SENDER, RECIPIENT = b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<r@c.example>\r\n"
REACHED: dict[State, bytes] = {
    State.REFUSED: b"",
    State.CONNECTED: b"",
    State.READY: b"EHLO c.example\r\n",
    State.MAIL: b"EHLO c.example\r\n" + SENDER,
    State.RCPT: b"EHLO c.example\r\n" + SENDER + RECIPIENT,
    State.DATA: b"EHLO c.example\r\n" + SENDER + RECIPIENT + b"DATA\r\n",
    State.CHUNKS: b"EHLO c.example\r\n" + SENDER + RECIPIENT + b"BDAT 3\r\nabc",
    State.CHUNK: b"EHLO c.example\r\n" + SENDER + RECIPIENT + b"BDAT 3\r\n",
    State.AUTH: b"EHLO c.example\r\nAUTH LOGIN\r\n",
    State.TLS: b"EHLO c.example\r\nSTARTTLS\r\n",
}
OTHERS = {State.GREETING, State.CLOSING}
"""Each has a test of its own: nothing is said yet, or not any more."""

Reach = Callable[[State], Any]


@pytest.fixture(autouse=True)
def _quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwake.listener.server.SWEEP_SECONDS", 0.02)


def test_every_state_has_its_row() -> None:
    assert set(State) == set(REACHED) | OTHERS


@pytest.fixture
def reach(start: Start, certificate: tuple[Path, Path], tmp_path: Path) -> Reach:
    async def come(state: State) -> tuple[Running, Client]:
        options: dict[str, Any] = {}
        if state is State.REFUSED:
            options["policies"] = policies(tmp_path, "def validate_connect(*a):\n    return refuse(554, '5.7.1 no')\n")
        tls = server_context(*certificate) if state is State.TLS else None
        running = await start(tls=tls, **options)
        client = await running.connect()
        client.writer.write(REACHED[state])
        await until(lambda: [c._protocol.state for c in running.listener._connections] == [state])
        return running, client

    return come


async def _rest(client: Client) -> bytes:
    read = b""
    try:
        while more := await asyncio.wait_for(client.reader.read(65536), 30):
            read += more
    except ConnectionResetError:
        pass
    return read


def _gone(running: Running) -> bool:
    open_now = running.metrics.counter("smtp_connections_open").value
    return open_now == 0 and not running.listener._connections and running.budget._used == 0


@pytest.mark.parametrize("state", REACHED)
async def test_silence_has_an_end(reach: Reach, state: State) -> None:
    running, client = await reach(state)
    running.clock.advance(299 if state is not State.TLS else 59)
    await asyncio.sleep(0)
    running.clock.advance(2)
    rest = await _rest(client)
    if state is not State.TLS:  # there the client expects no word in the clear
        assert rest.splitlines()[-1] == b"421 4.4.2 Timeout, closing connection"
    await until(lambda: _gone(running))
    assert running.receiver.messages == []


@pytest.mark.parametrize("state", REACHED)
async def test_trickling_has_an_end(reach: Reach, state: State) -> None:
    running, client = await reach(state)
    ended = asyncio.create_task(_rest(client))
    for _ in range(2000):
        if ended.done():
            break
        running.clock.advance(20)  # never silent for so long that it would count as idle
        if not client.writer.is_closing():
            client.writer.write(b"" if state is State.CHUNK and running.clock.monotonic() > 900 else b"x")
        await asyncio.sleep(0.01)
    rest = await asyncio.wait_for(ended, 30)
    if state is State.CHUNK:
        assert b"250 2.0.0" in rest or b"421 4.4.2" in rest  # three octets of it and the chunk is whole
    elif state is not State.TLS:
        assert rest.splitlines()[-1] == b"421 4.4.2 That took too long, closing connection"
    await until(lambda: _gone(running))
    assert running.receiver.messages == []


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0.2.7"])
async def test_before_the_greeting(start: Start, sent: bytes) -> None:
    running = await start(proxies="127.0.0.0/8")
    client = await running.connect()
    client.writer.write(sent)
    await until(lambda: running.listener._arriving)
    running.clock.advance(61)
    assert await _rest(client) == b""
    await until(lambda: not running.listener._arriving)


# --- clients that do not take replies


class Deaf:
    """A client that sends and never reads; small buffers, so that it shows soon."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.sent = 0

    async def flood(self, what: bytes, octets: int) -> None:
        """Send until so much was sent, or until the server takes no more for a while."""
        refused = 0
        while self.sent < octets and refused < 50:
            try:
                self.sent += self.socket.send(what)
                refused = 0
                await asyncio.sleep(0)
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("command", [b"HELP\r\n", b"NOOP\r\n", b"EHLO c.example\r\n", b"VRFY x\r\n"])
async def test_who_takes_no_replies_is_not_read_from(start: Start, command: bytes) -> None:
    running = await start(send_buffer=4096)
    deaf = Deaf(running.port)
    await deaf.flood(command * (60_000 // len(command)), octets=64 << 20)
    assert deaf.sent < 32 << 20  # what the system's own buffers took, at most
    (connection,) = running.listener._connections
    assert connection._choked
    transport = connection._transport
    assert transport is not None
    assert transport.get_write_buffer_size() < 4 * UNSENT_OCTETS
    assert connection._protocol.buffered < 1 << 20
    assert (await (await running.ready()).say("NOOP")).startswith("250")  # all others are served
    running.clock.advance(301)
    await until(lambda: connection not in running.listener._connections)
    deaf.socket.close()


async def test_who_takes_them_in_the_end_gets_them_all(start: Start) -> None:
    running = await start()
    client = await running.ready()
    number = 100_000
    client.writer.write(b"HELP\r\n" * number + b"QUIT\r\n")
    await until(lambda: [c for c in running.listener._connections if c._choked])
    replies = (await _rest(client)).splitlines()
    assert {reply[:4] for reply in replies[:-1]} == {b"214 "}
    assert (len(replies), replies[-1]) == (number + 1, b"221 2.0.0 Bye")


async def test_who_quits_and_takes_no_replies_is_dropped(start: Start) -> None:
    running = await start(send_buffer=4096)
    deaf = Deaf(running.port)
    deaf.socket.send(b"HELP\r\n" * 300 + b"QUIT\r\n")
    await until(lambda: [c for c in running.listener._connections if c._protocol.state is State.CLOSING])
    (connection,) = running.listener._connections
    assert not connection._choked  # all was said, and waits in our memory
    running.clock.advance(301)
    await until(lambda: _gone(running))
    deaf.socket.close()
