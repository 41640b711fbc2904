"""Clicks a second through real tracker workers, each event durable before its answer, beside nginx's `return 302`.

    benchmarks/tracker [--seconds 8] [--connections 64] [--workers 2] [--threads 1] [--data DIR]

Needs `wrk` and `nginx` (Debian packages of those names). Prints the machine, then for each server: requests a second,
p50 and p99 in milliseconds, microseconds of the servers' own CPU time a request. Exits with 1 if an answered click has
no event in the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop
from benchmarks.machine import children, cpu_seconds, describe_machine

import mailwake
from mailwake.clock import SystemClock
from mailwake.events.unique_ids import UniqueIds
from mailwake.journal.id_reservation import IdReservation
from mailwake.journal.reader import JournalReader
from mailwake.journal.writer import JournalWriter
from mailwake.links.keyring import Key, Keyring
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id, pack_context
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.tracker_worker import run_tracker_worker
from mailwake.tracker.arrivals import Front

LINKS = 400

WRK_SCRIPT = """
local requests, next_one = {}, 0
function init(args)
  local fields = {
    ["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 " ..
      "(KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ["Accept-Language"] = "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
    ["Accept-Encoding"] = "gzip, deflate, br, zstd",
    ["Upgrade-Insecure-Requests"] = "1",
  }
  for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format("GET", path, fields) end
end
function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
function done(summary, latency, requests)
  io.write(string.format('RESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "longest": %f, ' ..
    '"refused": %d, "broken": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""

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


@dataclass
class Measured:
    """What one server did under load."""

    requests: int
    seconds: float
    p50: float
    p99: float
    longest: float
    refused: int
    broken: int
    cpu_seconds: float

    def line(self, name: str) -> str:
        return (
            f"{name:<34}{self.requests / self.seconds:>10,.0f}{self.p50:>9.2f}{self.p99:>9.2f}{self.longest:>9.1f}"
            f"{self.cpu_seconds / self.requests * 1e6:>10.1f}"
        )


def main() -> int:
    arguments = read_arguments()
    if arguments.worker is not None:
        return uvloop.run(work(arguments.worker, Path(arguments.data), arguments.slot, arguments.secret))
    for program in ("wrk", "nginx"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            sys.exit(f"benchmarks/tracker needs {program}; on Debian: apt-get install {program}")
    directory = Path(tempfile.mkdtemp(prefix="mailwake-tracker-", dir=arguments.data))
    try:
        return measure(arguments, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=8, help="length of each run")
    parser.add_argument("--connections", type=int, default=64, help="connections of wrk")
    parser.add_argument("--workers", type=int, default=2, help="worker processes, of the tracker and of nginx")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk")
    parser.add_argument("--data", help="directory on the disk to be measured (default: the system's temporary one)")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--slot", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--secret", type=bytes.fromhex, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(arguments: argparse.Namespace, directory: Path) -> int:
    print_machine(directory, arguments)
    secret = os.urandom(64)
    paths = directory / "paths"
    paths.write_text("\n".join(tracked_paths(secret)) + "\n")
    script = directory / "cycle.lua"
    script.write_text(WRK_SCRIPT)
    load = ["wrk", f"-t{arguments.threads}", f"-c{arguments.connections}", f"-d{arguments.seconds}s", "-s", str(script)]

    tracker = measure_tracker(load, paths, arguments.workers, directory, secret)
    nginx = measure_nginx(load, paths, arguments.workers, directory)
    events = count_events(directory / "journal")

    print(f"\n{'':<34}{'answers/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU µs':>10}")
    print(tracker.line("mailwake, events durable"))
    print(nginx.line("nginx, return 302, nothing recorded"))
    print(f"\nanswered {tracker.requests:,}, events in the journal {events:,}")
    if tracker.refused or tracker.broken or nginx.refused or nginx.broken:
        print(f"errors: mailwake {tracker.refused}+{tracker.broken}, nginx {nginx.refused}+{nginx.broken}")
        return 1
    if events < tracker.requests:
        print("FAILED: answered clicks have no event")
        return 1
    return 0


def tracked_paths(secret: bytes) -> list[str]:
    codec = TokenCodec(Keyring.of([Key(1, secret)]))
    now = SystemClock().now()
    ids = UniqueIds(0, 127, lambda: now, lambda ms: None)
    found = []
    for number in range(LINKS):
        transmission = ids.next()
        context = pack_context(
            LinkContext(
                customer_id="42",
                transmission_id=transmission,
                message_id=message_id(transmission, number % 7),
                sent=int(now),
                expires=365 * 86_400,
                recipient=f"recipient{number}@example.com",
                campaign_id="spring-sale",
                tags=("newsletter", "spring"),
                metadata='{"customer_tier":"gold","locale":"de-DE"}' if number % 2 else "",
            )
        )
        target = f"https://shop.example.com/products/{number}?utm_source=newsletter&utm_campaign=spring-sale"
        found.append("/f/a/" + codec.encode(LinkKind.CLICK, context, target, "Product").decode())
    return found


def measure_tracker(load: list[str], paths: Path, workers: int, directory: Path, secret: bytes) -> Measured:
    sockets = [listening_socket(0)]
    port = sockets[0].getsockname()[1]
    sockets += [listening_socket(port) for _ in range(workers - 1)]
    (directory / "ids").mkdir()
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.tracker_load", "--worker", str(sock.fileno()), "--slot", str(slot)),
                *("--data", str(directory), "--secret", secret.hex()),
            ],
            pass_fds=[sock.fileno()],
        )
        for slot, sock in enumerate(sockets)
    ]
    try:
        wait_for_answers(port, paths.read_text().split()[0])
        return measure_load(load, port, paths, [process.pid for process in processes])
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=30)
        for sock in sockets:
            sock.close()


