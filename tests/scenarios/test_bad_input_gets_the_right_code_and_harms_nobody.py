"""Malformed, huge and hostile input at a real service: the right reply, no crash, nothing lost or sent twice."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import PATIENCE, Mailwake, wait_until

pytestmark = pytest.mark.scenario
TRACKED = b'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailwake]:
    started = Mailwake(tmp_path_factory.mktemp("service"), "--demo", "--workers", "1").start()
    yield started
    assert started.metric("mailwake_worker_restarts_total") == 0
    assert "Traceback" not in started.log
    assert started.stop() == 0


def _delivered(service: Mailwake) -> list[bytes]:
    directory = service.data / "maildir" / "new"
    return [path.read_bytes() for path in sorted(directory.iterdir())] if directory.exists() else []


def _only_new(service: Mailwake, before: list[bytes]) -> list[bytes]:
    return [content for content in _delivered(service) if content not in before]


def _send(service: Mailwake, content: bytes, recipients: int = 1) -> tuple[int, bytes]:
    with service.client() as client:
        client.ehlo("client.example")
        client.mail("news@sender.example")
        for number in range(recipients):
            client.rcpt(f"r{number}@rcpt.example")
        return client.data(content)


def _body(delivered: bytes) -> bytes:
    # Return-Path and Delivered-To of the maildir, and our Received field, stand before the message.
    return delivered.partition(b"+0000\r\n")[2]


ODD = {
    "no header at all": b"\r\njust text https://www.example.org/\r\n",
    "header only": b"Subject: x\r\n",
    "boundary absent from the parameter": b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\ntext\r\n--x--\r\n",
    "boundary never appears": b'Content-Type: multipart/mixed; boundary="zz"\r\n\r\nhttps://www.example.org/\r\n',
    "boundary never closed": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n",
    "8-bit garbage in the header": b"Subject: \xff\xfe\xe4\r\nX-\xe4: \x80\r\n\r\ntext\r\n",
    "NULs": b"Subject: a\x00b\r\n\r\nte\x00xt\r\n",
    "unknown charset": b"Content-Type: text/html; charset=x-klingon\r\n\r\n<a href='https://www.example.org/'>x</a>\r\n",
    "broken base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!! not base64 ====\r\n",
    "unknown encoding": b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-uue\r\n\r\n<a href=https://e.org/>\r\n",
    "signed": b'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n'
    b"<a href=https://www.example.org/>x</a>\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_what_cannot_be_understood_is_relayed_unchanged(service: Mailwake, content: bytes) -> None:
    before = _delivered(service)
    with_header = content if content.startswith(b"\r\n") else TRACKED + content
    assert _send(service, with_header)[0] == 250
    (delivered,) = _only_new(service, before)
    assert _body(delivered) == content


def test_messages_left_alone_are_counted(service: Mailwake) -> None:
    before = service.metric("mailwake_parts_unchanged_total")
    _send(service, TRACKED + ODD["unknown charset"])
    wait_until(lambda: service.metric("mailwake_parts_unchanged_total") > before, "the part is counted")


def test_thirty_megabytes_pass_and_more_is_refused(service: Mailwake) -> None:
    line = b"x" * 76 + b"\r\n"
    before = _delivered(service)
    fits = b"Subject: large\r\n\r\n" + line * ((30 << 20) // len(line) - 1)
    assert _send(service, fits)[0] == 250
    (delivered,) = _only_new(service, before)
    assert _body(delivered) == fits
    with pytest.raises(smtplib.SMTPSenderRefused) as refused, service.client() as client:
        client.sendmail("a@b.example", "c@d.example", fits + line * 1000)
    assert refused.value.smtp_code == 552
    code, _ = _send(service, fits + line * 1000)  # without SIZE= in MAIL: found out at the end
    assert code == 552


def test_only_so_many_recipients(service: Mailwake) -> None:
    with service.client() as client:
        client.ehlo("client.example")
        client.mail("news@sender.example")
        codes = [client.rcpt(f"r{number}@rcpt.example")[0] for number in range(1002)]
        assert codes == [250] * 1000 + [452, 452]
        client.rset()
        assert client.noop()[0] == 250


def test_ten_thousand_recipients_offered_at_once_are_answered_one_by_one(service: Mailwake) -> None:
    with socket.create_connection(service.smtp, timeout=PATIENCE) as connection:
        stream = connection.makefile("rwb")
        stream.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        stream.write(b"".join(b"RCPT TO:<r%d@c.example>\r\n" % n for n in range(10_000)) + b"QUIT\r\n")
        stream.flush()
        replies = [line for line in stream if line[3:4] == b" "]
    assert sum(line.startswith(b"250 2.1.5") for line in replies) == 1000
    assert sum(line.startswith(b"452 4.5.3") for line in replies) == 9000
    assert replies[-1].startswith(b"221")


def test_a_megabyte_of_header_in_one_line_is_refused_and_in_many_it_passes(service: Mailwake) -> None:
    code, text = _send(service, b"X-Long: " + b"y" * (1 << 20) + b"\r\n\r\ntext\r\n")
    assert (code, b"5.6.0" in text) == (550, True)
    before = _delivered(service)
    folded = b"X-Long: " + b"\r\n ".join([b"y" * 900] * 1100) + b"\r\n\r\ntext\r\n"
    assert _send(service, folded)[0] == 250
    (delivered,) = _only_new(service, before)
    assert _body(delivered) == folded


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r"])
def test_no_smuggled_second_message(service: Mailwake, end: bytes) -> None:
    before = _delivered(service)
    smuggled = (
        b"Subject: one\r\n\r\ntext" + end + b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\ntwo\r\n"
    )
    with socket.create_connection(service.smtp, timeout=PATIENCE) as connection:
        stream = connection.makefile("rwb")
        stream.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        stream.flush()
        assert [stream.readline()[:3] for _ in range(5)][-1] == b"354"
        stream.write(smuggled + b"\r\n.\r\nQUIT\r\n")
        stream.flush()
        assert stream.readline().startswith(b"550 5.6.11")
        assert stream.readline().startswith(b"221")
    assert _only_new(service, before) == []


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        (b"no json", "5.6.0 X-MSYS-API must be of type 'json object'"),
        (b'{"metadata" : []}', "5.6.0 X-MSYS-API 'metadata' must be of type 'json object'"),
        (b'{"tags" : "x"}', "5.6.0 X-MSYS-API 'tags' must be of type 'json array'"),
        (b'{"campaign_id" : 1}', "5.6.0 X-MSYS-API 'campaign_id' must be of type 'string'"),
        (b'{"campaign_id" : "' + b"x" * 65 + b'"}', "5.6.0 smtpapi_campaign_id context is limited to 64 bytes"),
        (b"[" * 60_000, "5.6.0 X-MSYS-API must be of type 'json object'"),
    ],
)
def test_headers_that_are_refused_reach_nobody(service: Mailwake, value: bytes, reply: str) -> None:
    before = _delivered(service)
    code, text = _send(service, b"X-MSYS-API: " + value + b"\r\n\r\ntext\r\n")
    assert (code, text.decode()) == (550, reply)
    assert _only_new(service, before) == []


def test_a_client_that_vanishes_in_mid_message_sends_nothing(service: Mailwake) -> None:
    before = _delivered(service)
    for cut in (b"EHLO x\r\nMA", b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: ha"):
        with socket.create_connection(service.smtp, timeout=PATIENCE) as connection:
            connection.recv(100)
            connection.sendall(cut)
            connection.recv(100)
    assert _send(service, b"Subject: after\r\n\r\ntext\r\n")[0] == 250
    assert len(_only_new(service, before)) == 1


def test_memory_stays_bounded(service: Mailwake) -> None:
    """After thirty megabytes and all the rest, a worker is still small."""
    pid = service.worker_pids()[0]
    status = Path(f"/proc/{pid}/status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    assert peak < 400 * 1024, f"{peak} KB"
