"""The servers that `benchmarks/edge` compares, each started as a process of its own.

    python -m benchmarks.edge_servers KIND [--next-hop PORT] [--round-trip MILLISECONDS]

It prints the port, serves until SIGTERM, then prints how many messages it took. Kinds: `discard` (mailwake's listener,
which answers 250 and throws away), `sink` (mailwake's protocol alone, with a round-trip time if asked), `aiosmtpd`
(throws away, or relays with aiosmtplib to the next hop).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import ipaddress
import signal
import socket
from collections import deque
from typing import Any, cast

import uvloop

from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.listener.accounts import Accounts
from mailwake.listener.memory_budget import MemoryBudget
from mailwake.listener.server import Listener
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.policy.policies import Policies
from mailwake.service.parts import listener_settings
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import MessageData
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_protocol import ServerProtocol

OK = Reply(250, "2.0.0", "Ok")
LIMITS = ServerLimits(2048, 12_288, 1 << 20, 64 << 20, 1000, 20, 1 << 20)


class Count:
    """How many messages were taken."""

    def __init__(self) -> None:
        self.messages = 0

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Reply:
        self.messages += 1
        return OK


async def serve_discard(listening: socket.socket, count: Count) -> None:
    """The listener as a worker has it, in front of a receiver that throws away."""
    configuration = load(None, {"esmtp_listener.max_connections": "10000"}, host_name="edge.example")
    scopes = ScopedOptions(configuration)
    log, metrics = make_logger("json", "error"), Metrics()
    listener = Listener(
        listener_settings("127.0.0.1:2525", configuration.settings.esmtp_listener, scopes),
        count,
        Accounts({}),
        policies=Policies([], log=log, metrics=metrics),
        budget=MemoryBudget(1 << 30),
        clock=SystemClock(),
        log=log,
        metrics=metrics,
    )
    await listener.start(listening)


class Sink(asyncio.Protocol):
    """Takes everything; what comes is looked at one round-trip time later, which is what a far host looks like."""

    def __init__(self, count: Count, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._protocol = ServerProtocol("sink.example", LIMITS)
        self._late: deque[tuple[float, bytes]] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        if not self._seconds:
            self._take(data)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self._seconds
        self._late.append((due, data))
        if len(self._late) == 1:
            loop.call_at(due, self._take_late)

    def _take_late(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time() + 0.001:
            self._take(self._late.popleft()[1])
        if self._late:
            loop.call_at(self._late[0][0], self._take_late)

    def _take(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        while (event := self._protocol.next_event()) is not None:
            self._count.messages += isinstance(event, MessageData)
            self._protocol.accept()
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(self._protocol.data_to_send())
            if self._protocol.closing:
                self._transport.close()


async def serve_sink(listening: socket.socket, count: Count, seconds: float) -> None:
    await asyncio.get_running_loop().create_server(lambda: Sink(count, seconds), sock=listening)


async def serve_aiosmtpd(listening: socket.socket, count: Count, next_hop: int) -> None:
    """One connection to the next hop for each of the client's, kept open: the best that its handlers can do."""
    # By name: neither is there for development, and type checkers need not find them.
    aiosmtplib = importlib.import_module("aiosmtplib")
    server_class = importlib.import_module("aiosmtpd.smtp").SMTP

    class Handler:
        def __init__(self) -> None:
            self.client: Any = None

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # the library's name
            count.messages += 1
            if next_hop:
                if self.client is None:
                    self.client = aiosmtplib.SMTP(hostname="127.0.0.1", port=next_hop, start_tls=False)
                    await self.client.connect()
                await self.client.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.content)
            return "250 OK"

    await asyncio.get_running_loop().create_server(
        lambda: server_class(Handler(), hostname="edge.example", data_size_limit=64 << 20), sock=listening
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("discard", "sink", "aiosmtpd"))
    parser.add_argument("--next-hop", type=int, default=0)
    parser.add_argument("--round-trip", type=float, default=0.0)
    arguments = parser.parse_args()
    listening = socket.create_server((str(ipaddress.IPv4Address(0x7F000001)), 0), backlog=1024)
    listening.setblocking(False)
    count = Count()
    if arguments.kind == "discard":
        await serve_discard(listening, count)
    elif arguments.kind == "sink":
        await serve_sink(listening, count, arguments.round_trip / 1000)
    else:
        await serve_aiosmtpd(listening, count, arguments.next_hop)
    print(listening.getsockname()[1], flush=True)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    with contextlib.suppress(asyncio.CancelledError):
        await told.wait()
    print(count.messages, flush=True)


if __name__ == "__main__":
    uvloop.run(main())
