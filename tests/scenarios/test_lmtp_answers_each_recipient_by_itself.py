"""LMTP at a real service, with Python's own client and with swaks: who was taken, who was not, and what is left."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE, Mailwake

pytestmark = pytest.mark.scenario
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def _start(start: Callable[..., Mailwake], directory: Path, next_hop: str, protocol: str = "lmtp") -> Mailwake:
    config = directory / "mailwake.toml"
    config.write_text(f'[esmtp_listener.listen."127.0.0.1:0"]\nprotocol = "{protocol}"\n')
    return start("--config", str(config), "--next-hop", next_hop, "--workers", "1")


def _lmtp(service: Mailwake) -> smtplib.LMTP:
    host, port = service._address(r"LMTP on ([\d.]+):(\d+)")
    return smtplib.LMTP(host, port, timeout=PATIENCE)


def _replies(client: smtplib.LMTP, recipients: list[str], content: bytes) -> list[bytes]:
    client.ehlo("client.example")  # the class says LHLO
    client.mail("news@sender.example")
    for each in recipients:
        assert client.rcpt(each)[0] == 250
    assert client.docmd("DATA")[0] == 354
    client.send(content + b".\r\n")
    return [b"%d %s" % client.getreply() for _ in recipients]


def test_each_recipient_is_answered(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    # A second mailwake is the next hop: it refuses one address, defers another and takes the rest.
    policy = tmp_path / "policy.py"
    policy.write_text(
        "from mailwake.policy import CONT, refuse\n"
        "def validate_rcptto(message, recipient, accept, context):\n"
        "    if recipient.startswith('never'):\n        return refuse(550, 'no such user')\n"
        "    return refuse(450, 'busy') if recipient.startswith('later') else CONT\n"
    )
    hop_directory = tmp_path / "hop"
    hop_directory.mkdir()
    hop_config = hop_directory / "mailwake.toml"
    hop_config.write_text(f'[[policy]]\nfile = "{policy}"\n')
    hop = Mailwake(hop_directory, "--demo", "--workers", "1", "--config", str(hop_config)).start()
    try:
        service = _start(start_mailwake, tmp_path, "{}:{}".format(*hop.smtp))
        with _lmtp(service) as client:
            replies = _replies(client, ["ok@a.example", "never@a.example", "later@a.example", "ok@a.example"], MESSAGE)
        assert [reply[:3] for reply in replies] == [b"250", b"550", b"450", b"250"]
        assert replies[0].startswith(b"250 2.0.0 OK ")
        assert b"(next hop: 250 2.0.0 OK " in replies[0]
        assert b"no such user" in replies[1]
        assert service.metric("mailwake_spool_entries_waiting") == 0
        assert sorted(event["type"] for event in service.events()) == ["delivery", "delivery", "injection", "injection"]
        assert len(list((hop.data / "maildir" / "new").iterdir())) == 2
    finally:
        hop.stop()


def test_swaks_speaks_lmtp_with_it(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    config = tmp_path / "mailwake.toml"
    config.write_text('[esmtp_listener.listen."127.0.0.1:0"]\nprotocol = "lmtp"\n')
    service = start_mailwake("--config", str(config), "--demo", "--workers", "1")
    host, port = service._address(r"LMTP on ([\d.]+):(\d+)")
    command = ["swaks", "--protocol", "LMTP", "--server", f"{host}:{port}", "--from", "a@b.example"]
    command += ["--to", "c@d.example,e@f.example", "--helo", "client.example"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        pytest.skip("SWAKS IS ABSENT: install Debian's swaks")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("250 2.0.0 OK ") == 2
    (first, second) = [path.read_bytes() for path in (service.data / "maildir" / "new").iterdir()]
    assert b" with LMTP id " in first
    assert b" with LMTP id " in second
