"""Every way to a next hop with the real service at both ends: TCP, a Unix socket, LMTP, TLS; many messages at once."""

from __future__ import annotations

import re
import smtplib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.listener.certificates import make_certificate

from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario

MESSAGES = 200
CLIENTS = 16


@pytest.fixture
def back_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "back"
    directory.mkdir()
    return directory


@pytest.fixture
def start_back(back_directory: Path) -> Iterator[Callable[..., Mailwake]]:
    started: list[Mailwake] = []

    def start(configuration: str, smtp: str = "127.0.0.1:0") -> Mailwake:
        file = back_directory / "mailwake.toml"
        file.write_text(configuration)
        service = Mailwake(back_directory, "--demo", "--workers", "1", "--config", str(file))
        service.addresses[1] = smtp
        started.append(service)
        return service.start()

    yield start
    for service in started:
        service.stop()


def _front(start: Callable[..., Mailwake], tmp_path: Path, relay: str) -> Mailwake:
    file = tmp_path / "front.toml"
    file.write_text(f"[relay]\nmax_connections = 2\n{relay}")
    return start("--config", str(file), "--workers", "1")


def _send_many(service: Mailwake) -> None:
    def send(client_number: int) -> None:
        with service.client() as client:
            for number in range(client_number, MESSAGES, CLIENTS):
                message = f"Subject: number {number}\r\n\r\n{number}\r\n.\r\n".encode()
                assert client.sendmail("a@sender.example", [f"r{number}@rcpt.example"], message) == {}

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, range(CLIENTS)))


def _stored(service: Mailwake) -> list[str]:
    return [file.read_bytes().decode() for file in (service.data / "maildir" / "new").iterdir()]


def _assert_each_arrived_once(back: Mailwake, with_protocol: str) -> None:
    stored = _stored(back)
    numbers: Counter[int] = Counter()
    for content in stored:
        found = re.search(r"\nSubject: number (\d+)\r?\n", content)
        assert found
        assert f"Delivered-To: r{found[1]}@rcpt.example" in content
        assert content.replace("\r", "").endswith(f"\n\n{found[1]}\n.\n")
        assert f" with {with_protocol}" in content
        numbers[int(found[1])] += 1
    assert numbers == Counter(range(MESSAGES))


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("by", ["tcp", "unix"])
def test_many_messages_arrive_once_each(
    start_mailwake: Callable[..., Mailwake],
    start_back: Callable[..., Mailwake],
    tmp_path: Path,
    protocol: str,
    by: str,
) -> None:
    address = "127.0.0.1:0" if by == "tcp" else f"unix:{tmp_path}/hop.sock"
    back = start_back(f'[esmtp_listener.listen."{address}"]\nprotocol = "{protocol}"\n', address)
    if by == "tcp":
        address = "{}:{}".format(*back._address(r"[SL]MTP on ([\d.]+):(\d+)"))
    front = _front(start_mailwake, tmp_path, f'next_hop = "{address}"\nprotocol = "{protocol}"\n')
    _send_many(front)
    _assert_each_arrived_once(back, "LMTP" if protocol == "lmtp" else "ESMTP")
    wait_until(lambda: front.metric("mailwake_relay_attempts_total") == MESSAGES, "all are counted")
    assert front.metric("mailwake_copies_resent_total") == 0
    assert front.metric("mailwake_relay_connections_open") == 2
    deliveries = [event for event in front.events() if event["type"] == "delivery"]
    assert len(deliveries) == MESSAGES
    assert {event["delv_method"] for event in deliveries} == {"lmtp" if protocol == "lmtp" else "esmtp"}
    assert {event.get("ip_address", "") for event in deliveries} == {"127.0.0.1" if by == "tcp" else ""}


def test_implicit_tls_with_certificates_at_both_ends(
    start_mailwake: Callable[..., Mailwake], start_back: Callable[..., Mailwake], tmp_path: Path, back_directory: Path
) -> None:
    make_certificate("localhost").write(back_directory)
    files = f'tls_certificate = "{back_directory}/certificate.pem"\ntls_key = "{back_directory}/key.pem"\n'
    back = start_back(f'[esmtp_listener]\n{files}[esmtp_listener.listen."127.0.0.1:0"]\ntls = "implicit"\n')
    address = "{}:{}".format(*back.smtp)
    relay = f'next_hop = "{address}"\ntls = "verify"\nimplicit_tls = true\n'
    authority = f'tls_ca_file = "{back_directory}/certificate.pem"\n'
    front = _front(start_mailwake, tmp_path, f'{relay}tls_name = "localhost"\n{authority}')
    _send_many(front)
    _assert_each_arrived_once(back, "ESMTPS")
    front.stop()
    other = _front(start_mailwake, tmp_path, f'{relay}tls_name = "mail.example.com"\n{authority}')
    with other.client() as client, pytest.raises(smtplib.SMTPDataError) as refusal:
        client.sendmail("a@sender.example", ["r@rcpt.example"], b"Subject: x\r\n\r\nx\r\n")
    assert refusal.value.smtp_code == 451
    assert "mismatch" in other.log
    assert len(_stored(back)) == MESSAGES


def test_a_message_too_large_for_the_next_hop_is_refused_before_it_is_sent(
    start_mailwake: Callable[..., Mailwake], start_back: Callable[..., Mailwake], tmp_path: Path
) -> None:
    back = start_back("[esmtp_listener]\nmax_message_size = 20000\n")
    front = _front(start_mailwake, tmp_path, 'next_hop = "{}:{}"\n'.format(*back.smtp))
    small, large = (b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * lines for lines in (10, 12_000))
    with front.client() as client:
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail("a@sender.example", ["r@rcpt.example"], large)
        assert (refusal.value.smtp_code, refusal.value.smtp_error[:5]) == (552, b"5.3.4")
        assert b"20000" in refusal.value.smtp_error
        client.sendmail("a@sender.example", ["r@rcpt.example"], small)
    assert len(_stored(back)) == 1
    wait_until(lambda: back.metric("mailwake_messages_total") == 1, "the only one that was sent is counted")
