"""Real processes for scenarios: mailwake as a person starts it, Postfix's smtp-sink as the next hop, real clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.sink import find_postfix_tool

from mailwake.service.fork_server import PROCESS_NAME

PATIENCE = 60.0
"""Seconds until a condition counts as never met; no test waits that long on a machine that works."""


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first true value of `condition`, asked again and again; fail with `what` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


class Mailwake:
    """`mailwake serve` in a process group of its own; addresses are read from what it says."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.data = directory / "data"
        self.arguments = arguments
        self.addresses = ["--smtp", "127.0.0.1:0", "--tracker", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        self.addresses += ["--api", "127.0.0.1:0"]
        self.prefix: list[str] = []
        """A command that becomes the one behind it."""
        self.pass_fds: tuple[int, ...] = ()
        self.environment: dict[str, str] = {}
        self.output: list[str] = []
        self.log_path = directory / "mailwake.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Mailwake:
        command = [*self.prefix, sys.executable, "-m", "mailwake", "serve", *self.addresses]
        command += ["--data", str(self.data), *self.arguments]
        environment = {**os.environ, **self.environment}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, pass_fds=self.pass_fds, env=environment
            )
        threading.Thread(target=self._read, daemon=True).start()
        wait_until(lambda: "mailwake: data in" in self.announced or self.exited, "mailwake started")
        assert not self.exited, self.log
        return self

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.output.append(line)

    @property
    def exited(self) -> bool:
        return self.process is None or self.process.poll() is not None

    @property
    def announced(self) -> str:
        """What it says at the start, on standard output, or beside the log where that is for events."""
        output = "".join(self.output)
        return output if "mailwake: data in" in output else self.log

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def _address(self, pattern: str) -> tuple[str, int]:
        found = re.search(pattern, self.announced)
        assert found, self.announced
        return found[1], int(found[2])

    @property
    def smtp(self) -> tuple[str, int]:
        return self._address(r"SMTP on ([\d.]+):(\d+)")

    @property
    def tracker(self) -> tuple[str, int]:
        return self._address(r"tracker on http://([\d.]+):(\d+)")

    @property
    def admin(self) -> tuple[str, int]:
        return self._address(r"health and metrics on http://([\d.]+):(\d+)")

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP(*self.smtp, timeout=PATIENCE)

    def send(self, sender: str, recipients: list[str], message: bytes) -> dict[str, tuple[int, bytes]]:
        with self.client() as client:
            return client.sendmail(sender, recipients, message)

    def get(self, path: str, method: str = "GET", server: str = "tracker") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self._server(server), timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def _server(self, name: str) -> tuple[str, int]:
        return self.tracker if name == "tracker" else self.admin

    def metric(self, name: str) -> float:
        text = self.get("/metrics", server="admin")[2].decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name
        )

    def events(self) -> list[dict[str, Any]]:
        """All events as `mailwake events tail --json` prints them, without their envelope."""
        command = [sys.executable, "-m", "mailwake", "events", "tail", "--json", "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        found = []
        for line in done.stdout.splitlines():
            (event,) = json.loads(line)["msys"].values()
            found.append(event)
        return found

    def worker_pids(self, role: str = "") -> list[int]:
        """The process ids of the workers, as the system shows them."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                name, _, rest = (entry / "stat").read_text().rpartition(")")
                if int(rest.split()[1]) == self.process.pid and not name.endswith(f"({PROCESS_NAME}"):
                    found.append(int(entry.name))
        return sorted(found)

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def kill(self) -> None:
        if self.process is not None and not self.exited:
            self.process.kill()
            self.process.wait(PATIENCE)


@pytest.fixture
def start_mailwake(tmp_path: Path) -> Iterator[Callable[..., Mailwake]]:
    started: list[Mailwake] = []

    def start(*arguments: str) -> Mailwake:
        service = Mailwake(tmp_path, *arguments)
        started.append(service)
        return service.start()

    yield start
    for service in started:
        if not service.exited:
            service.stop()


# The last two lines that smtp-sink puts before what it was sent.
_TRACE_OF_SINK = re.compile(rb"\n\tby smtp-sink[^\n]*\n\t[^\n]*\n")


class Sink:
    """Postfix's smtp-sink, which dumps every message it takes into a file of its own."""

    HOST = "127.0.0.1"

    def __init__(self, directory: Path, program: list[str], environment: dict[str, str], *options: str) -> None:
        self.directory = directory
        self.port = _free_port()
        command = [*program, "-c", "-d", str(directory / "%M.")]
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
            command += ["-u", "nobody"]
        self._command = [*command, *options, self.address, "1000"]
        self._environment = environment
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: _answers(self.HOST, self.port), "smtp-sink listens")

    @property
    def address(self) -> str:
        return f"{self.HOST}:{self.port}"

    def messages(self) -> list[tuple[str, bytes]]:
        """Recipient and content of each message, as it was sent, LF line ends as smtp-sink writes them."""
        found = []
        for path in sorted(self.directory.iterdir()):
            text = path.read_bytes()
            recipient = re.search(rb"^X-Rcpt-Args: <([^>]*)>", text, re.MULTILINE)
            if recipient:
                found.append((recipient[1].decode(), _TRACE_OF_SINK.split(text, maxsplit=1)[1]))
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


def _free_port() -> int:
    # smtp-sink cannot choose a port by itself.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False


@pytest.fixture
def start_sink() -> Iterator[Callable[..., Sink]]:
    found = find_postfix_tool("smtp-sink")
    if found is None:
        pytest.skip("SMTP-SINK IS ABSENT: run tools/fetch_mail_servers.sh DIR and set MAILWAKE_MTAS=DIR")
    program, environment = found
    sinks: list[Sink] = []

    def start(*options: str) -> Sink:
        # Not below pytest's own directories, which are closed to the other user that smtp-sink may run as.
        directory = Path(tempfile.mkdtemp(prefix="mailwake-sink-"))
        directory.chmod(0o755)
        sinks.append(Sink(directory, program, environment, *options))
        return sinks[-1]

    yield start
    for sink in sinks:
        sink.stop()
        shutil.rmtree(sink.directory)
