"""Both ways of taking mail side by side: the 250 after the relay, and the 250 out of the spool.

    benchmarks/spool [--messages 4000] [--connections 64] [--workers 1]

The newsletter of `benchmarks/relay`, one recipient a message, smtp-source → mailwake → smtp-sink, with tracking on and
off. For `acceptance = "spool"` it also says how long after the last 250 the spool was empty, and what a message with a
thousand recipients takes on the disk and in memory, beside what its copies would take one by one.
"""

from __future__ import annotations

import argparse
import re
import smtplib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import cpu_split, describe_machine, peak_megabytes
from benchmarks.newsletter import newsletter
from benchmarks.relay_load import send, service
from benchmarks.sink import running_sink

from mailwake.spool.sqlite_spool import SqliteSpool

PATIENCE = 300.0


def wait_for_empty(spool: Path) -> float:
    """Seconds until nothing waits there."""
    began = time.monotonic()
    reading = SqliteSpool(spool)
    while reading.count() and time.monotonic() - began < PATIENCE:
        time.sleep(0.01)
    reading.close()
    return time.monotonic() - began


def measure(directory: Path, message: Path, arguments: argparse.Namespace, acceptance: str) -> None:
    data = directory / f"data-{acceptance}-{message.stem}"
    options = ["--set", f"spool.acceptance={acceptance}"]
    with running_sink() as sink, service(data, sink, arguments.workers, *options) as (port, pids):
        send(port, message, max(arguments.messages // 10, 200), arguments.connections)
        wait_for_empty(data / "spool.sqlite3")
        before = [cpu_split(pid) for pid in pids]
        began = time.monotonic()
        seconds = send(port, message, arguments.messages, arguments.connections)
        late = wait_for_empty(data / "spool.sqlite3")
        whole = time.monotonic() - began
        after = [cpu_split(pid) for pid in pids]
        memory = max(map(peak_megabytes, pids))
    user, system = (sum(a[n] - b[n] for a, b in zip(after, before, strict=True)) for n in (0, 1))
    cpu = (user + system) / arguments.messages * 1e6
    print(
        f"{acceptance:<12} {message.stem:<14} {arguments.messages / seconds:9.0f} {arguments.messages / whole:9.0f}"
        f" {late:9.2f} {cpu:9.0f} {system / arguments.messages * 1e6:9.0f} {memory:9.0f}",
        flush=True,
    )


def many_recipients(directory: Path, content: bytes) -> None:
    data = directory / "data-many"
    recipients = [f"r{number}@rcpt.example" for number in range(1000)]
    options = ["--set", "spool.acceptance=spool"]
    with service(data, 9, 1, *options) as (port, pids):  # nobody listens on port 9: everything stays in the spool
        before = peak_megabytes(pids[0])
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            began = time.monotonic()
            client.sendmail("news@sender.example", recipients, content)
            seconds = time.monotonic() - began
        memory = peak_megabytes(pids[0]) - before
        spool = SqliteSpool(data / "spool.sqlite3")
        whole = sum(entry.size for entry in spool.list(2000))
        spool.close()
    stored = sum(path.stat().st_size for path in data.glob("spool.sqlite3*") if path.is_file())
    print(
        f"1000 recipients: {seconds:.2f} s to the 250, {whole / 1e6:.1f} MB of copies in {stored / 1e6:.1f} MB on the"
        f" disk, {memory:.0f} MB more memory"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # smtp-sink may run as another user
        content = newsletter()
        plain = re.sub(rb"(?m)^X-MSYS-API:.*\r\n(?:[ \t].*\r\n)*", b"", content)
        tracked, untracked = directory / "tracked.eml", directory / "untracked.eml"
        tracked.write_bytes(content.replace(b"\r\n", b"\n"))
        untracked.write_bytes(plain.replace(b"\r\n", b"\n"))
        print(
            f"{len(content)} octets, {arguments.messages} messages, {arguments.connections} connections,"
            f" {arguments.workers} workers"
        )
        print(f"{'':<27}     250s/s   relayed  empty s   CPU µs a   of it    peak MB")
        print(f"{'':<27}               a s    later     message    kernel   a worker")
        for message in (tracked, untracked):
            for acceptance in ("after-relay", "spool"):
                measure(directory, message, arguments, acceptance)
        many_recipients(directory, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
