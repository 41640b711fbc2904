"""A next hop that does as it is told, over real loopback sockets, and the event loops the relay is tested on."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import re
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailwake.logs import Logger, make_logger
from mailwake.relay.settings import RelaySettings

CLOSE = b"<close>"
HANG = b"<hang>"
RESET = b"<reset>"


class ScriptedHop:
    """Answers like a mail server; `script` gives, for a stage, replies to use up first (or CLOSE, HANG, RESET)."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        self.extensions = ["PIPELINING", "8BITMIME", "SIZE 50000000", "SMTPUTF8"]
        self.script: dict[str, list[bytes]] = {}
        self.always: dict[str, bytes] = {}
        self.messages: list[tuple[str, str, bytes]] = []
        self.commands: list[str] = []
        self.stages: Counter[str] = Counter()
        self.open_connections = 0
        self.most_connections = 0
        self.max_connections = 10_000
        self.before_final_reply: Callable[[], Awaitable[None]] | None = None
        self.read_slowly = asyncio.Event()
        self.read_slowly.set()
        self.changed = asyncio.Event()
        self.client_authority: Path | None = None
        self._certificate = certificate
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0, *, tls: bool = False) -> None:
        context = self._server_context() if tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20, ssl=context)

    async def start_on_path(self, path: str, *, tls: bool = False) -> None:
        context = self._server_context() if tls else None
        self._server = await asyncio.start_unix_server(self._serve, path, limit=1 << 20, ssl=context)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_connections(self) -> None:
        for writer in self._writers:
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.open_connections += 1
        self.most_connections = max(self.most_connections, self.open_connections)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, _OverError, ssl.SSLError):
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            self.changed.set()

    async def _answer(self, writer: asyncio.StreamWriter, stage: str, default: bytes) -> bytes:
        self.stages[stage] += 1
        queue = self.script.get(stage)
        reply = queue.pop(0) if queue else self.always.get(stage, default)
        self.changed.set()
        if reply == CLOSE:
            raise _OverError
        if reply == RESET:
            writer.transport.abort()
            raise _OverError
        if reply == HANG:
            await asyncio.Event().wait()
        writer.write(reply)
        await writer.drain()
        if reply.startswith(b"421"):
            raise _OverError
        return reply

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy = self.open_connections > self.max_connections
        await self._answer(writer, "GREETING", b"421 4.7.0 too many\r\n" if busy else b"220 hop ESMTP\r\n")
        sender: str | None = None
        recipients: list[str] = []
        tls = False
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            self.commands.append(line)
            self.changed.set()
            verb = line.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO"):
                lines = ["hop", *self.extensions] + ([] if tls else ["STARTTLS"] * ("STARTTLS" in self.always))
                ehlo = "".join(f"250{'-' if n < len(lines) else ' '}{x}\r\n" for n, x in enumerate(lines, 1))
                await self._answer(writer, verb, ehlo.encode())
            elif verb == "STARTTLS":
                if (await self._answer(writer, verb, b"502 no\r\n")).startswith(b"220"):
                    await writer.start_tls(self._server_context())
                    tls = True
            elif verb == "MAIL":
                reply = b"503 5.5.1 nested MAIL\r\n" if sender is not None else b"250 2.1.0 ok\r\n"
                if (await self._answer(writer, verb, reply)).startswith(b"250"):
                    sender, recipients = _path(line), []
            elif verb == "RCPT":
                reply = b"503 5.5.1 MAIL first\r\n" if sender is None else b"250 2.1.5 ok\r\n"
                if (await self._answer(writer, verb, reply)).startswith(b"250"):
                    recipients.append(_path(line))
            elif verb == "DATA":
                reply = b"354 go\r\n" if recipients else b"503 5.5.1 RCPT first\r\n"
                if (await self._answer(writer, verb, reply)).startswith(b"354"):
                    await self.read_slowly.wait()
                    content = _unstuff(await _read_data(reader))
                    await self._take(writer, sender, recipients, content)
                    sender, recipients = None, []
            elif verb == "BDAT":
                await self.read_slowly.wait()
                content = await reader.readexactly(int(line.split()[1]))
                await self._take(writer, sender, recipients, content)
                if recipients:
                    sender, recipients = None, []
            elif verb == "QUIT":
                await self._answer(writer, verb, b"221 bye\r\n")
                raise _OverError
            else:
                if verb == "RSET":
                    sender, recipients = None, []
                await self._answer(writer, verb, b"250 ok\r\n")

    async def _take(
        self, writer: asyncio.StreamWriter, sender: str | None, recipients: list[str], content: bytes
    ) -> None:
        if self.before_final_reply is not None:
            await self.before_final_reply()
        default = b"250 2.0.0 queued\r\n" if recipients else b"503 5.5.1 RCPT first\r\n"
        reply = await self._answer(writer, "CONTENT", default)
        if reply.startswith(b"250"):
            assert sender is not None
            self.messages += [(sender, recipient, content) for recipient in recipients]
            self.changed.set()

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        if self.client_authority is not None:
            context.load_verify_locations(self.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class _OverError(Exception):
    """The conversation is over."""


def _path(line: str) -> str:
    found = re.search(r"<(.*?)>", line)
    assert found is not None
    return found[1]


async def _read_data(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
        lines.append(line)
    return b"".join(lines)


def _unstuff(content: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"", content)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("mail.b.example")]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    (directory / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory / "cert.pem", directory / "key.pem"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Uvloop is what runs in production; asyncio's own loop calls back in another order."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
async def hop(certificate: tuple[Path, Path]) -> AsyncIterator[ScriptedHop]:
    scripted = ScriptedHop(certificate)
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def start_hop(certificate: tuple[Path, Path]) -> AsyncIterator[Callable[[], Awaitable[ScriptedHop]]]:
    """Starts any number of hops."""
    started: list[ScriptedHop] = []

    async def start() -> ScriptedHop:
        started.append(ScriptedHop(certificate))
        await started[-1].start()
        return started[-1]

    yield start
    for scripted in started:
        await scripted.stop()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this host at which connections are refused: it is bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def settings_for(hop: ScriptedHop) -> Callable[..., RelaySettings]:
    def make(**changes: object) -> RelaySettings:
        return RelaySettings(**{"host": "127.0.0.1", "port": hop.port, "helo_name": "me.example", **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def log() -> Logger:
    return make_logger("json")


@pytest.fixture
def log_lines() -> structlog.testing.CapturingLogger:
    return structlog.testing.CapturingLogger()
