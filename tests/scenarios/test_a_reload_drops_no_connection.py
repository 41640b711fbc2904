"""SIGHUP: the file is read again, new workers take over, and no client of the old ones notices."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from benchmarks.kill_run import Load

from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.spool.contract import NewEntry
from mailwake.spool.sqlite_spool import SqliteSpool

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

ACCEPTED = "configuration reloaded"
REFUSED = "configuration not reloaded, the running one stays in force"
ENDED = "workers of a former configuration have ended"


def _message(number: str) -> bytes:
    return (
        f"Subject: {number}\r\n"
        'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'
        "Content-Type: text/html\r\n\r\n"
        '<html><body><a href="https://www.example.org/">x</a></body></html>\r\n'
    ).encode()


class Reloaded(Mailwake):
    """A service whose addresses, too, come from a file that can be written anew."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        self.file = directory / "mailwake.toml"

    def write(
        self,
        text: str,
        *,
        addresses: str = '[esmtp_listener.listen."127.0.0.1:0"]',
        tracker: str = "listen = ['127.0.0.1:0']",
    ) -> None:
        """Replace the file as editors and deployment tools do: in one step."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{text}\n[tracker]\n{tracker}\n{addresses}\n")
        new.rename(self.file)

    def start(self) -> Reloaded:
        command = [sys.executable, "-m", "mailwake", "serve", "--config", str(self.file)]
        command += ["--admin", "127.0.0.1:0", "--data", str(self.data), *self.arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        wait_until(lambda: any("data in" in line for line in self.output) or self.exited, "mailwake started")
        assert not self.exited, self.log
        return self

    def said(self, *events: str) -> list[dict[str, Any]]:
        """The log lines of these events so far."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] in events]

    def hang_up(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def reload(self) -> dict[str, Any]:
        """SIGHUP, and the line that says what came of it."""
        before = len(self.said(ACCEPTED, REFUSED))
        self.hang_up()
        wait_until(lambda: len(self.said(ACCEPTED, REFUSED)) > before, "the reload's outcome is logged")
        return self.said(ACCEPTED, REFUSED)[before]

    @property
    def healthy(self) -> bool:
        return self.get("/healthz", server="admin")[0] == 200


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Reloaded]:
    made = Reloaded(tmp_path, "--workers", "1")
    yield made
    if not made.exited:
        made.stop()


def _domains(sink: Sink) -> dict[str, str]:
    """Recipient → the host of the tracked link in its copy."""
    found = {}
    for recipient, content in sink.messages():
        link = re.search(rb'href="http://([^/]*)/f/', content)
        assert link, content
        found[recipient] = link[1].decode()
    return found


def _send(client: smtplib.SMTP, recipient: str) -> None:
    assert client.sendmail("a@b.example", [recipient], _message(recipient)) == {}


