"""What operators do with a running service: AUTH, a next hop that is down, rotation of keys, stopping, watching."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

TRACKED = (
    b'Subject: x\r\nX-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'
    b'Content-Type: text/html\r\n\r\n<html><body><a href="https://www.example.org/">x</a></body></html>\r\n'
)


def _mailwake(*arguments: str) -> str:
    command = [sys.executable, "-m", "mailwake", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def _click_path(content: bytes) -> str:
    found = re.search(rb"https?://[^/\"]*(/f/[^\"]*)\"", content)
    assert found, content
    return found[1].decode()


def _inbox(service: Mailwake) -> list[bytes]:
    return [path.read_bytes() for path in sorted((service.data / "maildir" / "new").iterdir())]


def test_without_auth_nothing_is_relayed_and_the_account_names_the_customer(
    start_mailwake: Callable[..., Mailwake], tmp_path: Path
) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("secret")
    configuration = tmp_path / "mailwake.toml"
    configuration.write_text(
        f"[esmtp_listener]\nrelay_networks = []\n[accounts.shop]\npassword = '{hashed}'\ncustomer_id = 'customer-42'\n"
    )
    service = start_mailwake("--demo", "--workers", "1", "--config", str(configuration))
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        service.send("a@b.example", ["c@d.example"], TRACKED)
    assert refused.value.recipients["c@d.example"][0] == 550
    assert refused.value.recipients["c@d.example"][1].startswith(b"5.7.1")
    with service.client() as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("shop", "wrong")
        client.login("shop", "secret")
        assert client.sendmail("a@b.example", ["c@d.example"], TRACKED) == {}
    assert {event["customer_id"] for event in service.events()} == {"customer-42"}


def test_starttls_with_a_certificate_from_files(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("OPENSSL IS ABSENT: install it to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command = ["openssl", "req", "-x509", *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    files = ("--set", f"esmtp_listener.tls_certificate={certificate}", "--set", f"esmtp_listener.tls_key={key}")
    service = start_mailwake("--demo", "--workers", "1", *files)
    with service.client() as client:
        assert client.starttls()[0] == 220
        assert client.sendmail("a@b.example", ["c@d.example"], TRACKED) == {}
    (copy,) = _inbox(service)
    assert b"with ESMTPS id" in copy


def test_a_next_hop_that_is_down_is_said_at_start_and_mail_flows_once_it_is_up(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    sink.stop()
    service = start_mailwake("--next-hop", sink.address, "--workers", "1")
    assert any("does not answer yet" in line for line in service.output)
    with pytest.raises(smtplib.SMTPDataError) as deferred:
        service.send("a@b.example", ["c@d.example"], TRACKED)
    assert deferred.value.smtp_code == 451
    assert "4.4.1" in str(deferred.value.smtp_error)
    assert service.events() == []
    sink.start()
    assert service.send("a@b.example", ["c@d.example"], TRACKED) == {}
    wait_until(lambda: len(sink.messages()) == 1, "the message is at the sink")


def test_the_hops_refusal_is_passed_on(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink("-f", "RCPT")
    service = start_mailwake("--next-hop", sink.address, "--workers", "1")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        service.send("a@b.example", ["c@d.example"], TRACKED)
    assert 500 <= refused.value.smtp_code <= 599
    assert service.events() == []


def test_keys_are_rotated_while_mail_and_clicks_go_on(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--demo", "--workers", "1")
    service.send("a@b.example", ["c@d.example"], TRACKED)
    old = _click_path(_inbox(service)[0])
    assert "2" in _mailwake("keys", "rotate", "--data", str(service.data))

    def key_of_new_mail() -> bool:
        service.send("a@b.example", ["new@d.example"], TRACKED)
        newest = next(copy for copy in reversed(_inbox(service)) if b"new@d.example" in copy)
        decoded = _mailwake("link", "decode", "--json", "--data", str(service.data), f"http://x{_click_path(newest)}")
        assert json.loads(decoded)["rcpt_to"] == "new@d.example"
        # A token begins with its header and key id: the second and third characters hold the id.
        return _click_path(newest).rsplit("/", 1)[1][1:3] != old.rsplit("/", 1)[1][1:3]

    wait_until(key_of_new_mail, "new links are made with the new key")
    new = _click_path(_inbox(service)[-1])
    for path in (old, new):
        assert service.get(path)[:1] == (302,)


def test_a_stop_finishes_the_message_in_hand(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink("-w", "2")  # two seconds for each reply to DATA's end
    service = start_mailwake("--next-hop", sink.address, "--workers", "1")
    with service.client() as client:
        client.ehlo("x")
        client.mail("a@b.example")
        client.rcpt("c@d.example")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(TRACKED + b".\r\n")
        wait_until(lambda: len(sink.messages()) == 1, "the sink has the message and holds its reply")
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert client.getreply()[0] == 250
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            assert client.getreply()[0] == 421
    assert service.process.wait(PATIENCE) == 0
    assert [event["type"] for event in service.events()] == ["injection", "delivery"]


def test_workers_end_by_themselves_when_the_supervisor_is_killed(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--demo", "--workers", "1")
    workers = service.worker_pids()
    assert len(workers) == 3
    service.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the workers are gone")


def test_events_are_followed_while_the_service_runs(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--demo", "--workers", "1")
    service.send("a@b.example", ["c@d.example"], TRACKED)
    command = [sys.executable, "-m", "mailwake", "events", "tail", "--follow", "--json", "--data", str(service.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        kinds = [next(iter(json.loads(tail.stdout.readline())["msys"].values()))["type"] for _ in range(2)]
        assert kinds == ["injection", "delivery"]
        assert service.get(_click_path(_inbox(service)[0]))[0] == 302
        (event,) = json.loads(tail.stdout.readline())["msys"].values()
        assert (event["type"], event["target_link_url"]) == ("click", "https://www.example.org/")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 0


def test_swaks_and_curl_as_a_person_uses_them(start_mailwake: Callable[..., Mailwake]) -> None:
    for program in ("swaks", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program.upper()} IS ABSENT: install Debian's package {program}")
    service = start_mailwake("--demo", "--workers", "1")
    host, port = service.smtp
    body = "See https://www.example.org/swaks?a=1 there"
    command = ["swaks", "--server", f"{host}:{port}", "--from", "a@b.example", "--to", "c@d.example", "--body", body]
    header = ["--add-header", 'X-MSYS-API: {"options" : {"click_tracking" : true}}']
    subprocess.run([*command, *header], check=True, capture_output=True, timeout=PATIENCE)
    (copy,) = _inbox(service)
    found = re.search(rb"http://localhost:8080(/f/\S*)", copy)
    assert found, copy
    url = "http://{}:{}{}".format(*service.tracker, found[1].decode())
    answer = subprocess.run(["curl", "-si", url], check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
    assert answer.startswith("HTTP/1.1 302")
    assert "location: https://www.example.org/swaks?a=1\n" in answer.lower().replace("\r", "")
