"""A listener on a Unix socket: its clients are on this machine, and the mode of the file has let them in."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from .conftest import Client, Start

LISTEN = '[esmtp_listener.listen."127.0.0.1:2525"]\n'


async def _connect(path: Path) -> Client:
    return Client(*await asyncio.open_unix_connection(str(path)))


async def _send(client: Client) -> str:
    await client.say("MAIL FROM:<a@b.example>")
    reply = await client.say("RCPT TO:<r@c.example>")
    if reply.startswith("250"):
        assert (await client.say("DATA")).startswith("354")
        assert (await client.say(b"hello\r\n.\r\n")).startswith("250")
    return reply


async def test_its_clients_may_relay_and_log_in(start: Start, tmp_path: Path) -> None:
    running = await start(networks="", unix=tmp_path / "smtp.sock")
    client = await _connect(tmp_path / "smtp.sock")
    assert (await client.reply()).startswith("220 ")
    assert "AUTH PLAIN LOGIN" in await client.say("EHLO c.example")
    assert (await _send(client)).startswith("250")
    session = running.receiver.messages[0][0]
    assert (session.peer_address, session.peer_port, session.trusted_network) == ("", 0, True)
    assert session.context.get("remote_ip") == ""
    client.writer.close()


@pytest.mark.parametrize("named", ["ADDR=192.0.2.7", "ADDR=[UNAVAILABLE]"])
async def test_whom_a_trusted_client_speaks_for_may_not(start: Start, tmp_path: Path, named: str) -> None:
    await start(networks="", unix=tmp_path / "smtp.sock", config=LISTEN + 'smtp_extensions = ["XCLIENT"]\n')
    client = await _connect(tmp_path / "smtp.sock")
    await client.reply()
    assert (await client.say("EHLO c.example")).startswith("250")
    assert (await client.say(f"XCLIENT {named}")).startswith("220")
    await client.say("EHLO c.example")
    assert (await _send(client)).startswith("550 5.7.1")
    client.writer.close()


@pytest.mark.parametrize(
    ("header", "address", "relays"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", "192.0.2.7", True),
        (b"PROXY TCP4 192.0.2.8 198.51.100.1 4711 25\r\n", "192.0.2.8", False),
        (b"PROXY UNKNOWN\r\n", "", False),
    ],
)
async def test_a_load_balancer_may_connect_by_it(
    start: Start, tmp_path: Path, header: bytes, address: str, relays: bool
) -> None:
    running = await start(networks="192.0.2.7", proxies="203.0.113.0/24", unix=tmp_path / "smtp.sock")
    client = await _connect(tmp_path / "smtp.sock")
    assert (await client.say(header)).startswith("220")
    await client.say("EHLO c.example")
    assert (await _send(client)).startswith("250" if relays else "550 5.7.1")
    assert [each[0].peer_address for each in running.receiver.messages] == ([address] if relays else [])
    client.writer.close()


async def test_a_client_with_a_name_of_its_own(start: Start, tmp_path: Path) -> None:
    """A path as the other end's name is no address."""
    running = await start(networks="", unix=tmp_path / "smtp.sock")
    reader, writer = await asyncio.open_unix_connection(sock=_named(tmp_path))
    client = Client(reader, writer)
    assert (await client.reply()).startswith("220 ")
    await client.say("EHLO c.example")
    assert (await _send(client)).startswith("250")
    assert running.receiver.messages[0][0].peer_address == ""
    client.writer.close()


def _named(directory: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.bind(str(directory / "client.sock"))
    client.connect(str(directory / "smtp.sock"))
    client.setblocking(False)
    return client