def test_a_connection_from_before_keeps_its_options_and_new_ones_get_the_new(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service.arguments = ("--workers", "1", "--next-hop", sink.address)
    service.write('tracking_domain = "old.example"')
    service.start()
    old_workers = set(service.worker_pids())
    with service.client() as before:
        _send(before, "first@d.example")
        service.write('tracking_domain = "new.example"')
        line = service.reload()
        assert (line["event"], line["level"], line["changed"]) == (ACCEPTED, "info", ["tracking_domain"])
        assert service.healthy
        with service.client() as after:
            for number in range(3):
                _send(before, f"old{number}@d.example")
                _send(after, f"new{number}@d.example")
        assert not service.said(ENDED)
    assert wait_until(lambda: service.said(ENDED), "the old workers end when their client has left")
    wait_until(lambda: not old_workers & set(service.worker_pids()), "their processes are gone")
    expected = {f"{age}{n}@d.example": f"{age}.example" for age in ("old", "new") for n in range(3)}
    assert _domains(sink) == expected | {"first@d.example": "old.example"}
    assert service.metric("mailwake_config_reloads_total") == 1
    assert service.metric("mailwake_worker_restarts_total") == 0
    assert service.metric("mailwake_smtp_connections_total") == 2


def test_what_a_file_no_longer_says_holds_no_longer(service: Reloaded) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("secret")
    service.arguments = ("--workers", "1", "--demo")
    closed = "[esmtp_listener]\nrelay_networks = []\n"
    service.write(f"tracking_domain = 'old.example'\n{closed}[accounts.shop]\npassword = '{hashed}'\n")
    service.start()
    with service.client() as before:
        before.login("shop", "secret")
        service.write(closed)
        line = service.reload()
        assert line["changed"] == ["tracking_domain", "accounts.shop"]
        with service.client() as after:
            after.ehlo()
            assert not after.has_extn("auth")
        _send(before, "c@d.example")
    assert hashed not in service.log


NEXT_HOP = "relay.next_hop = '127.0.0.1:1'"
REFUSALS = [
    ("", "", "no next hop"),
    (f"{NEXT_HOP}\nopen_trackin_enabled = true", "", "did you mean 'open_tracking_enabled'"),
    (f"{NEXT_HOP}\ntracking_domain = ", "", "not TOML"),
    (f"{NEXT_HOP}\nrelay.username = 'u'\nrelay.password_file = '/nonexistent/word'", "", "/nonexistent/word"),
    (f"{NEXT_HOP}\n[esmtp_listener]\ntls_certificate = '/nonexistent/cert'", "", "/nonexistent/cert"),
    (f"{NEXT_HOP}\nnode_id = 300", "", "node_id"),
    (f"{NEXT_HOP}\nnode_id = NEXT", "", "node_id: cannot change while mailwake runs"),
    (NEXT_HOP, "workers = 64", "at most 64 smtp and 63 tracker workers"),
    (NEXT_HOP, "workers = 63", "63 new tracker workers beside the running ones"),
    (NEXT_HOP, "listen = ['127.0.0.1:TAKEN']", "another program listens there"),
    (NEXT_HOP, "listen = ['0.0.0.0:OURS']", "mailwake itself listens on"),
    (NEXT_HOP, "listen = ['host.invalid:8080']", "cannot resolve"),
]


def test_an_invalid_file_leaves_the_running_configuration_in_force(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    good = f"tracking_domain = 'good.example'\nrelay.next_hop = '{sink.address}'"
    service.write(good)
    service.start()
    workers = service.worker_pids()
    node = int((service.data / "node_id").read_text())
    with service.client() as client, socket.create_server(("127.0.0.1", 0)) as taken:
        for count, (text, tracker, expected) in enumerate(REFUSALS, 1):
            text = text.replace("NEXT", str((node + 1) % 256))
            tracker = tracker.replace("OURS", str(service.tracker[1])).replace("TAKEN", str(taken.getsockname()[1]))
            listen = "" if "listen" in tracker else "listen = ['127.0.0.1:0']\n"
            service.write(f"tracking_domain = 'bad.example'\n{text}", tracker=listen + tracker)
            line = service.reload()
            assert (line["event"], line["level"]) == (REFUSED, "error"), text
            assert expected in line["error"], text
            assert "\n" not in line["error"]
            assert service.metric("mailwake_config_reloads_total") == count
            _send(client, f"before{count}@d.example")
        service.file.unlink()
        assert "cannot be read" in service.reload()["error"]
        assert service.healthy
        assert service.worker_pids() == workers
        with service.client() as after:
            _send(after, "after@d.example")
    assert set(_domains(sink).values()) == {"good.example"}
    service.write(good)
    line = service.reload()
    assert (line["event"], line["changed"]) == (ACCEPTED, [])


class Senders:
    """Clients that connect, send some messages, leave, and come again, until `stop()`; every mishap is kept."""

    def __init__(self, smtp: tuple[str, int], threads: int = 4) -> None:
        self.accepted: list[str] = []
        self.mishaps: list[str] = []
        self._smtp = smtp
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                with smtplib.SMTP(*self._smtp, timeout=PATIENCE) as client:
                    for _ in range(5):
                        count += 1
                        recipient = f"s{sender}m{count}@rcpt.example"
                        _send(client, recipient)
                        with self._lock:
                            self.accepted.append(recipient)
            except (smtplib.SMTPException, OSError) as error:
                with self._lock:
                    self.mishaps.append(f"{recipient}: {error!r}")


class HealthWatch:
    """Asks `/healthz` and the total of messages again and again."""

    def __init__(self, service: Mailwake) -> None:
        self.statuses: Counter[int] = Counter()
        self.totals: list[float] = []
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> HealthWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.statuses[self._service.get("/healthz", server="admin")[0]] += 1
            self.totals.append(self._service.metric("mailwake_messages_total"))
            time.sleep(0.02)


def _wait_for_more(growing: list[str], what: str) -> None:
    enough = len(growing) + 20
    wait_until(lambda: len(growing) >= enough, what)


def test_ten_reloads_under_load_lose_and_double_nothing_and_turn_nobody_away(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service.arguments = ("--next-hop", sink.address)
    service.write("workers = 2")
    service.start()
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())
    clicks = Load(service.smtp, service.tracker, codec, lambda number: b"", senders=0, clickers=4)
    senders = Senders(service.smtp)
    senders.start()
    clicks.start()
    try:
        with HealthWatch(service) as watch:
            for number in range(1, 11):
                service.write(f"tracking_domain = 'n{number}.example'\nworkers = {1 + number % 3}")
                assert service.reload()["event"] == ACCEPTED
                _wait_for_more(senders.accepted, "messages are accepted")
                _wait_for_more(clicks.ledger.redirected, "clicks are redirected")
    finally:
        senders.stop()
        clicks.stop()
    wait_until(lambda: len(service.said(ENDED)) == 10, "all former workers end")
    assert senders.mishaps == []
    assert (clicks.ledger.cut_off, clicks.wrong_answers) == (0, [])
    assert Counter(recipient for recipient, _ in sink.messages()) == Counter(senders.accepted)
    events = service.events()
    targets = Counter(event["target_link_url"] for event in events if event["type"] == "click")
    assert targets == Counter(clicks.ledger.redirected)
    assert len({event["event_id"] for event in events}) == len(events)
    assert set(_domains(sink).values()) >= {f"n{number}.example" for number in range(1, 11)}
    assert set(watch.statuses) == {200}
    assert watch.totals == sorted(watch.totals)
    assert service.metric("mailwake_messages_total") == len(senders.accepted)
    assert service.metric("mailwake_smtp_connections_open") == 0


def test_clients_of_several_former_configurations_are_served_until_a_fifth_one_comes(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service.arguments = ("--workers", "1", "--next-hop", sink.address)
    service.write("tracking_domain = 'n0.example'")
    service.start()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(service.client())]
        for number in range(1, 4):
            service.write(f"tracking_domain = 'n{number}.example'")
            assert service.reload()["event"] == ACCEPTED
            clients.append(stack.enter_context(service.client()))
        for number, client in enumerate(clients):
            _send(client, f"n{number}@d.example")
        assert _domains(sink) == {f"n{number}@d.example": f"n{number}.example" for number in range(4)}
        assert service.reload()["event"] == ACCEPTED
        assert clients[0].getreply()[0] == 421
        for number, client in enumerate(clients[1:], 1):
            _send(client, f"again{number}@d.example")


def test_a_second_sighup_during_a_reload_asks_for_another_one(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service.arguments = ("--workers", "1", "--next-hop", sink.address)
    service.write("tracking_domain = 'n0.example'")
    service.start()
    service.write("tracking_domain = 'n1.example'")
    _in_mid_reload(service)
    service.write("tracking_domain = 'n2.example'")
    service.hang_up()
    first, second = wait_until(lambda: len(found := service.said(ACCEPTED, REFUSED)) == 2 and found, "two reloads")
    assert (first["event"], first["changed"]) == (ACCEPTED, ["tracking_domain"])
    assert (second["event"], second["changed"]) == (ACCEPTED, ["tracking_domain"])
    with service.client() as client:
        _send(client, "c@d.example")
    assert _domains(sink) == {"c@d.example": "n2.example"}


def test_a_sighup_to_a_worker_is_none_of_its_business(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("")
    service.start()
    workers = service.worker_pids()
    with service.client() as client:
        for pid in workers:
            os.kill(pid, signal.SIGHUP)
        _send(client, "c@d.example")
    assert service.reload()["event"] == ACCEPTED
    assert service.metric("mailwake_worker_restarts_total") == 0


def _wait_for_a_message_in_hand(service: Reloaded) -> None:
    wait_until(lambda: service.metric("mailwake_links_tracked_total") == 1, "a message has come in")
    assert not service.said("message"), "it was finished too soon"


def test_the_drain_ends_with_421_between_messages_and_never_in_one(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink("-w", "8")  # so many seconds for its reply to DATA's end
    service.arguments = ("--workers", "1", "--next-hop", sink.address)
    service.write("")
    service.start()
    with service.client() as idle, service.client() as busy:
        idle.ehlo()
        busy.ehlo()
        busy.mail("a@b.example")
        busy.rcpt("c@d.example")
        busy.putcmd("data")
        assert busy.getreply()[0] == 354
        busy.send(_message("x") + b".\r\n")
        _wait_for_a_message_in_hand(service)
        service.write("reload_drain = 1")
        assert service.reload()["changed"] == ["reload_drain"]
        assert idle.getreply()[0] == 421
        assert busy.getreply()[0] == 250
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            assert busy.getreply()[0] == 421
    wait_until(lambda: service.said(ENDED), "the old workers end")


def test_addresses_come_and_go(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("")
    service.start()
    first = '[esmtp_listener.listen."127.0.0.1:0"]'
    service.write("", addresses=first + '\n[esmtp_listener.listen."127.0.0.2:0"]')
    line = service.reload()
    kept, added = line["smtp"]
    assert kept == "{}:{}".format(*service.smtp)
    assert added.startswith("127.0.0.2:")
    assert line["changed"] == [f'esmtp_listener.listen."{added}"']
    host, port = added.split(":")
    with smtplib.SMTP(host, int(port), timeout=PATIENCE) as client:
        _send(client, "before@d.example")
        service.write("", addresses=first)
        assert service.reload()["smtp"] == [kept]
        _send(client, "after@d.example")

        def refused() -> bool:
            try:
                smtplib.SMTP(host, int(port), timeout=PATIENCE).close()
            except ConnectionError:
                return True
            return False

        wait_until(refused, "nobody listens there any more")
        _send(client, "later@d.example")
    with service.client() as client:
        _send(client, "kept@d.example")


def test_a_trackers_address_that_is_gone_is_refused_and_the_other_stays(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("", tracker="listen = ['127.0.0.1:0', '127.0.0.2:0']")
    service.start()
    kept, gone = (
        re.search(rf"tracker on http://{ip}:(\d+)", "".join(service.output)) for ip in ("127.0.0.1", "127.0.0.2")
    )
    assert kept
    assert gone
    with contextlib.closing(http.client.HTTPConnection("127.0.0.2", int(gone[1]), timeout=PATIENCE)) as open_before:
        open_before.request("GET", "/robots.txt")
        assert open_before.getresponse().read()
        service.write("")
        assert service.reload()["tracker"] == [f"127.0.0.1:{kept[1]}"]

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.2", int(gone[1])), timeout=PATIENCE).close()
            except ConnectionError:
                return True
            return False

        wait_until(refused, "nobody listens there any more")
    assert service.get("/robots.txt")[0] == 200


def test_workers_that_cannot_get_ready_change_nothing(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("")
    service.start()
    workers = service.worker_pids()
    service.write("workers = 1\ntracking_domain = 'new.example'")
    with service.client() as before:
        with (service.data / "ids" / "1").open("wb") as taken:  # the slot of the next SMTP worker
            fcntl.flock(taken, fcntl.LOCK_EX)
            line = service.reload()
        assert line["event"] == REFUSED
        assert "worker smtp-1 ended with exit status 1 before it served" in line["error"]
        (reason,) = service.said("worker cannot serve")
        assert "another process makes ids with this slot" in reason["error"]
        assert service.healthy
        _send(before, "before@d.example")
        with service.client() as after:
            _send(after, "after@d.example")
        wait_until(lambda: service.worker_pids() == workers, "only the old workers are there")
        assert service.reload()["event"] == ACCEPTED  # the slot is free now
        _send(before, "still@d.example")
    assert service.metric("mailwake_config_reloads_total") == 2


def test_copies_from_the_spool_go_once_and_by_the_new_configuration_while_old_workers_drain(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    old, new = start_sink(), start_sink()
    service.write(f"relay.next_hop = '{old.address}'")
    service.start()
    with service.client() as before:
        service.write(f"relay.next_hop = '{new.address}'")
        assert service.reload()["changed"] == ["relay.next_hop"]
        spool = SqliteSpool(service.data / "spool.sqlite3")
        now = time.time()
        spool.put([_spooled(f"r{number}@d.example", now) for number in range(20)])
        wait_until(lambda: spool.count() == 0, "the spool is empty")
        spool.close()
        _send(before, "c@d.example")
    assert [recipient for recipient, _ in old.messages()] == ["c@d.example"]
    assert Counter(recipient for recipient, _ in new.messages()) == Counter(f"r{n}@d.example" for n in range(20))


def _spooled(recipient: str, now: float) -> NewEntry:
    return NewEntry(
        sender="a@b.example",
        recipient=recipient,
        content=b"Subject: x\r\n\r\nx\r\n",
        smtputf8=False,
        body="7BIT",
        transmission_id=1,
        message_id=recipient,
        first_reply="451 later",
        queued_at=now,
        next_attempt=now,
    )


def _in_mid_reload(service: Reloaded) -> set[int]:
    """SIGHUP; the processes as soon as new workers are among them that are not ready yet."""
    before = set(service.worker_pids())
    service.hang_up()
    return set(wait_until(lambda: (p := service.worker_pids()) and set(p) - before and p, "new workers are started"))


def test_sigterm_during_a_reload_ends_everything_in_order(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("")
    service.start()
    with service.client() as client:
        assert service.reload()["event"] == ACCEPTED
        _send(client, "c@d.example")
        processes = _in_mid_reload(service)
        assert len(processes) >= 4
        assert service.stop() == 0
        assert client.getreply()[0] == 421
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes), "the workers are gone")
    assert len(service.said(ACCEPTED)) <= 2
    assert "Traceback" not in service.log


def test_workers_of_all_generations_end_when_the_supervisor_is_killed_during_a_reload(service: Reloaded) -> None:
    service.arguments = ("--workers", "1", "--demo")
    service.write("")
    service.start()
    with service.client() as client:
        assert service.reload()["event"] == ACCEPTED
        processes = _in_mid_reload(service)
        assert len(processes) >= 4
        service.kill()
        assert client.getreply()[0] == 421
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes), "the workers are gone")
    assert "Traceback" not in service.log


def test_a_worker_of_the_new_configuration_that_dies_comes_back_with_it(
    service: Reloaded, start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service.arguments = ("--workers", "1", "--next-hop", sink.address)
    service.write("tracking_domain = 'old.example'")
    service.start()
    old = set(service.worker_pids())
    with service.client() as before:
        service.write("tracking_domain = 'new.example'")
        assert service.reload()["event"] == ACCEPTED
        new = set(service.worker_pids()) - old
        service.write("tracking_domain = 'never.example'")  # not reloaded
        for pid in new:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(service.worker_pids()) - old - new) == 3, "they are back")
        wait_until(lambda: service.healthy, "the service is healthy again")
        _send(before, "old@d.example")
        with service.client() as after:
            _send(after, "new@d.example")
    assert _domains(sink) == {"old@d.example": "old.example", "new@d.example": "new.example"}
