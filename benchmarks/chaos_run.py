"""Kills, restarts, full disks and jumping clocks under load, with a ledger at both ends.

    benchmarks/chaos [--seconds 600] [--acceptance after-relay|spool] [--senders 6] [--seed 1]

Senders never repeat anything. Every few seconds one of these happens: a worker is killed (-9), all workers are, the
whole service is and is started again, the next hop is and is started again after up to three seconds, the disk of the
data directory is full for three seconds (a tmpfs of its own; as root only), the wall clock jumps by up to an hour and
back (libfaketime, Debian's package; the monotonic clock goes on). The next hop refuses some recipients, defers others,
and drops connections. In the end everything is well again, the spool is tried until it is empty, and the books are
closed: accepted = delivered + spooled + bounced, with duplicates only where something died just after a copy was taken.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos_books import Promises, close_books
from benchmarks.machine import children, describe_machine

from mailwake.spool.sqlite_spool import SqliteSpool

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SPOOL_SECONDS = 180
"""How long the spool may take to become empty when everything is well again."""

MESSAGE = b"From: news@sender.example\r\nSubject: chaos\r\nX-Number: %s\r\nContent-Type: text/html\r\n\r\n" + (
    b'<p>Hello <a href="https://www.example.org/">there</a></p>\r\n' * 30
)


class Senders:
    """Clients in threads, each message sent once."""

    def __init__(self, port: int, count: int, seed: int) -> None:
        self.promises = Promises()
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n, seed + n)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int, seed: int) -> None:
        chance, count = random.Random(seed), 0
        client: smtplib.SMTP | None = None
        while not self._stop.is_set():
            client = client or self._connect()
            if client is None:
                continue
            count += 1
            recipients = [self._recipient(chance, f"{sender}-{count}-{n}") for n in range(chance.choice((1, 1, 1, 3)))]
            try:
                client.sendmail("news@sender.example", recipients, MESSAGE % f"{sender}-{count}".encode())
                outcome = self.promises.accepted
            except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused) as refusal:
                code = getattr(refusal, "smtp_code", 550)
                outcome = self.promises.unknown if code == 421 else self.promises.refused
                client = None if code == 421 else client
                self._stop.wait(0.05)
            except (smtplib.SMTPException, OSError):
                outcome, client = self.promises.unknown, None
                self._stop.wait(0.1)
            with self._lock:
                outcome.extend(recipients)
            self._stop.wait(0.02)
        if client is not None:
            client.close()

    def _connect(self) -> smtplib.SMTP | None:
        try:
            return smtplib.SMTP("127.0.0.1", self._port, timeout=120)
        except (smtplib.SMTPException, OSError):
            self._stop.wait(0.05)
            return None

    def _recipient(self, chance: random.Random, number: str) -> str:
        kind = chance.choices(("reader", "later", "refused"), (90, 8, 2))[0]
        return f"{kind}-{number}@rcpt.example"


class Chaos:
    """The service, its next hop, and what befalls them."""

    def __init__(self, directory: Path, arguments: argparse.Namespace) -> None:
        self.ledger = directory / "ledger"
        self.deaths: list[float] = []
        self.happened: Counter[str] = Counter()
        self._directory = directory
        self._data = directory / "disk" / "data"
        self._arguments = arguments
        self._chance = random.Random(arguments.seed)
        self._clock = directory / "clock"
        self._clock.write_text("+0")
        self._hop_port = self.smtp_port = 0
        self._log = (directory / "log").open("ab")
        self.hop = self._start_hop()
        self.service = self._start_service()

    def _start_hop(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.chaos_hop", str(self._hop_port), str(self.ledger)]
        hop = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        assert hop.stdout is not None
        self._hop_port = int(hop.stdout.readline())
        return hop

    def _start_service(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mailwake", "serve", "--role", "smtp", "--smtp", f"127.0.0.1:{self.smtp_port}"]
        command += ["--admin", "127.0.0.1:0", "--next-hop", f"127.0.0.1:{self._hop_port}", "--data", str(self._data)]
        command += ["--workers", "2", "--set", "log_format=json", "--set", "click_tracking_enabled=true"]
        command += ["--set", "spool.retry_schedule=[1, 2, 5]"]
        if self._arguments.acceptance != "after-relay":
            command += ["--set", f"spool.acceptance={self._arguments.acceptance}"]
        environment = dict(os.environ)
        if FAKETIME.exists():
            environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._clock)}
            environment |= {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment)
        assert service.stdout is not None
        for line in service.stdout:
            if found := re.search(r"SMTP on [\d.]+:(\d+)", line):
                self.smtp_port = int(found[1])
            if "data in" in line:
                break
        return service

    # What befalls them

    def strike(self) -> None:
        """One misfortune, over when this returns."""
        misfortunes = [self.kill_worker, self.kill_worker, self.kill_workers, self.kill_service, self.restart_hop]
        if os.path.ismount(self._data.parent):
            misfortunes.append(self.fill_disk)
        if FAKETIME.exists():
            misfortunes.append(self.jump)
        misfortune = self._chance.choice(misfortunes)
        self.happened[misfortune.__name__] += 1
        misfortune()

    def kill_worker(self) -> None:
        workers = children(self.service.pid)
        if workers:
            self._kill([self._chance.choice(workers)])

    def kill_workers(self) -> None:
        self._kill(children(self.service.pid))

    def kill_service(self) -> None:
        workers = children(self.service.pid)
        self._kill([self.service.pid, *workers])
        self.service.wait()
        self.service = self._start_service()

    def restart_hop(self) -> None:
        self._kill([self.hop.pid])
        self.hop.wait()
        time.sleep(self._chance.uniform(0, 3))
        self.hop = self._start_hop()

    def fill_disk(self) -> None:
        filler = self._data.parent / "filler"
        self.deaths.append(time.time())
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        for _ in range(6):
            time.sleep(0.5)
            self.deaths.append(time.time())
        filler.unlink()

    def jump(self) -> None:
        self._clock.write_text(f"{self._chance.randint(-3600, 3600):+d}")
        time.sleep(self._chance.uniform(2, 5))
        self._clock.write_text("+0")

    def _kill(self, pids: list[int]) -> None:
        self.deaths.append(time.time())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # The end

    def settle(self) -> set[str]:
        """Wait until the spool is empty, end everything, and give the recipients that still wait."""
        deadline = time.monotonic() + SPOOL_SECONDS
        spool = SqliteSpool(self._data / "spool.sqlite3")
        while spool.count() and time.monotonic() < deadline:
            time.sleep(0.5)
        self.service.send_signal(signal.SIGTERM)
        self.service.wait(90)
        waiting = {entry.recipient for entry in spool.list(1_000_000)}
        spool.close()
        self._kill([self.hop.pid])
        self.hop.wait()
        self._log.close()
        return waiting

    def tracebacks(self) -> int:
        """How often the log shows an error that nobody foresaw."""
        return (self._directory / "log").read_text(errors="replace").count("Traceback")


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """A tmpfs at `directory`/disk, where that is allowed."""
    disk = directory / "disk"
    disk.mkdir()
    mounted = os.getuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=1g", "mailwake-chaos", str(disk)], stderr=subprocess.DEVNULL
    )
    if not mounted:
        print("no full disks: a tmpfs cannot be mounted here")
    try:
        yield
    finally:
        if mounted:
            subprocess.call(["umount", "-l", str(disk)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--acceptance", choices=("after-relay", "spool"), default="after-relay")
    parser.add_argument("--senders", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-log", type=Path, help="where the service's log is copied in the end")
    arguments = parser.parse_args()
    print(describe_machine())
    if not FAKETIME.exists():
        print("no jumping clocks: install libfaketime")
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)):
        chaos = Chaos(Path(name), arguments)
        senders = Senders(chaos.smtp_port, arguments.senders, arguments.seed)
        end, told = time.monotonic() + arguments.seconds, 0.0
        try:
            while time.monotonic() < end:
                time.sleep(random.uniform(1, 4))
                chaos.strike()
                if time.monotonic() - told > 15:
                    told = time.monotonic()
                    left, accepted = max(end - told, 0), len(senders.promises.accepted)
                    print(f"{left:4.0f} s left; {accepted} copies accepted; {dict(chaos.happened)}", flush=True)
        finally:
            senders.stop()
            waiting = chaos.settle()
            if arguments.keep_log:
                arguments.keep_log.write_bytes((Path(name) / "log").read_bytes())
        promises = senders.promises
        books = close_books(promises, chaos.ledger, waiting, chaos.deaths)
        print(f"happened: {dict(chaos.happened)}; tracebacks in the log: {chaos.tracebacks()}")
        print(
            f"accepted {books.accepted} = delivered {books.delivered} + spooled {books.spooled}"
            f" + bounced {books.bounced}; refused {len(promises.refused)}, unknown {len(promises.unknown)}"
        )
        print(f"came twice: {books.unavoidable} unavoidably, {len(books.avoidable)} avoidably {books.avoidable[:5]}")
        print(f"MISSING: {len(books.missing)} {books.missing[:5]}" if books.missing else "nothing is missing")
        return 0 if books.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
