"""TLS with the real service: implicit TLS for clients of port 465, and a certificate that is renewed under way."""

from __future__ import annotations

import signal
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from tests.listener.certificates import Made, make_certificate

from .conftest import PATIENCE, Mailwake, wait_until

ADDRESS = "127.0.0.1:0"


def _configure(tmp_path: Path, listener: str) -> Made:
    made = make_certificate("localhost")
    made.write(tmp_path)
    files = f'tls_certificate = "{tmp_path}/certificate.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    (tmp_path / "mailwake.toml").write_text(f"[esmtp_listener]\n{files}{listener}")
    return made


def _client(service: Mailwake, tmp_path: Path) -> smtplib.SMTP_SSL:
    context = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    return smtplib.SMTP_SSL("localhost", service.smtp[1], timeout=PATIENCE, context=context)


def _serial(client: smtplib.SMTP) -> int:
    assert isinstance(client.sock, ssl.SSLSocket)
    facts = client.sock.getpeercert()
    assert facts
    return int(str(facts["serialNumber"]), 16)


def test_mail_comes_in_by_implicit_tls(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    _configure(tmp_path, f'[esmtp_listener.listen."{ADDRESS}"]\ntls = "implicit"\n')
    service = start_mailwake("--demo", "--config", str(tmp_path / "mailwake.toml"))
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Hello", "a@sender.example", "r@rcpt.example"
    message.set_content("Hi")
    with _client(service, tmp_path) as client:
        client.send_message(message)
    (stored,) = (service.data / "maildir" / "new").iterdir()
    assert " with ESMTPS" in stored.read_text()


def test_a_reload_serves_the_renewed_certificate(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    first = _configure(tmp_path, f'[esmtp_listener.listen."{ADDRESS}"]\ntls = "implicit"\n')
    service = start_mailwake("--demo", "--config", str(tmp_path / "mailwake.toml"))
    assert service.process is not None
    with _client(service, tmp_path) as before:
        assert _serial(before) == first.certificate.serial_number
        renewed = make_certificate("localhost")
        renewed.write(tmp_path)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.metric("mailwake_config_reloads_total") == 1, "reloaded")
        with _client(service, tmp_path) as after:
            assert _serial(after) == renewed.certificate.serial_number
        assert before.noop()[0] == 250  # whoever was there stays


def test_a_renewed_certificate_that_is_none_changes_nothing(
    start_mailwake: Callable[..., Mailwake], tmp_path: Path
) -> None:
    first = _configure(tmp_path, f'[esmtp_listener.listen."{ADDRESS}"]\ntls = "implicit"\n')
    certificate = (tmp_path / "certificate.pem").read_bytes()
    service = start_mailwake("--demo", "--config", str(tmp_path / "mailwake.toml"))
    assert service.process is not None
    make_certificate("localhost").write(tmp_path, "other-")
    (tmp_path / "certificate.pem").write_bytes((tmp_path / "other-certificate.pem").read_bytes())
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "configuration not reloaded" in service.log, "refused")
    assert "is not that of the first certificate" in service.log
    (tmp_path / "certificate.pem").write_bytes(certificate)
    with _client(service, tmp_path) as client:
        assert _serial(client) == first.certificate.serial_number


def test_an_expired_certificate_is_said_at_the_start(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    _configure(tmp_path, "")
    expired = make_certificate("localhost", days=(-9, -2))
    expired.write(tmp_path)
    service = start_mailwake("--demo", "--config", str(tmp_path / "mailwake.toml"))
    assert f"has expired, on {expired.certificate.not_valid_after_utc:%Y-%m-%d}" in service.log
