"""SMTP servers side by side, in one run: the CPU of each message, in the server's own process.

    benchmarks/edge [accept] [relay] [idle] [far] [--connections 16] [--factor 1.0]

`accept`: take a message of 2, 25 and 100 KB and throw it away, by DATA and by BDAT: mailwake's listener, its protocol
alone, aiosmtpd, npm's smtp-server, Postfix's smtp-sink. `relay`: take it and hand it to a next hop, one process each:
`mailwake serve` with one worker, tracking off, its events on disk before each answer; aiosmtpd with aiosmtplib;
smtp-server with nodemailer. The next hop is smtp-sink for DATA, and for BDAT mailwake's protocol. `idle`: 1,000
connections that have said EHLO, and the memory they add. `far`: 64 clients, two workers, and a next hop 20 ms away:
messages a second, and whether each accepted one arrived. Without a name, all of them.

The client is benchmarks/smtp_load.c, compiled when it is needed (cc). aiosmtpd and aiosmtplib come with
`pip install -e '.[dev,bench]'`; smtp-server and nodemailer are looked for in the folder that MAILWAKE_NPM names
(`npm install --prefix FOLDER smtp-server nodemailer`); smtp-sink is in Debian's postfix. What is missing is said and
left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import children, cpu_seconds, describe_machine
from benchmarks.newsletter import newsletter
from benchmarks.relay_load import service
from benchmarks.sink import find_postfix_tool, running_sink

HERE = Path(__file__).parent
SIZES = {2: 20_000, 25: 10_000, 100: 3_000}
"""KB of a message, and how many are sent."""
AIMS = {("accept", 25, "data"): 80, ("accept", 25, "bdat"): 20, ("relay", 25, "data"): 200, ("relay", 25, "bdat"): 200}
"""Microseconds of CPU a message, for mailwake."""


class Running(NamedTuple):
    """A server under load: its port, and the processes whose CPU counts."""

    port: int
    pids: list[int]


class Contestant(NamedTuple):
    """A server: how to start it (given the next hop's port, 0 for none), and whether it takes BDAT."""

    name: str
    start: Callable[[int], contextlib.AbstractContextManager[Running]]
    bdat: bool


@contextlib.contextmanager
def process(*command: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """A server that prints its port, serves until SIGTERM, and then prints how many messages it took."""
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=HERE.parent
    )
    assert started.stdout is not None
    try:
        yield Running(int(started.stdout.readline()), [started.pid])
    finally:
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=60)


def python_server(kind: str, next_hop: int = 0, round_trip: float = 0) -> contextlib.AbstractContextManager[Running]:
    options = ["--next-hop", str(next_hop), "--round-trip", str(round_trip)]
    return process(sys.executable, "-m", "benchmarks.edge_servers", kind, *options)


def npm_server(next_hop: int = 0) -> contextlib.AbstractContextManager[Running]:
    environment = {**os.environ, "NODE_PATH": str(npm_modules())}
    return process("node", str(HERE / "edge_server.js"), str(next_hop), environment=environment)


def npm_modules() -> Path:
    return Path(os.environ.get("MAILWAKE_NPM", "/nonexistent")) / "node_modules"


@contextlib.contextmanager
def postfix_sink() -> Iterator[Running]:
    before = set(children(os.getpid()))
    with running_sink() as port:
        yield Running(port, sorted(set(children(os.getpid())) - before))


@contextlib.contextmanager
def mailwake_relay(next_hop: int, workers: int = 1) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as name, service(Path(name) / "data", next_hop, workers) as (port, pids):
        yield Running(port, pids)


