"""Messages a second through mailwake, and the CPU each costs: smtp-source → mailwake → smtp-sink.

    benchmarks/relay [--messages 6000] [--connections 64] [--workers 1,2] [--skip-check]

A 25 KB multipart/alternative newsletter with 20 links (16 in HTML, 4 in text), one recipient a message, tracking on:
with a body that came before (list mail, one message a recipient: mailwake remembers how to rewrite it), with every body
scanned anew (plan_cache_entries=0: mail in which every body differs), and with tracking off. Client and sink are
Postfix's C programs (Debian's package `postfix`, installed, or unpacked with MAILWAKE_POSTFIX naming the folder). It
prints messages a second, CPU microseconds a message and peak memory of the workers, beside the client talking to the
sink directly. Then 64 connections at once send to recipients of their own, and every link of every copy is opened: a
link that names another recipient than its copy's is a mix-up, and there must be none.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import children, cpu_split, describe_machine, peak_megabytes
from benchmarks.newsletter import newsletter
from benchmarks.sink import postfix_tool, running_sink

from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.links.tracked_url import parse_url


@contextlib.contextmanager
def service(directory: Path, next_hop: int, workers: int, *options: str) -> Iterator[tuple[int, list[int]]]:
    """A running `mailwake serve`: its SMTP port and the process ids of its SMTP workers."""
    command = [sys.executable, "-m", "mailwake", "serve", "--role", "smtp", "--smtp", "127.0.0.1:0"]
    command += ["--admin", "127.0.0.1:0", "--next-hop", f"127.0.0.1:{next_hop}", "--data", str(directory)]
    command += ["--workers", str(workers)]
    command += ["--set", "log_format=json", *options]
    with (directory.parent / f"{directory.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        port = 0
        for line in process.stdout:
            found = re.search(r"SMTP on [\d.]+:(\d+)", line)
            port = int(found[1]) if found else port
            if "data in" in line:
                break
        yield port, children(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def send(port: int, message: Path, messages: int, connections: int, *options: str) -> float:
    """Send the message so many times with smtp-source; the seconds it took."""
    command, environment = postfix_tool("smtp-source")
    command += ["-s", str(connections), "-m", str(messages), "-d", "-F", str(message)]
    command += ["-f", "news@sender.example", "-t", "reader@rcpt.example", *options, f"127.0.0.1:{port}"]
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True, timeout=600)
    return time.monotonic() - began


def measure(directory: Path, message: Path, arguments: argparse.Namespace, case: str, workers: int) -> None:
    options = ["--set", "plan_cache_entries=0"] if case == "every body scanned" else []
    data = directory / f"data-{case.replace(' ', '-')}-{workers}"
    with running_sink() as sink_port, service(data, sink_port, workers, *options) as (port, pids):
        send(port, message, max(arguments.messages // 10, 200), arguments.connections)  # warm: imports, connections
        before = [cpu_split(pid) for pid in pids]
        seconds = send(port, message, arguments.messages, arguments.connections)
        time.sleep(0.2)
        after = [cpu_split(pid) for pid in pids]
        user, system = (sum(a[n] - b[n] for a, b in zip(after, before, strict=True)) for n in (0, 1))
        memory = max(map(peak_megabytes, pids))
    print(
        f"{case + ',':<20} {workers} worker{'s' if workers > 1 else ' '} {arguments.messages / seconds:9.0f}"
        f"  {(user + system) / arguments.messages * 1e6:9.0f} {system / arguments.messages * 1e6:9.0f}"
        f" {memory:9.0f}",
        flush=True,
    )


def check_links(directory: Path, message: Path, connections: int) -> int:
    """Send to recipients of their own over many connections and open every link; how many name another recipient."""
    (directory / "dump").mkdir()
    dump = directory / "dump" / "messages"
    data = directory / "data-check"
    with running_sink(dump) as sink_port, service(data, sink_port, 2) as (port, _):
        send(port, message, 2000, connections, "-N")
    codec = TokenCodec(KeyringFile(data / "keys.json").load())
    mixed = links = copies = 0
    for copy in re.split(rb"(?m)^X-Client-Addr:", dump.read_bytes())[1:]:
        recipient = re.search(rb"X-Rcpt-Args: <([^>]*)>", copy)
        if recipient is None:
            continue
        copies += 1
        for url in re.findall(rb"http://localhost:8080/[fqo]/[\w/.-]+", copy):
            parsed = parse_url(url.decode())
            assert parsed is not None, url
            links += 1
            mixed += codec.decode(parsed.token, parsed.family).context.recipient != recipient[1].decode()
    print(f"{connections} connections at once: {copies} copies, {links} links opened, {mixed} of another recipient")
    return mixed + (copies != 2000) + (links != copies * 22)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--skip-check", action="store_true", help="do not open every link afterwards")
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # smtp-sink may run as another user
        message, untracked = directory / "newsletter.eml", directory / "untracked.eml"
        content = newsletter()
        message.write_bytes(content.replace(b"\r\n", b"\n"))
        plain = re.sub(rb"(?m)^X-MSYS-API:.*\r\n(?:[ \t].*\r\n)*", b"", content)
        untracked.write_bytes(plain.replace(b"\r\n", b"\n"))
        print(f"{len(content)} octets, {arguments.messages} messages, {arguments.connections} connections")
        with running_sink() as sink_port:
            seconds = send(sink_port, message, arguments.messages, arguments.connections)
        print(f"{'':<30} messages/s   CPU µs a   of it    peak MB")
        print(f"{'':<30}              message    kernel   a worker")
        print(f"{'client to sink directly':<29} {arguments.messages / seconds:9.0f}", flush=True)
        for workers in map(int, arguments.workers.split(",")):
            measure(directory, message, arguments, "body came before", workers)
            measure(directory, message, arguments, "every body scanned", workers)
            measure(directory, untracked, arguments, "tracking off", workers)
        return 0 if arguments.skip_check else check_links(directory, message, arguments.connections)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
