"""The servers that benchmarks/tracker compares: mailwake's tracker workers, nginx, and Redis behind a bare server.

Each is a context manager that gives the port and the processes whose CPU time counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import httptools
import uvloop
from benchmarks.machine import children

from mailwake.clock import SystemClock
from mailwake.events.unique_ids import UniqueIds
from mailwake.journal.id_reservation import IdReservation
from mailwake.journal.writer import JournalWriter
from mailwake.links.keyring import Key, Keyring
from mailwake.links.token import TokenCodec
from mailwake.links.tracked_url import parse_path
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.tracker_worker import run_tracker_worker
from mailwake.tracker.arrivals import Front

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX_CONFIGURATION = """
worker_processes {workers};
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  keepalive_requests 1000000000;
  large_client_header_buffers 4 64k;
  server {{
    listen 127.0.0.1:{port} reuseport;
    add_header Cache-Control no-store always;
    add_header X-Robots-Tag noindex always;
    add_header Referrer-Policy no-referrer always;
    location / {{ return 302 https://shop.example.com/products/42?utm_source=newsletter; }}
  }}
}}
"""


class Served(NamedTuple):
    """A server that answers on a port of this machine."""

    port: int
    processes: list[int]


def find_program(name: str) -> str | None:
    """Where a program is, those of the system's administrator among them."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def workers(kind: str, number: int, directory: Path, secret: bytes, *arguments: str) -> Iterator[Served]:
    """So many processes of one of the servers below, which share a port."""
    sockets = [listening_socket(0)]
    port = sockets[0].getsockname()[1]
    sockets += [listening_socket(port) for _ in range(number - 1)]
    command = [sys.executable, "-m", "benchmarks.tracker_servers", kind, str(directory), secret.hex()]
    processes = [
        subprocess.Popen([*command, str(slot), str(each.fileno()), *arguments], pass_fds=[each.fileno()])
        for slot, each in enumerate(sockets)
    ]
    try:
        yield Served(port, [process.pid for process in processes])
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=30)
        for each in sockets:
            each.close()


@contextlib.contextmanager
def nginx(number: int, directory: Path) -> Iterator[Served]:
    """Nginx that redirects everything to one place and records nothing."""
    with listening_socket(0) as free:
        port = free.getsockname()[1]
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX_CONFIGURATION.format(workers=number, directory=directory, port=port))
    program = find_program("nginx") or "nginx"
    server = subprocess.Popen([program, "-p", str(directory), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for_answers(port, "/")
        yield Served(port, children(server.pid))
    finally:
        server.terminate()
        server.wait(timeout=30)


@contextlib.contextmanager
def redis(number: int, directory: Path, secret: bytes) -> Iterator[Served]:
    """Workers that put each click into a stream of Redis, which syncs it to the disk before it answers."""
    path = directory / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(directory), "--save", ""]
    options += ["--appendonly", "yes", "--appendfsync", "always"]
    server = subprocess.Popen([find_program("redis-server") or "redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with workers("redis", number, directory, secret, str(path)) as served:
            yield Served(served.port, [*served.processes, server.pid])
    finally:
        server.terminate()
        server.wait(timeout=30)


def listening_socket(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(1024)
    return sock


def wait_for_answers(port: int, path: str) -> None:
    deadline = time.monotonic() + 20
    request = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(request)
                answer = connection.recv(4096)
        except OSError:
            time.sleep(0.05)
            continue
        if not answer.startswith(b"HTTP/1.1 302"):
            sys.exit(f"expected a redirect, got {answer[:80]!r}")
        return
    sys.exit("the server does not answer")


# --- mailwake's tracker


async def serve_mailwake(directory: Path, secret: bytes, slot: int, listening: socket.socket) -> None:
    """A tracker worker as `mailwake serve` makes it."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    reservation = IdReservation(directory / "ids", slot)
    journal = JournalWriter(directory / "journal", f"tracker-{slot}")
    await run_tracker_worker(
        [(listening, Front())],
        codec=TokenCodec(Keyring.of([Key(1, secret)])),
        ids=UniqueIds(0, slot, clock.now, reservation.reserve, used_up_to=reservation.used_up_to),
        journal=journal,
        metrics=Metrics(),
        clock=clock,
        log=make_logger(),
        stop=stop,
    )
    await journal.close()
    reservation.close()


# --- the usual alternative: an event goes into Redis before the answer


class RedisStream(asyncio.Protocol):
    """Appends to a stream; commands are sent together, as they come."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def append(self, event: bytes) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        command = b"*5\r\n$4\r\nXADD\r\n$6\r\nclicks\r\n$1\r\n*\r\n$1\r\ne\r\n$%d\r\n%s\r\n" % (len(event), event)
        self._transport.write(command)  # type: ignore[attr-defined]
        return done

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"$")):  # each reply is one id, which has no dollar sign
            self._waiting.popleft().set_result(None)


class RedisClicks(asyncio.Protocol):
    """HTTP without limits or settings: the token is opened, the event stored, the redirect sent."""

    def __init__(self, codec: TokenCodec, stream: RedisStream) -> None:
        self._codec = codec
        self._stream = stream
        self._parser = httptools.HttpRequestParser(self)
        self._agent = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.BaseTransport | None = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"User-Agent":
            self._agent = value

    def on_message_complete(self) -> None:
        tracked = parse_path(self._url.decode())
        assert tracked is not None
        link = self._codec.decode(tracked.token, tracked.family)
        event = b"%f %s %s" % (time.time(), self._agent, link.raw_body)
        self._stream.append(event).add_done_callback(lambda _: self._answer(link.target))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def _answer(self, target: str) -> None:
        if self._transport is None:
            return
        head = "HTTP/1.1 302 Found\r\nLocation: {}\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n"
        self._transport.write(head.format(target).encode())  # type: ignore[attr-defined]


async def serve_redis(secret: bytes, listening: socket.socket, path: str) -> None:
    """A worker with a connection of its own to Redis."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    _, stream = await loop.create_unix_connection(RedisStream, path)
    codec = TokenCodec(Keyring.of([Key(1, secret)]))
    server = await loop.create_server(lambda: RedisClicks(codec, stream), sock=listening)
    await stop.wait()
    server.close()


def main() -> None:
    from pathlib import Path

    kind, directory, secret, slot, descriptor, *rest = sys.argv[1:]
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)  # as service/worker_main.py does
    with socket.socket(fileno=int(descriptor)) as listening:
        if kind == "redis":
            uvloop.run(serve_redis(bytes.fromhex(secret), listening, *rest))
        else:
            uvloop.run(serve_mailwake(Path(directory), bytes.fromhex(secret), int(slot), listening))


if __name__ == "__main__":
    main()
