"""A listener on a real socket, with a receiver that keeps what it was given and answers as it is told."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
import uvloop

from mailwake.clock import ManualClock
from mailwake.config.load import load
from mailwake.config.networks import network_set, parse_network
from mailwake.config.scopes import ScopedOptions
from mailwake.listener.accounts import Account, Accounts
from mailwake.listener.address_limits import AddressLimits, AddressLimitSettings
from mailwake.listener.conversation import OnRejected
from mailwake.listener.limits import ListenerLimits
from mailwake.listener.memory_budget import MemoryBudget
from mailwake.listener.server import Listener
from mailwake.listener.session import Session
from mailwake.listener.settings import ListenerSettings
from mailwake.logs import LogLevel, make_logger
from mailwake.metrics import Metrics
from mailwake.policy.policies import ConfiguredPolicy, Policies
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.extensions import extensions_without
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.states import State
from mailwake.transport.handshake import Handshake

from .certificates import make_certificate

PATIENCE = 30.0
NO_LIMITS = AddressLimitSettings()
PASSWORD_HASH = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$tHT7GLqp0uYbiB009MeIHnMuEMZ86kx0jgBpq5vxo84"


class Receiver:
    """Keeps messages; `gate`, when set, holds back the answer until it is opened."""

    def __init__(self) -> None:
        self.messages: list[tuple[Session, Envelope, bytes]] = []
        self.answer = Reply(250, "2.0.0", "OK 1")
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.finished = asyncio.Event()

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Reply:
        self.messages.append((session, envelope, content))
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        self.finished.set()
        return self.answer


class Client:
    """A client that says exactly what it is told and reads whole replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def reply(self) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), PATIENCE)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, text: str | bytes) -> str:
        self.writer.write(text if isinstance(text, bytes) else text.encode() + b"\r\n")
        return await self.reply()

    async def at_end(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), PATIENCE) == b""


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail when it never does."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never happened")


class Running:
    """A started listener, its parts, and clients for it."""

    def __init__(self, listener: Listener, receiver: Receiver, port: int, clock: ManualClock, metrics: Metrics) -> None:
        self.listener = listener
        self.receiver = receiver
        self.port = port
        self.clock = clock
        self.metrics = metrics
        self.budget = MemoryBudget(0)
        self.pauses: list[float] = []
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20))
        self._clients.append(client)
        return client

    async def ready(self) -> Client:
        client = await self.connect()
        assert (await client.reply()).startswith("220 ")
        assert (await client.say("EHLO client.example")).startswith("250")
        return client

    @property
    def waiting_for_tls(self) -> bool:
        """Whether there is a client whose handshake has begun and is not done."""
        connections = [c for c in self.listener._connections if c._protocol.state is State.TLS and c.deciding]
        return bool(connections or [a for a in self.listener._arriving if isinstance(a, Handshake)])

    async def close(self) -> None:
        await self.listener.stop(grace=0.1)
        for client in self._clients:
            client.writer.transport.abort()


Start = Callable[..., Awaitable[Running]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops: the service runs on uvloop, and what only one of them forgives is a mistake."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    running: list[Running] = []

    async def begin(
        *,
        networks: str = "127.0.0.0/8",
        connections: int = 100,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        auth_requires_tls: Literal["auto", "yes", "no"] | None = None,
        transactions: int = 0,
        memory: int = 1 << 20,
        policies: Sequence[ConfiguredPolicy] = (),
        proxies: str = "",
        config: str = "",
        on_rejected: OnRejected | None = None,
        log_level: LogLevel = "error",
        unix: Path | None = None,
        accounts: Sequence[Account] = (Account("acme", PASSWORD_HASH, "customer-42"),),
        certificate_required: bool = False,
        send_buffer: int = 0,
        addresses: AddressLimitSettings = NO_LIMITS,
    ) -> Running:
        file = tmp_path / "mailwake.toml"
        file.write_text(config)
        scopes = ScopedOptions(load(file, host_name="test.example"))
        limits = ListenerLimits(
            protocol=ServerLimits(2048, 12_288, 65_536, 1 << 20, 10, 20, 65_536),
            connections=connections,
            idle_timeout=300,
            command_timeout=60,
            data_timeout=600,
            transactions=transactions,
            auth_failures=3,
        )
        settings = ListenerSettings(
            name="127.0.0.1:2525",
            hostname="mx.test.example",
            greeting="mx.test.example ESMTP mailwake",
            limits=limits,
            relay_networks=[ipaddress.ip_network(networks)] if networks else [],
            tls_context=tls,
            unix=unix is not None,
            certificate_required=certificate_required,
            implicit_tls=implicit_tls,
            auth_requires_tls=auth_requires_tls or ("yes" if tls is not None else "auto"),
            bare_newlines="reject",
            resolve=lambda peer, pathway: scopes.resolve("127.0.0.1:2525", peer, pathway),
            smtp_extensions=lambda peer: scopes.resolve_connection("127.0.0.1:2525", peer).smtp_extensions.value,
            extensions=lambda peer: extensions_without(
                scopes.resolve_connection("127.0.0.1:2525", peer).ehlo_discard.value
            ),
            proxies=network_set([parse_network(proxies)]) if proxies else None,
        )
        receiver, clock, metrics, budget = Receiver(), ManualClock(), Metrics(), MemoryBudget(memory)
        pauses: list[float] = []

        async def pause(seconds: float, ending: asyncio.Event) -> None:
            pauses.append(seconds)

        listener = Listener(
            settings,
            receiver,
            Accounts({each.name: each for each in accounts}),
            policies=Policies(policies, log=make_logger("json", "error"), metrics=metrics),
            budget=budget,
            clock=clock,
            log=make_logger("json", log_level),
            metrics=metrics,
            on_rejected=on_rejected,
            addresses=AddressLimits(addresses, clock, pause=pause),
        )
        listening = socket.socket(socket.AF_INET if unix is None else socket.AF_UNIX)
        listening.bind(("127.0.0.1", 0) if unix is None else str(unix))
        if send_buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listening.setblocking(False)
        listening.listen()
        await listener.start(listening)
        started = Running(listener, receiver, listening.getsockname()[1] if unix is None else 0, clock, metrics)
        started.budget, started.pauses = budget, pauses
        running.append(started)
        return started

    yield begin
    for each in running:
        await each.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for mx.test.example and its key, as PEM files."""
    made = make_certificate("mx.test.example")
    return made.write(tmp_path)
