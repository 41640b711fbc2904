"""Which connection is found for the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mailwake.relay.connection import Connection, ConnectionOwner
from mailwake.relay.open_connections import OpenConnections
from mailwake.relay.opening import open_connection
from mailwake.relay.settings import RelaySettings
from mailwake.smtp.client_transaction import Transaction

Hop = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode


@pytest.fixture
async def three(hop: Hop) -> AsyncIterator[list[Connection]]:
    """Three connections to a hop that takes several in flight and answers no content."""
    hop.extensions.append("CHUNKING")
    hop.before_final_reply = asyncio.Event().wait
    settings = RelaySettings("127.0.0.1", hop.port)
    connections = [await open_connection(settings, None, ConnectionOwner()) for _ in range(3)]
    yield connections
    for connection in connections:
        connection.abort("the test is over")


def _of(connections: list[Connection], **changes: Any) -> OpenConnections:
    open_connections = OpenConnections(RelaySettings("h", **changes))
    for connection in connections:
        open_connections.add(connection, connection.opened_at)
    return open_connections


def _load(open_connections: OpenConnections, connection: Connection, transactions: int) -> None:
    for _ in range(transactions):
        connection.send(Transaction("a@a.example", "b@b.example", (b"x\r\n",)))
        open_connections.moved(connection, connection.opened_at)


async def test_the_newest_idle_one_then_the_least_loaded(three: list[Connection]) -> None:
    found = _of(three, max_in_flight=3)
    first, second, third = three
    assert found.newest_idle() is third
    _load(found, third, 2)
    assert found.newest_idle() is second
    _load(found, second, 1)
    _load(found, first, 2)
    assert found.newest_idle() is None
    assert found.least_loaded() is second
    _load(found, second, 2)
    assert not found.is_usable(second)
    assert set(found.with_room()) == {first, third}
    _load(found, first, 1)
    _load(found, third, 1)
    assert found.least_loaded() is None


async def test_who_takes_no_more(three: list[Connection]) -> None:
    found = _of(three, max_messages_per_connection=2, max_connection_age=60)
    first, second, third = three
    _load(found, first, 2)
    assert not found.is_usable(first)
    second.abort("gone")
    found.moved(second, second.opened_at)
    assert not found.is_usable(second)
    assert found.newest_idle() is third
    assert not found.is_old(third, third.opened_at + 60)
    found.moved(third, third.opened_at + 61)
    assert not found.is_usable(third)
    assert found.newest_idle() is None


async def test_numbers_tell_the_newer_from_the_older(three: list[Connection]) -> None:
    found = _of(three[:2])
    before = found.last_number
    found.add(three[2], three[2].opened_at)
    assert found.is_newer(three[2], before)
    assert not found.is_newer(three[1], before)
    assert found.remove(three[1])
    assert not found.remove(three[1])
    assert three[1] not in found
    assert found.idle == (three[0], three[2])