def contestants(mode: str) -> list[Contestant]:
    """The servers that are there; those that are not are named with what they need."""
    accepting = mode == "accept"
    found = [Contestant("mailwake", lambda hop: python_server("discard") if accepting else mailwake_relay(hop), True)]
    if accepting:
        found.append(Contestant("its protocol alone", lambda _: python_server("sink"), True))
    if importlib.util.find_spec("aiosmtpd") and importlib.util.find_spec("aiosmtplib"):
        found.append(Contestant("aiosmtpd", lambda hop: python_server("aiosmtpd", hop), False))
    else:
        print("left out: aiosmtpd; pip install aiosmtpd aiosmtplib")
    if shutil.which("node") and (npm_modules() / "smtp-server").exists():
        found.append(Contestant("npm smtp-server", npm_server, False))
    else:
        print("left out: npm smtp-server; set MAILWAKE_NPM to a folder with smtp-server and nodemailer installed")
    if accepting:
        if find_postfix_tool("smtp-sink"):
            found.append(Contestant("Postfix smtp-sink", lambda _: postfix_sink(), False))
        else:
            print("left out: smtp-sink; install Debian's postfix, or set MAILWAKE_POSTFIX")
    return found


def message_of(kilobytes: int) -> bytes:
    """A newsletter without tracking, cut or repeated to so many KB."""
    lines = newsletter().replace(b"X-MSYS-API", b"X-Other").split(b"\r\n")
    header_end = lines.index(b"")
    header, body = b"\r\n".join(lines[: header_end + 1]) + b"\r\n", b"\r\n".join(lines[header_end + 1 :])
    wanted = kilobytes * 1024 - len(header)
    text = (body * (wanted // len(body) + 1))[: wanted - 2]
    return header + text[: text.rfind(b"\n") + 1] + b"." * (wanted - text.rfind(b"\n") - 3) + b"\r\n"


class Load:
    """The compiled client, and the messages it sends."""

    def __init__(self, directory: Path, connections: int, factor: float) -> None:
        self._program = directory / "smtp_load"
        self._directory = directory
        self._connections = connections
        self._factor = factor
        subprocess.run(["cc", "-O2", "-o", str(self._program), str(HERE / "smtp_load.c")], check=True)
        for kilobytes in SIZES:
            (directory / f"{kilobytes}.eml").write_bytes(message_of(kilobytes))

    def messages(self, kilobytes: int) -> int:
        return max(int(SIZES[kilobytes] * self._factor), 100)

    def send(self, port: int, kilobytes: int, messages: int, transfer: str, connections: int = 0) -> dict[str, Any]:
        """What the client says: accepted, refused, lost, seconds, p50_ms, p99_ms."""
        command = [str(self._program), "-p", str(port), "-f", str(self._directory / f"{kilobytes}.eml"), "-m", transfer]
        command += ["-c", str(connections or self._connections), "-n", str(messages), "-t", "120"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if not done.stdout:
            sys.exit(f"the load client failed: {done.stderr}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def measure(self, running: Running, kilobytes: int, transfer: str) -> tuple[dict[str, Any], float]:
        """The client's result, and the microseconds of CPU that each message cost the server."""
        messages = self.messages(kilobytes)
        self.send(running.port, kilobytes, max(messages // 10, 50), transfer)  # imports, caches, connections
        before = sum(map(cpu_seconds, running.pids))
        result = self.send(running.port, kilobytes, messages, transfer)
        settle(running.pids)
        return result, (sum(map(cpu_seconds, running.pids)) - before) / messages * 1e6


def settle(pids: list[int]) -> None:
    """Wait until these processes rest: what is left to do for a message belongs to its cost."""
    before = -1.0
    while (now := sum(map(cpu_seconds, pids))) != before:
        before = now
        time.sleep(0.3)


def compare(mode: str, load: Load) -> None:
    print(f"\n{mode}: CPU µs a message (messages a second)")
    columns = [(kilobytes, transfer) for kilobytes in SIZES for transfer in ("data", "bdat")]
    print(f"{'':<20}" + "".join(f"{f'{kb} KB {transfer.upper()}':>17}" for kb, transfer in columns))
    for each in contestants(mode):
        cells = []
        for kilobytes, transfer in columns:
            cells.append(cell(mode, load, each, kilobytes, transfer) if each.bdat or transfer == "data" else "–")
        print(f"{each.name:<20}" + "".join(f"{text:>17}" for text in cells), flush=True)
    aims = [str(AIMS.get((mode, kb, transfer), "")) for kb, transfer in columns]
    print(f"{'aim for mailwake':<20}" + "".join(f"{text and f'< {text}':>17}" for text in aims))


def cell(mode: str, load: Load, contestant: Contestant, kilobytes: int, transfer: str) -> str:
    with contextlib.ExitStack() as stack:
        next_hop = 0
        if mode == "relay":
            hop = postfix_sink() if transfer == "data" else python_server("sink")
            next_hop = stack.enter_context(hop).port
        running = stack.enter_context(contestant.start(next_hop))
        result, cpu = load.measure(running, kilobytes, transfer)
    if result["refused"] or result["lost"]:
        return f"{result['refused']} refused, {result['lost']} lost"
    return f"{cpu:.0f} ({result['accepted'] / result['seconds']:.0f})"


def idle(load: Load, connections: int = 1000) -> None:
    """Memory that idle connections add to a worker."""
    with tempfile.TemporaryDirectory() as name, python_server("sink") as hop:
        options = ["--set", f"esmtp_listener.max_connections={connections + 100}"]
        with service(Path(name) / "data", hop.port, 1, *options) as (port, (pid, *_)), contextlib.ExitStack() as stack:
            load.send(port, 2, 200, "data")
            before = resident_kilobytes(pid)
            for _ in range(connections):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                say(client, b"")
                say(client, b"EHLO idle.example\r\n")
            added = resident_kilobytes(pid) - before
    each = added / connections
    print(f"\nidle: {connections} connections add {added / 1024:.1f} MB, {each:.1f} KB each (aim: under 15 MB)")


def say(client: socket.socket, line: bytes) -> None:
    client.sendall(line)
    reply = b""
    while not reply.endswith(b"\r\n") or reply.rstrip().rsplit(b"\n", 1)[-1][3:4] == b"-":
        reply += client.recv(4096)


def resident_kilobytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def far(load: Load, round_trip: float = 20.0) -> bool:
    """Clients, workers and a next hop far away; whether everything accepted arrived, and nothing twice."""
    print(f"\nfar: 64 clients, 2 workers, tracking off, a next hop {round_trip:g} ms away (aim: over 2,500 messages/s)")
    good = True
    for kilobytes, transfer in ((2, "data"), (2, "bdat"), (25, "data"), (25, "bdat")):
        hop = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.edge_servers", "sink", "--round-trip", str(round_trip)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        assert hop.stdout is not None
        with mailwake_relay(int(hop.stdout.readline()), 2) as running:
            warm = load.send(running.port, kilobytes, 500, transfer, 64)
            result = load.send(running.port, kilobytes, load.messages(2), transfer, 64)
        hop.send_signal(signal.SIGTERM)
        arrived = int(hop.communicate(timeout=60)[0])
        accepted = warm["accepted"] + result["accepted"]
        good &= arrived == accepted and not result["refused"] and not result["lost"]
        print(
            f"{kilobytes:>3} KB {transfer.upper()}: {result['accepted'] / result['seconds']:.0f} messages/s,"
            f" {result['refused']} refused, p50 {result['p50_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms;"
            f" {accepted} accepted, {arrived} arrived",
            flush=True,
        )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="accept|relay|idle|far")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--factor", type=float, default=1.0, help="of the usual numbers of messages")
    arguments = parser.parse_args()
    parts = arguments.parts or ["accept", "relay", "idle", "far"]
    print(describe_machine())
    good = True
    with tempfile.TemporaryDirectory() as name:
        load = Load(Path(name), arguments.connections, arguments.factor)
        for mode in ("accept", "relay"):
            if mode in parts:
                compare(mode, load)
        if "idle" in parts:
            idle(load)
        if "far" in parts:
            good = far(load)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
