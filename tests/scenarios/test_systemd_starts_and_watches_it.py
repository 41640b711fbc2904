"""The unit files, socket activation and notifications; systemd itself does not run here, its tools and protocols do."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from mailwake import __version__

from .conftest import PATIENCE, Mailwake, wait_until

pytestmark = pytest.mark.scenario

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("SYSTEMD-ANALYZE IS ABSENT: the unit files are not checked; install systemd")
    return program


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr + done.stdout


# --- the unit files


def test_systemd_finds_nothing_wrong_with_the_units(analyze: str, tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/mailwake/bin/mailwake", sys.executable)
        (tmp_path / unit.name).write_text(text)
    assert _run(analyze, "verify", str(tmp_path / "mailwake.service"), str(tmp_path / "mailwake.socket")) == ""


def test_a_broken_unit_would_be_noticed(analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / "mailwake.service"
    text = (UNITS / "mailwake.service").read_text().replace("/opt/mailwake/bin/mailwake", sys.executable)
    unit.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=strikt"))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=PATIENCE)
    assert "strikt" in done.stderr


def test_systemd_rates_the_service_as_little_exposed(analyze: str, tmp_path: Path) -> None:
    said = _run(analyze, "security", "--offline=true", "--threshold=15", str(UNITS / "mailwake.service"))
    assert "Overall exposure level" in said  # --threshold, in tenths, makes anything above it a failure


def test_it_works_under_the_system_call_filter_of_its_unit(analyze: str, tmp_path: Path) -> None:
    if ctypes.util.find_library("seccomp") is None:
        pytest.skip("LIBSECCOMP IS ABSENT: the system call filter is not tried; install libseccomp2")
    hashed = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("secret")
    (tmp_path / "policy.lua").write_text(
        'require("msys.core")\n'
        'require("msys.extended.message")\n'
        "local m = {}\n"
        "function m:validate_data_spool_each_rcpt(msg, accept, vctx)\n"
        '  msg:header("X-Seen", "yes")\n'
        "  return msys.core.VALIDATE_CONT\n"
        "end\n"
        'msys.registerModule("m", m)\n'
    )
    (tmp_path / "mailwake.toml").write_text(
        f"[esmtp_listener]\nrelay_networks = []\n[accounts.shop]\npassword = '{hashed}'\n"
        f"[[policy]]\nfile = '{tmp_path}/policy.lua'\n"
    )
    sandbox = [sys.executable, str(Path(__file__).with_name("unit_sandbox.py")), str(UNITS / "mailwake.service")]
    denied = subprocess.run(
        [*sandbox, sys.executable, "-c", "import os; os.chroot('/')"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert "PermissionError" in denied.stderr  # the filter is in force, for root as well
    service = Mailwake(tmp_path, "--demo", "--workers", "1", "--config", str(tmp_path / "mailwake.toml"))
    service.prefix = sandbox
    service.start()
    try:
        with service.client() as client:
            client.login("shop", "secret")
            assert client.sendmail("a@b.example", ["c@d.example"], MESSAGE) == {}
        assert service.get("/robots.txt")[0] == 200
        service.metric("mailwake_spool_entries_waiting")
        (copy,) = (service.data / "maildir" / "new").iterdir()
        assert b"X-Seen: yes" in copy.read_bytes()
        assert service.worker_pids()
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration reloaded" in service.log, "the reload is done")
    finally:
        assert service.stop() == 0
    assert "policy failed" not in service.log


# --- sockets

_HAND_OVER = """
import fcntl, os, sys
count = int(sys.argv[1])
names = ":".join(["mailwake.socket"] * count)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=names)
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[2 : 2 + count]]
for index, each in enumerate(high):
    os.dup2(each, 3 + index, inheritable=True)
    os.close(each)
