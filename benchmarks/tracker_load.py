"""Clicks and opens a second through real tracker workers, each event durable before its answer, beside others.

    benchmarks/tracker [--seconds 6] [--connections 64] [--threads 1] [--data DIR]

Needs `wrk` (Debian's package of that name). Beside mailwake, on one and on two workers, it measures nginx's
`return 302`, which records nothing and is the floor, and the usual alternative: a bare asyncio server on httptools that
puts each event into a Redis stream (`XADD`, `appendfsync always`) before it answers; each is left out, and said to be,
when it is not installed. Prints a table in Markdown: answers a second, p50 and p99 in milliseconds, microseconds of the
servers' own CPU time an answer. Exits with 1 if an answered click or open has no event in the journal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import cpu_seconds, describe_machine
from benchmarks.tracker_servers import Served, find_program, nginx, redis, wait_for_answers, workers

import mailwake
from mailwake.clock import SystemClock
from mailwake.events.unique_ids import UniqueIds
from mailwake.journal.reader import JournalReader
from mailwake.links.keyring import Key, Keyring
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id, pack_context

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

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

    def row(self, name: str) -> str:
        rate, cpu = self.requests / self.seconds, self.cpu_seconds / self.requests * 1e6
        return f"| {name} | {rate:,.0f} | {self.p50:.2f} | {self.p99:.2f} | {self.longest:.0f} | {cpu:.1f} |"


def main() -> int:
    arguments = read_arguments()
    if shutil.which("wrk") is None:
        sys.exit("benchmarks/tracker needs wrk; on Debian: apt-get install wrk")
    directory = Path(tempfile.mkdtemp(prefix="mailwake-tracker-", dir=arguments.data))
    try:
        return measure(arguments, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=6, help="length of each of the six runs")
    parser.add_argument("--connections", type=int, default=64, help="connections of wrk")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk")
    parser.add_argument("--data", help="directory on the disk to be measured (default: the system's temporary one)")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, directory: Path) -> int:
    print_machine(directory, arguments)
    secret = os.urandom(64)
    clicks, opens = directory / "clicks", directory / "opens"
    clicks.write_text("\n".join(tracked_paths(secret, LinkKind.CLICK)) + "\n")
    opens.write_text("\n".join(tracked_paths(secret, LinkKind.OPEN)) + "\n")
    (directory / "ids").mkdir()
    load = Load(arguments, directory)

    print("| | answers/s | p50 ms | p99 ms | max ms | CPU µs |\n|---|---|---|---|---|---|", flush=True)
    of_ours = [
        load.run("mailwake, clicks, 1 worker", workers("mailwake", 1, directory, secret), clicks),
        load.run("mailwake, clicks, 2 workers", workers("mailwake", 2, directory, secret), clicks),
        load.run("mailwake, opens, 2 workers", workers("mailwake", 2, directory, secret), opens),
    ]
    others = []
    if find_program("redis-server"):
        others.append(load.run("Redis `XADD`, 2 workers", redis(2, directory, secret), clicks))
    else:
        print("Redis IS ABSENT and left out: apt-get install redis-server")
    if find_program("nginx"):
        others.append(load.run("nginx `return 302`, nothing recorded, 2 workers", nginx(2, directory), clicks))
    else:
        print("nginx IS ABSENT and left out: apt-get install nginx")
    return verdict(of_ours, others, count_events(directory / "journal"))


def verdict(of_ours: list[Measured], others: list[Measured], events: int) -> int:
    answered = sum(each.requests for each in of_ours)
    print(f"\nanswered by mailwake {answered:,}, events in its journal {events:,}")
    failed = [each for each in (*of_ours, *others) if each.refused or each.broken]
    for each in failed:
        print(f"FAILED: {each.refused} refused, {each.broken} broken")
    if events < answered:
        print("FAILED: answered requests have no event")
    return 1 if failed or events < answered else 0


class Load:
    """wrk against one server after another."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        script = directory / "cycle.lua"
        script.write_text(WRK_SCRIPT)
        self._command = ["wrk", f"-t{arguments.threads}", f"-c{arguments.connections}", f"-d{arguments.seconds}s"]
        self._command += ["-s", str(script)]

    def run(self, name: str, server: AbstractContextManager[Served], paths: Path) -> Measured:
        with server as served:
            # Also of an image's tracker it is a click that is asked for: the answer is a redirect everywhere.
            wait_for_answers(served.port, (paths.parent / "clicks").read_text().split()[0])
            measured = self._measure(served, paths)
        print(measured.row(name), flush=True)
        return measured

    def _measure(self, served: Served, paths: Path) -> Measured:
        before = sum(map(cpu_seconds, served.processes))
        command = [*self._command, f"http://127.0.0.1:{served.port}/", "--", str(paths)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        used = sum(map(cpu_seconds, served.processes)) - before
        for line in output.stdout.splitlines():
            if line.startswith("RESULT "):
                return Measured(**json.loads(line.removeprefix("RESULT ")), cpu_seconds=used)
        sys.exit(f"wrk said nothing of use:\n{output.stdout}{output.stderr}")


def tracked_paths(secret: bytes, kind: LinkKind = LinkKind.CLICK) -> list[str]:
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
        if kind is LinkKind.CLICK:
            found.append("/f/a/" + codec.encode(kind, context, target, "Product").decode())
        else:
            found.append("/q/" + codec.encode(kind, context).decode())
    return found


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
        f"mailwake {mailwake.__version__}, wrk -t{arguments.threads} -c{arguments.connections}, "
        f"{arguments.seconds} s each, {LINKS} links, on {disk.stdout.strip() or 'unknown'}"
    )
    if disk.stdout.strip() == "tmpfs":
        print("The journal is in memory, where a sync costs nothing: choose a directory on a disk with --data")
    print()


if __name__ == "__main__":
    sys.exit(main())
