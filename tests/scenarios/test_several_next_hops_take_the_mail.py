"""Several next hops: one is killed under load and comes back, a reload changes them, customers have their own."""

from __future__ import annotations

import base64
import json
import re
import signal
import smtplib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

StartMailwake = Callable[..., Mailwake]
StartSink = Callable[..., Sink]
RELOADED = "configuration reloaded"


def _message(number: int) -> bytes:
    return f"From: a@a.example\r\nSubject: {number}\r\n\r\nhello\r\n".encode()


class Senders:
    """Clients that send numbered messages until told to stop, each again until it has its 250, as mail servers do."""

    def __init__(self, service: Mailwake, number: int) -> None:
        self.accepted: list[int] = []
        self.refused: list[str] = []
        self.deferred: list[str] = []
        self._service = service
        self._next = iter(range(1_000_000))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with self._service.client() as client:
            while not self._stop.is_set():
                with self._lock:
                    number = next(self._next)
                while not self._sent(client, number):
                    pass

    def _sent(self, client: smtplib.SMTP, number: int) -> bool:
        try:
            client.sendmail("a@a.example", [f"r{number}@b.example"], _message(number))
        except smtplib.SMTPDataError as error:
            told = self.refused if error.smtp_code >= 500 else self.deferred
            told.append(str(error))
            return error.smtp_code >= 500
        self.accepted.append(number)
        return True

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def _outcomes(service: Mailwake) -> dict[str, float]:
    text = service.get("/metrics", server="admin")[2].decode()
    found = re.findall(r'^mailwake_copies_total\{outcome="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {outcome: float(count) for outcome, count in found if float(count)}


def _recipients(sink: Sink) -> list[str]:
    return [recipient for recipient, _ in sink.messages()]


def test_a_next_hop_is_killed_under_load_and_comes_back(
    start_mailwake: StartMailwake, start_sink: StartSink, tmp_path: Path
) -> None:
    first, second = start_sink(), start_sink()
    config = tmp_path / "mailwake.toml"
    config.write_text(f'[[relay.hop]]\naddress = "{first.address}"\n[[relay.hop]]\naddress = "{second.address}"\n')
    service = start_mailwake("--config", str(config), "--workers", "1")
    assert f"mailwake: next hop {first.address}, priority 10, weight 1\n" in service.output
    assert f"mailwake: next hop {second.address}, priority 10, weight 1\n" in service.output
    senders = Senders(service, 6)
    try:
        wait_until(lambda: len(senders.accepted) > 60, "mail flows")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(PATIENCE)
        killed = len(senders.accepted)
        wait_until(lambda: len(senders.accepted) > killed + 150, "the other one takes it all")
        down = [line for line in _lines(service) if line["event"] == "next hop cannot be used"]
        assert {line["next_hop"] for line in down} == {first.address}
        before = set(_recipients(first))
        assert len(before) > 20
        first.start()
        wait_until(lambda: set(_recipients(first)) - before, "it gets mail again")
    finally:
        senders.stop()
    assert senders.refused == []
    # Only what the killed one may have taken is the sender's to repeat; everything else nobody noticed.
    copies = len(senders.accepted) + len(senders.deferred)
    wait_until(lambda: service.metric("mailwake_copies_total") == copies, "all is counted")
    uncertain = len(senders.deferred)
    assert _outcomes(service) == {"delivered": len(senders.accepted), **({"uncertain": uncertain} if uncertain else {})}
    assert uncertain <= 6
    assert all("4.4.2" in said for said in senders.deferred)
    taken = _recipients(first) + _recipients(second)
    assert set(taken) == {f"r{number}@b.example" for number in senders.accepted}
    assert len(taken) - len(set(taken)) <= uncertain
    assert service.metric("mailwake_relay_failovers_total") >= 1


def test_a_reload_changes_the_next_hops(start_mailwake: StartMailwake, start_sink: StartSink, tmp_path: Path) -> None:
    old, new, bulk = start_sink(), start_sink(), start_sink()
    config = tmp_path / "mailwake.toml"
    config.write_text(f'[relay]\nnext_hop = "{old.address}"\n')
    service = start_mailwake("--config", str(config), "--workers", "1")
    service.send("a@a.example", ["before@b.example"], _message(1))
    config.write_text(
        f'[[relay.hop]]\naddress = "{new.address}"\n[relays.bulk]\nnext_hop = "{bulk.address}"\n'
        '[esmtp_listener.peer."127.0.0.1"]\npathway = "news"\n[pathway.news]\n'
    )
    _reload(service, 1)
    service.send("a@a.example", ["after@b.example"], _message(2))
    config.write_text(config.read_text().replace("[pathway.news]", '[pathway.news]\nrelay = "bulk"'))
    _reload(service, 2)
    service.send("a@a.example", ["news@b.example"], _message(3))
    assert [_recipients(sink) for sink in (old, new, bulk)] == [
        ["before@b.example"],
        ["after@b.example"],
        ["news@b.example"],
    ]
    config.write_text(config.read_text().replace('relay = "bulk"', 'relay = "bluk"'))
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "there is no [relays.bluk]; did you mean 'bulk'?" in service.log, "the reload is refused")


def _reload(service: Mailwake, times: int) -> None:
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sum(line["event"] == RELOADED for line in _lines(service)) == times, "reloaded")


POLICY = """
from mailwake.policy import CONT

def validate_data_spool_each_rcpt(message, accept, context):
    if message.routing_domain == "slow.example":
        context.set("pathway", "slow")
    if message.routing_domain == "fast.example":
        context.set("mailwake_relay", "fast")
    return CONT
"""


def test_customers_by_auth_and_recipients_by_policy_take_their_own_routes(
    start_mailwake: StartMailwake, start_sink: StartSink, tmp_path: Path
) -> None:
    default, shop, slow, fast = (start_sink() for _ in range(4))
    hashed = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("secret")
    (tmp_path / "routes.py").write_text(POLICY)
    config = tmp_path / "mailwake.toml"
    config.write_text(
        f'[relay]\nnext_hop = "{default.address}"\n[relays.shop]\nnext_hop = "{shop.address}"\n'
        f'[relays.slow]\nnext_hop = "{slow.address}"\n[relays.fast]\nnext_hop = "{fast.address}"\n'
        f'[pathway.slow]\nrelay = "slow"\n[customers."42"]\nrelay = "shop"\n'
        f'[accounts.shop]\npassword = "{hashed}"\ncustomer_id = "42"\n'
        f'[[policy]]\nfile = "{tmp_path}/routes.py"\n'
    )
    service = start_mailwake("--config", str(config), "--workers", "1")
    everybody = ["a@b.example", "a@slow.example", "a@fast.example"]
    service.send("a@a.example", everybody, _message(1))
    with service.client() as client:
        client.ehlo()
        plain = base64.b64encode(b"\0shop\0secret").decode()
        assert client.docmd("AUTH", f"PLAIN {plain}")[0] == 235
        client.sendmail("a@a.example", everybody, _message(2))
    assert _recipients(default) == ["a@b.example"]
    assert _recipients(shop) == ["a@b.example"]
    assert _recipients(slow) == ["a@slow.example"] * 2
    assert _recipients(fast) == ["a@fast.example"] * 2
    wait_until(lambda: service.metric("mailwake_relay_next_hop_up") == 4, "all hops of all routes are up")


def _lines(service: Mailwake) -> list[dict[str, str]]:
    return [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