os.execvp(sys.argv[2 + count], sys.argv[2 + count :])
"""


def _hand_over(*sockets: socket.socket) -> list[str]:
    """A command that does what systemd does before it starts the service: descriptors from 3 on, and the variables."""
    return [sys.executable, "-c", _HAND_OVER, str(len(sockets)), *(str(each.fileno()) for each in sockets)]


@pytest.fixture
def listening() -> Iterator[Callable[..., socket.socket]]:
    with contextlib.ExitStack() as stack:

        def listen(host: str = "127.0.0.1") -> socket.socket:
            return stack.enter_context(socket.create_server((host, 0)))

        yield listen


def _address(each: socket.socket) -> str:
    host, port = each.getsockname()
    return f"{host}:{port}"


class Activated(Mailwake):
    """A service to which sockets are handed over, and which knows their addresses from its arguments."""

    def __init__(self, directory: Path, sockets: list[socket.socket], *arguments: str) -> None:
        super().__init__(directory, "--demo", *arguments)
        self.addresses = []
        self.prefix = _hand_over(*sockets)
        self.pass_fds = tuple(each.fileno() for each in sockets)


def test_sockets_of_systemd_are_served_by_all_workers_and_outlive_the_service(
    tmp_path: Path, listening: Callable[..., socket.socket]
) -> None:
    smtp, tracker, admin = listening(), listening(), listening()
    arguments = ["--workers", "3", "--smtp", _address(smtp), "--tracker", _address(tracker), "--admin", _address(admin)]
    service = Activated(tmp_path, [smtp, tracker, admin], *arguments)
    service.start()
    assert [service.smtp, service.tracker, service.admin] == [s.getsockname() for s in (smtp, tracker, admin)]
    pids = set(service.worker_pids())
    assert len(pids) == 7
    with contextlib.ExitStack() as stack:
        for number in range(12):
            client = stack.enter_context(service.client())
            assert client.sendmail("a@b.example", [f"c{number}@d.example"], MESSAGE) == {}
            assert service.get("/robots.txt")[0] == 200
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration reloaded" in service.log, "the reload is done")
        with service.client() as after:
            assert after.sendmail("a@b.example", ["after@d.example"], MESSAGE) == {}
    assert service.stop() == 0
    waiting = socket.create_connection(smtp.getsockname(), timeout=PATIENCE)  # nobody serves, nobody refuses
    again = Activated(tmp_path, [smtp, tracker, admin], *arguments)
    again.start()
    try:
        assert waiting.recv(4) == b"220 "
    finally:
        waiting.close()
        assert again.stop() == 0
    assert len(list((service.data / "maildir" / "new").iterdir())) == 13


def test_a_socket_of_systemd_for_which_nothing_is_configured_is_an_error(
    tmp_path: Path, listening: Callable[..., socket.socket]
) -> None:
    smtp, other = listening(), listening()
    service = Activated(
        tmp_path, [smtp, other], "--smtp", _address(smtp), "--tracker", "127.0.0.1:0", "--admin", "127.0.0.1:0"
    )
    with pytest.raises(AssertionError):
        service.start()
    lines = service.log.splitlines()
    assert lines == [
        f"mailwake: systemd listens on {_address(other)}, which is no configured address: add it to "
        "esmtp_listener.listen or tracker.listen, or take it out of mailwake.socket"
    ]


def test_a_socket_that_takes_no_connections_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        service = Activated(tmp_path, [datagrams])
        with pytest.raises(AssertionError):
            service.start()
    assert "descriptor 3, which is no listening stream socket" in service.log
    assert len(service.log.splitlines()) == 1


# --- notifications


class Notifications:
    """What a service says to systemd, as systemd would get it."""

    def __init__(self, path: str) -> None:
        self.heard: list[list[str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while datagram := self._socket.recv(4096):
                self.heard.append(datagram.decode().split("\n"))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def firsts(self) -> list[str]:
        return [lines[0] for lines in list(self.heard) if lines[0] != "WATCHDOG=1"]


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_when_it_serves_reloads_and_stops(tmp_path: Path, *, abstract: bool) -> None:
    name = f"@mailwake-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    notifications = Notifications("\0" + name[1:] if abstract else name)
    service = Mailwake(tmp_path, "--demo", "--workers", "1")
    service.environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000"}
    service.start()
    try:
        wait_until(lambda: notifications.firsts() == ["READY=1"], "it is ready")
        assert [
            "READY=1",
            f"STATUS=mailwake {__version__}: 1 smtp, 1 tracker, 1 collector workers",
        ] in notifications.heard
        wait_until(lambda: notifications.heard.count(["WATCHDOG=1"]) >= 3, "the watchdog is fed")
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: notifications.firsts() == ["READY=1", "RELOADING=1", "READY=1"], "it has reloaded")
        (reloading,) = (lines for lines in notifications.heard if lines[0] == "RELOADING=1")
        assert reloading[1].startswith("MONOTONIC_USEC=")
    finally:
        assert service.stop() == 0
    wait_until(lambda: notifications.firsts()[-1] == "STOPPING=1", "it has said that it stops")
    notifications.close()


def test_a_notification_socket_that_is_gone_harms_nobody(tmp_path: Path) -> None:
    service = Mailwake(tmp_path, "--demo", "--workers", "1")
    service.environment = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "100000"}
    service.start()
    try:
        with contextlib.closing(smtplib.SMTP(*service.smtp, timeout=PATIENCE)) as client:
            assert client.sendmail("a@b.example", ["c@d.example"], MESSAGE) == {}
    finally:
        assert service.stop() == 0
    assert service.log.count("systemd cannot be notified") == 1
