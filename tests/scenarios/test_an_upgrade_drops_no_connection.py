"""SIGUSR2: another version of the program takes over in the same process, and no client of the old one notices."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.kill_run import Load

import mailwake
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec

from .conftest import PATIENCE, Mailwake, Sink, wait_until
from .test_a_reload_drops_no_connection import HealthWatch, Senders

pytestmark = pytest.mark.scenario

UPGRADED = "upgraded"
REFUSED = "not upgraded, the running version stays in force"
IN_PART = "upgraded in part: workers of the former version stay in force until a reload or an upgrade succeeds"
RELOADED = "configuration reloaded"
ENDED = "workers of a former configuration have ended"
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


class Installed(Mailwake):
    """A service that runs from a copy of the package, which can be replaced by one of another version."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        self.site = directory / "site"
        self.file = directory / "mailwake.toml"
        self.file.write_text("")
        self.arguments = ("--config", str(self.file), *arguments)
        self.environment = {"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}
        self.install("1.0")

    def install(self, version: str, *, edit: Callable[[Path], None] = lambda package: None) -> None:
        """As `pip install -U` does: the files are others from now on, the running processes are not."""
        new = self.site.with_name("site.new")
        package = new / "mailwake"
        shutil.copytree(Path(mailwake.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        code = package / "__init__.py"
        code.write_text(re.sub(r'__version__ = "[^"]*"', f'__version__ = "{version}"', code.read_text()))
        edit(package)
        shutil.rmtree(self.site, ignore_errors=True)
        new.rename(self.site)

    def said(self, *events: str) -> list[dict[str, Any]]:
        """The log lines of these events so far."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] in events]

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def upgrade(self) -> dict[str, Any]:
        """SIGUSR2, and the line that says what came of it."""
        before = len(self.said(UPGRADED, REFUSED, IN_PART))
        self.signal(signal.SIGUSR2)
        wait_until(lambda: len(self.said(UPGRADED, REFUSED, IN_PART)) > before, "the upgrade's outcome is logged")
        return self.said(UPGRADED, REFUSED, IN_PART)[before]

    def health(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.get("/healthz", server="admin")[2])
        return facts

    def versions(self) -> dict[str, str]:
        """Of each worker that does not drain."""
        workers = self.health()["workers"].items()
        return {name: worker["version"] for name, worker in workers if worker["state"] != "draining"}

    def workers_by_number(self) -> dict[str, int]:
        return {name: worker["pid"] for name, worker in self.health()["workers"].items() if "pid" in worker}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Installed]:
    made = Installed(tmp_path, "--workers", "1", "--demo")
    yield made
    if not made.exited:
        made.stop()


@pytest.fixture
def relaying(tmp_path: Path, start_sink: Callable[..., Sink]) -> Iterator[tuple[Installed, Sink]]:
    sink = start_sink()
    made = Installed(tmp_path, "--next-hop", sink.address)
    yield made, sink
    if not made.exited:
        made.stop()


def _send(client: smtplib.SMTP, recipient: str) -> None:
    assert client.sendmail("a@b.example", [recipient], MESSAGE) == {}


def _wait_for_more(growing: list[str], what: str) -> None:
    enough = len(growing) + 20
    wait_until(lambda: len(growing) >= enough, what)


class LastingSender:
    """One client that sends over one connection again and again, through upgrades, until `stop()`."""

    def __init__(self, smtp: tuple[str, int], sender: str) -> None:
        self.accepted: list[str] = []
        self.mishaps: list[str] = []
        self._smtp, self._sender = smtp, sender
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        try:
            with smtplib.SMTP(*self._smtp, timeout=PATIENCE) as client:
                while not self._stop.is_set():
                    number += 1
                    recipient = f"{self._sender}-{number}@rcpt.example"
                    _send(client, recipient)
                    self.accepted.append(recipient)
                    self._stop.wait(0.05)
        except (smtplib.SMTPException, OSError) as error:
            self.mishaps.append(f"{number}: {error!r}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def test_upgrades_under_load_lose_and_double_nothing_and_turn_nobody_away(relaying: tuple[Installed, Sink]) -> None:
    service, sink = relaying
    service.file.write_text("workers = 2\n")
    service.start()
    assert service.process is not None
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())
    clicks = Load(service.smtp, service.tracker, codec, lambda number: b"", senders=0, clickers=4)
    senders = Senders(service.smtp)
    senders.start()
    clicks.start()
    lasting: list[LastingSender] = []
    seen: set[int] = set()
    try:
        with HealthWatch(service) as watch:
            for number in range(1, 4):
                lasting.append(LastingSender(service.smtp, f"lasting{number}"))
                before = set(service.workers_by_number().values())
                service.install(f"{number}.1")
                service.file.write_text(f"workers = {1 + number % 3}\n")
                if number == 3:
                    service.signal(signal.SIGHUP)  # in one queue with the upgrade
                line = service.upgrade()
                assert (line["event"], line["version"]) == (UPGRADED, f"{number}.1")
                health = service.health()
                assert (health["version"], health["pid"]) == (f"{number}.1", service.process.pid)
                assert set(service.versions().values()) == {f"{number}.1"}
                assert not {w["pid"] for w in health["workers"].values() if w["version"] == f"{number}.1"} & before
                seen |= before
                _wait_for_more(senders.accepted, "messages are accepted")
                _wait_for_more(clicks.ledger.redirected, "clicks are redirected")
                if number >= 2:
                    lasting[number - 2].stop()  # before there are so many generations that the oldest has to go
    finally:
        senders.stop()
        clicks.stop()
        for each in lasting:
            each.stop()
    wait_until(lambda: len(service.health()["workers"]) == 2 * (1 + 3 % 3) + 1, "all former workers end")
    accepted = [*senders.accepted, *(recipient for each in lasting for recipient in each.accepted)]
    assert senders.mishaps + [mishap for each in lasting for mishap in each.mishaps] == []
    assert (clicks.ledger.cut_off, clicks.wrong_answers) == (0, [])
    assert Counter(recipient for recipient, _ in sink.messages()) == Counter(accepted)
    events = service.events()
    targets = Counter(event["target_link_url"] for event in events if event["type"] == "click")
    assert targets == Counter(clicks.ledger.redirected)
    assert len({event["event_id"] for event in events}) == len(events)
    assert set(watch.statuses) == {200}
    assert watch.totals == sorted(watch.totals)
    assert service.metric("mailwake_messages_total") == len(accepted)
    assert service.metric("mailwake_smtp_connections_open") == 0
    assert service.metric("mailwake_upgrades_total") == 3
    assert service.metric("mailwake_worker_restarts_total") == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in seen)
    assert "Traceback" not in service.log


def test_a_connection_from_before_is_served_by_the_old_version_until_its_client_leaves(service: Installed) -> None:
    service.start()
    old = service.workers_by_number()
    with service.client() as before:
        _send(before, "one@d.example")
        service.install("2.0")
        assert service.upgrade()["former"] == "1.0"
        _send(before, "two@d.example")
        with service.client() as after:
            _send(after, "three@d.example")
        states = service.health()["workers"]
        assert (states["smtp-0"]["state"], states["smtp-0"]["version"]) == ("draining", "1.0")
        assert states["smtp-0"]["pid"] == old["smtp-0"]
        assert (states["smtp-1"]["state"], states["smtp-1"]["version"]) == ("serving", "2.0")
        assert not service.said(ENDED)
    wait_until(lambda: service.said(ENDED), "the old workers end when their client has left")
    wait_until(lambda: service.metric("mailwake_messages_total") == 3, "all are counted")
    # The new supervisor keeps its own workers alive, reloads, and upgrades again.
    os.kill(service.workers_by_number()["smtp-1"], signal.SIGKILL)
    wait_until(lambda: service.metric("mailwake_worker_restarts_total") == 1, "the death is counted")
    wait_until(lambda: service.health()["status"] == "ok", "a new worker serves")
    service.signal(signal.SIGHUP)
    wait_until(lambda: service.said(RELOADED), "the reload is logged")
    service.install("3.0")
    assert service.upgrade()["event"] == UPGRADED
    with service.client() as client:
        _send(client, "four@d.example")
    wait_until(lambda: service.metric("mailwake_messages_total") == 4, "all are counted")
    assert service.metric("mailwake_config_reloads_total") == 1


def _break_import(package: Path) -> None:
    code = package / "service" / "smtp_worker.py"
    code.write_text("import module_that_is_not_there\n" + code.read_text())


def _break_everything(package: Path) -> None:
    (package / "cli" / "main.py").write_text("def main():\n    raise ValueError('broken release')\n")


def _other_format(package: Path) -> None:
    code = package / "service" / "handover.py"
    code.write_text(code.read_text().replace("\nFORMAT = 1\n", "\nFORMAT = 2\n"))


def test_a_version_that_cannot_take_over_changes_nothing(service: Installed) -> None:
    service.start()
    node = int((service.data / "node_id").read_text())
    workers = service.workers_by_number()
    cases: list[tuple[str, Callable[[Path], None], str]] = [
        ("", _break_import, "worker smtp-1 ended with exit status 1 before it served"),
        ("", _break_everything, "ValueError: broken release"),
        ("", _other_format, "cannot take over from the running version 1.0, whose state has format 1 and not 2"),
        ("tracking_domian = 'x'", lambda package: None, "did you mean 'tracking_domain'"),
        (f"node_id = {(node + 1) % 256}", lambda package: None, "node_id: cannot change while mailwake runs"),
        ("tracker.workers = 64", lambda package: None, "at most 64 smtp and 63 tracker workers"),
    ]
    with service.client() as before:
        for count, (settings, edit, expected) in enumerate(cases, 1):
            service.install(f"{count}.bad", edit=edit)
            service.file.write_text(settings)
            line = service.upgrade()
            assert (line["event"], line["level"]) == (REFUSED, "error")
            assert expected in line["error"]
            assert "\n" not in line["error"]
            _send(before, f"before{count}@d.example")
            with service.client() as after:
                _send(after, f"after{count}@d.example")
            assert service.workers_by_number() == workers
            assert (service.health()["status"], service.health()["version"]) == ("ok", "1.0")
        assert service.metric("mailwake_upgrades_total") == len(cases)
        service.file.write_text("")
        service.install("2.0")
        assert service.upgrade()["event"] == UPGRADED
        _send(before, "last@d.example")


def _fails_once_it_has_taken_over(package: Path) -> None:
    code = package / "service" / "supervisor.py"
    text = code.read_text()
    found = "        generation.start()\n        await generation.prepare(READY_SECONDS)\n        change.begin()\n"
    assert found in text
    code.write_text(text.replace(found, found + "        raise StartupError('no luck')\n"))


def test_when_new_workers_fail_after_all_the_old_ones_stay_in_force(service: Installed) -> None:
    service.start()
    assert service.process is not None
    old = service.workers_by_number()
    with service.client() as before:
        service.install("2.0", edit=_fails_once_it_has_taken_over)
        line = service.upgrade()
        assert (line["event"], line["error"]) == (IN_PART, "no luck")
        assert (service.health()["status"], service.health()["version"]) == ("ok", "2.0")
        assert service.versions() == dict.fromkeys(("smtp-0", "tracker-0", "collector-0"), "1.0")
        wait_until(lambda: service.workers_by_number() == old, "only the old workers are left")
        _send(before, "one@d.example")
        with service.client() as after:
            _send(after, "two@d.example")
        service.install("3.0")
        line = service.upgrade()
        assert (line["event"], line["former"]) == (UPGRADED, "2.0")
        assert service.health()["pid"] == service.process.pid
        _send(before, "three@d.example")
    wait_until(
        lambda: set(service.health()["workers"]) == {"smtp-1", "tracker-1", "collector-1"}, "the old workers have ended"
    )
    wait_until(lambda: service.metric("mailwake_messages_total") == 3, "all are counted")


def test_an_old_worker_that_dies_before_new_ones_serve_makes_the_supervisor_try_again(service: Installed) -> None:
    service.start()
    service.install("2.0", edit=_fails_once_it_has_taken_over)
    assert service.upgrade()["event"] == IN_PART
    os.kill(service.workers_by_number()["tracker-0"], signal.SIGKILL)
    wait_until(lambda: service.said("configuration not reloaded, the running one stays in force"), "it has tried")
    assert service.health()["status"] == "degraded"
    with service.client() as client:
        _send(client, "one@d.example")
    os.kill(service.workers_by_number()["smtp-0"], signal.SIGKILL)
    assert service.process is not None
    assert service.process.wait(PATIENCE) == 1  # nobody serves and nobody can be made to: systemd starts it anew


def test_signals_during_an_upgrade_are_obeyed_after_it_in_order(service: Installed) -> None:
    service.start()
    service.install("2.0")
    service.file.write_text("tracking_domain = 'new.example'")
    service.signal(signal.SIGUSR2)
    wait_until(lambda: service.said("upgrading"), "it has begun")
    service.signal(signal.SIGHUP)
    service.signal(signal.SIGHUP)
    wait_until(lambda: service.said(RELOADED), "the reload is logged")
    assert [line["event"] for line in service.said(UPGRADED, RELOADED)] == [UPGRADED, RELOADED]
    assert service.health()["version"] == "2.0"


def test_an_upgrade_that_is_asked_for_during_a_reload_follows_it(service: Installed) -> None:
    service.start()
    service.install("2.0")
    before = set(service.worker_pids())
    service.signal(signal.SIGHUP)
    wait_until(lambda: set(service.worker_pids()) - before, "the reload has begun")
    service.signal(signal.SIGUSR2)
    wait_until(lambda: service.said(UPGRADED), "the upgrade is logged")
    assert [line["event"] for line in service.said(UPGRADED, RELOADED)] == [RELOADED, UPGRADED]


def test_sigterm_in_the_middle_of_an_upgrade_ends_everything_in_order(service: Installed) -> None:
    service.start()
    service.install("2.0")
    with service.client() as client:
        _send(client, "one@d.example")
        service.signal(signal.SIGUSR2)
        wait_until(lambda: service.said("upgrading"), "it has begun")
        processes = service.worker_pids()
        assert service.stop() == 0
        assert client.getreply()[0] == 421
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes), "the workers are gone")
    assert "Traceback" not in service.log


def test_sigusr2_to_a_worker_is_none_of_its_business(service: Installed) -> None:
    service.start()
    with service.client() as client:
        for pid in service.worker_pids():
            os.kill(pid, signal.SIGUSR2)
        _send(client, "c@d.example")
    assert service.metric("mailwake_worker_restarts_total") == 0


def test_after_an_upgrade_the_data_directory_is_still_claimed(service: Installed) -> None:
    service.start()
    service.install("2.0")
    assert service.upgrade()["event"] == UPGRADED
    command = [sys.executable, "-m", "mailwake", "serve", "--demo", *service.addresses, "--data", str(service.data)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 1
    assert "is in use by another mailwake" in second.stderr
