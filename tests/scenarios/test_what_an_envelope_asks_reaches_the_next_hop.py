"""What senders ask of DSN and XVERP reaches the next hop, and binary mail stays as it is."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def _arguments(sink: Sink) -> list[tuple[str, str]]:
    """What followed MAIL FROM: and RCPT TO:, of each message."""
    found = []
    for path in sorted(sink.directory.iterdir()):
        mail, rcpt = (
            re.search(rb"^X-%s-Args: (.*)$" % name, path.read_bytes(), re.MULTILINE) for name in (b"Mail", b"Rcpt")
        )
        if mail and rcpt:
            found.append((mail[1].decode(), rcpt[1].decode()))
    return sorted(found, key=lambda each: each[1])


def test_dsn_and_verp_are_passed_on(start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--workers", "1")
    with service.client() as client:
        client.ehlo("client.example")
        assert client.has_extn("dsn")
        assert client.has_extn("xverp")
        assert client.mail("owner@sender.example", ["RET=HDRS", "ENVID=QQ+2B1", "XVERP"])[0] == 250
        assert client.rcpt("a@one.example", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;old+2Ba@one.example"])[0] == 250
        assert client.rcpt("b@two.example", ["NOTIFY=NEVER"])[0] == 250
        assert client.rcpt("c@three.example")[0] == 250
        code, text = client.data(MESSAGE)
        assert code == 250
        assert text.startswith(b"2.0.0 OK ")
        assert text.endswith(b" (3 of 3 copies taken)")
    wait_until(lambda: len(_arguments(sink)) == 3, "every copy is at the sink")
    named = ("a=one", "b=two", "c=three")
    for (mail, rcpt), name in zip(_arguments(sink), named, strict=True):
        assert mail.split()[0] == f"<owner+{name}.example@sender.example>"
        assert {"RET=HDRS", "ENVID=QQ+2B1"} <= set(mail.split())
        assert rcpt.split()[0] == f"<{name.replace('=', '@')}.example>"
    first, second, third = (rcpt.split()[1:] for _, rcpt in _arguments(sink))
    assert set(first) == {"NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;old+2Ba@one.example"}
    assert second == ["NOTIFY=NEVER"]
    assert third == []


def test_binary_mail_stays_as_it_is(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    hop_directory = tmp_path / "hop"
    hop_directory.mkdir()
    hop = Mailwake(hop_directory, "--demo", "--workers", "1").start()
    try:
        service = start_mailwake("--next-hop", "{}:{}".format(*hop.smtp), "--workers", "1")
        body = bytes(range(256)) + b"\n.\n\r.\r\n.\r\nQUIT\r\n"
        content = b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + body
        with service.client() as client:
            client.ehlo("client.example")
            client.mail("a@b.example", ["BODY=BINARYMIME"])
            client.rcpt("c@d.example")
            assert client.docmd("DATA")[0] == 503
            client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            assert client.getreply()[0] == 250
            assert client.noop()[0] == 250
        (delivered,) = (hop.data / "maildir" / "new").iterdir()
        assert delivered.read_bytes().endswith(content)
    finally:
        hop.stop()


def test_a_discarded_extension_is_gone(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    config = tmp_path / "mailwake.toml"
    config.write_text('[esmtp_listener]\nehlo_discard = ["CHUNKING", "DSN"]\n')
    service = start_mailwake("--demo", "--workers", "1", "--config", str(config))
    with smtplib.SMTP(*service.smtp, timeout=PATIENCE) as client:
        client.ehlo("client.example")
        assert not any(map(client.has_extn, ("chunking", "binarymime", "dsn")))
        assert client.mail("a@b.example", ["RET=FULL"])[0] == 555
        assert client.docmd("BDAT 0 LAST")[0] == 502
