from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import uvloop

from mailwake.clock import SystemClock
from mailwake.events.unique_ids import UniqueIds
from mailwake.journal.writer import JournalWriter
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.tracker_worker import run_tracker_worker
from mailwake.tracker.arrivals import Front
from mailwake.tracker.http_limits import HttpLimits

PATIENCE = 20.0
GET = b"GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n"


def _parts(directory: Path) -> dict[str, Any]:
    clock = SystemClock()
    return {
        "codec": TokenCodec(Keyring.new(os.urandom, 0)),
        "ids": UniqueIds(0, 0, clock.now, lambda mark: None),
        "journal": JournalWriter(directory, "tracker-0"),
        "metrics": Metrics(),
        "clock": clock,
        "log": make_logger("json", "error"),
    }


async def test_nothing_is_served_when_it_may_not_be(tmp_path: Path) -> None:
    async def may_not() -> bool:
        return False

    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with asyncio.timeout(PATIENCE):
            await run_tracker_worker(
                [(listening, Front())], stop=asyncio.Event(), may_serve=may_not, **_parts(tmp_path)
            )


def test_a_drain_gives_up_the_sockets_long_before_the_last_client_has_left(tmp_path: Path) -> None:
    uvloop.run(_drain(tmp_path))  # as workers run: asyncio's own server may lose a connection when it is closed


async def _drain(tmp_path: Path) -> None:
    stop, drain = asyncio.Event(), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    limits = HttpLimits(idle_timeout=600)
    serving = asyncio.create_task(
        run_tracker_worker([(listening, Front())], stop=stop, drain=drain, limits=limits, **_parts(tmp_path))
    )
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await reader.readuntil(b"Disallow: /\n")
        drain.set()
        refused = False
        while not refused:
            try:
                _, other = await asyncio.open_connection(*address)
                other.close()
            except ConnectionRefusedError:
                refused = True
        assert not serving.done()
        writer.write(GET)
        assert b"connection: close" in (await reader.read()).lower()
        writer.close()
        stop.set()
        await serving