def measure_nginx(load: list[str], paths: Path, workers: int, directory: Path) -> Measured:
    with listening_socket(0) as free:
        port = free.getsockname()[1]
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX_CONFIGURATION.format(workers=workers, directory=directory, port=port))
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or "nginx"
    server = subprocess.Popen([program, "-p", str(directory), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for_answers(port, "/")
        return measure_load(load, port, paths, children(server.pid))
    finally:
        server.terminate()
        server.wait(timeout=30)


def measure_load(load: list[str], port: int, paths: Path, processes: list[int]) -> Measured:
    before = sum(map(cpu_seconds, processes))
    url = f"http://127.0.0.1:{port}/"
    output = subprocess.run([*load, url, "--", str(paths)], capture_output=True, text=True, check=True, timeout=600)
    used = sum(map(cpu_seconds, processes)) - before
    for line in output.stdout.splitlines():
        if line.startswith("RESULT "):
            return Measured(**json.loads(line.removeprefix("RESULT ")), cpu_seconds=used)
    sys.exit(f"wrk said nothing of use:\n{output.stdout}{output.stderr}")


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


def count_events(directory: Path) -> int:
    reader = JournalReader(directory)
    count, cursor = 0, None
    while True:
        batch = reader.read(cursor)
        for damage in batch.damages:
            print(f"damage: {damage}")
        if not batch.records:
            return count
        count += len(batch.records)
        cursor = batch.cursor


def print_machine(directory: Path, arguments: argparse.Namespace) -> None:
    disk = subprocess.run(["stat", "-f", "-c", "%T", str(directory)], capture_output=True, text=True, check=False)
    print(describe_machine())
    print(
        f"mailwake {mailwake.__version__}, {arguments.workers} workers, wrk -t{arguments.threads} "
        f"-c{arguments.connections}, {arguments.seconds} s, {LINKS} links, "
        f"journal on {disk.stdout.strip() or 'unknown'}"
    )
    if disk.stdout.strip() == "tmpfs":
        print("The journal is in memory, where a sync costs nothing: choose a directory on a disk with --data")


async def work(descriptor: int, directory: Path, slot: int, secret: bytes) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    reservation = IdReservation(directory / "ids", slot)
    journal = JournalWriter(directory / "journal", f"tracker-{slot}")
    with socket.socket(fileno=descriptor) as sock:
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)  # as service/worker_main.py does
        await run_tracker_worker(
            [(sock, Front())],
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
