"""A listener that accepts no more and serves on whom it has."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from .conftest import PATIENCE, Start

MESSAGE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"


async def test_clients_are_served_until_they_leave(start: Start) -> None:
    running = await start()
    clients = [await running.ready() for _ in range(2)]
    draining = asyncio.create_task(running.listener.drain())
    for client in clients:
        assert not draining.done()
        assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
        assert (await client.say("RCPT TO:<c@d.example>")).startswith("250")
        assert (await client.say("DATA")).startswith("354")
        assert (await client.say(b"x\r\n.\r\n")).startswith("250")
        assert (await client.say("QUIT")).startswith("221")
    await asyncio.wait_for(draining, PATIENCE)
    assert len(running.receiver.messages) == 2


async def test_a_listener_without_clients_has_drained_at_once(start: Start) -> None:
    running = await start()
    await asyncio.wait_for(running.listener.drain(), PATIENCE)


@pytest.mark.parametrize("drained", [True, False])
async def test_a_message_whose_client_has_gone_is_waited_for(start: Start, drained: bool) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    client = await running.ready()
    client.writer.write(MESSAGE)
    for _ in range(3):
        await client.reply()
    client.writer.write(b"x\r\n.\r\n")
    await running.receiver.arrived.wait()
    linger = struct.pack(
        "ii", 1, 0
    )  # so that closing resets the connection: the client has not half-closed, it is gone
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.writer.transport.abort()
    connections = running.metrics.counter("smtp_connections_open")
    async with asyncio.timeout(PATIENCE):
        while connections.value:  # noqa: ASYNC110  # a number that knows no events
            await asyncio.sleep(0.001)
    ending = asyncio.create_task(running.listener.drain() if drained else running.listener.stop(PATIENCE))
    done, _ = await asyncio.wait({ending}, timeout=0.1)
    assert not done
    running.receiver.gate.set()
    await asyncio.wait_for(ending, PATIENCE)
    assert running.receiver.finished.is_set()
