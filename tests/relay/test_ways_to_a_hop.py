"""The ways to a next hop beside plain SMTP over TCP: LMTP, Unix sockets, TLS from the first octet, certificates."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailwake.errors import StartupError
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.opening import probe
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings
from mailwake.relay.tls import client_context
from mailwake.smtp.dsn import DsnRequest

if TYPE_CHECKING:
    from mailwake.logs import Logger

CONTENT = b"Subject: x\r\n\r\n.hello\r\n"
ASKED = DsnRequest("SUCCESS,DELAY", "rfc822;B+2Bx@b.example", "HDRS", "QQ314159")
Hop = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode
Settings = Callable[..., RelaySettings]


async def _deliver(settings: RelaySettings, log: Logger, *copies: Copy) -> list[Outcome]:
    host = SmartHost(settings, log=log)
    try:
        return [await host.deliver(copy) for copy in copies or (_copy(),)]
    finally:
        await host.close()


def _copy(**values: Any) -> Copy:
    return Copy("a@a.example", "b@b.example", (CONTENT[:12], CONTENT[12:]), **values)


@pytest.fixture
async def second_hop(hop: Hop) -> AsyncIterator[Hop]:
    """One that the test starts itself, in its own way."""
    other = type(hop)(hop._certificate)
    yield other
    if other._server is not None:
        await other.stop()


# LMTP


@pytest.fixture(params=["", "PIPELINING", "PIPELINING CHUNKING", "CHUNKING"])
def lmtp(request: pytest.FixtureRequest, hop: Hop, settings_for: Settings) -> RelaySettings:
    hop.extensions = request.param.split()
    return settings_for(protocol="lmtp")


async def test_lmtp_says_lhlo_and_delivers(hop: Hop, lmtp: RelaySettings, log: Logger) -> None:
    (outcome,) = await _deliver(lmtp, log)
    assert (outcome.status, outcome.protocol, outcome.stage) == (Status.DELIVERED, "lmtp", "content")
    assert hop.messages == [("a@a.example", "b@b.example", CONTENT)]
    assert hop.commands[0] == "LHLO me.example"


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "CONTENT"])
async def test_lmtp_refusals_keep_the_connection_in_step(
    hop: Hop, lmtp: RelaySettings, log: Logger, stage: str
) -> None:
    # LMTP has no reply to content when RCPT was refused; the scripted hop would answer BDAT, so it must not come.
    hop.script[stage] = [b"450 4.2.1 no\r\n"]
    refused, delivered = await _deliver(lmtp, log, _copy(), _copy())
    assert (str(refused.reply), refused.stage) == ("450 4.2.1 no", stage.lower())
    assert delivered.status is Status.DELIVERED
    assert hop.stages["GREETING"] == 1
    assert len(hop.messages) == 1
    assert hop.stages["CONTENT"] == (2 if stage == "CONTENT" else 1)


async def test_lmtp_that_takes_data_without_a_recipient_is_out_of_step(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.script = {"RCPT": [b"550 5.1.1 who\r\n"], "DATA": [b"354 go on then\r\n"]}
    refused, delivered = await _deliver(settings_for(protocol="lmtp"), log, _copy(), _copy())
    assert (str(refused.reply), refused.stage) == ("550 5.1.1 who", "rcpt")
    assert delivered.status is Status.DELIVERED
    assert hop.stages["GREETING"] == 2


async def test_lmtp_takes_binary_mail_by_bdat(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.extensions = ["PIPELINING", "CHUNKING", "BINARYMIME"]
    (outcome,) = await _deliver(settings_for(protocol="lmtp"), log, _copy(body="BINARYMIME"))
    assert outcome.status is Status.DELIVERED
    assert "MAIL FROM:<a@a.example> BODY=BINARYMIME" in hop.commands
    assert hop.stages["DATA"] == 0


async def test_an_smtp_server_that_knows_no_lhlo_is_named(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.always["LHLO"] = b"502 5.5.1 use EHLO\r\n"
    (outcome,) = await _deliver(settings_for(protocol="lmtp"), log)
    assert outcome.reason == "LHLO answered with 502 5.5.1 use EHLO"


# Unix sockets


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_unix_socket(second_hop: Hop, tmp_path: Path, log: Logger, protocol: Any) -> None:
    path = str(tmp_path / "socket")
    await second_hop.start_on_path(path)
    second_hop.always["STARTTLS"] = b"220 go\r\n"  # offered, and not wanted: nobody stands in that path
    (outcome,) = await _deliver(RelaySettings("", unix_path=path, protocol=protocol), log)
    assert outcome == Outcome(
        Status.DELIVERED, outcome.reply, f"unix:{path}", "content", protocol=protocol, dsn_passed=True
    )
    assert second_hop.stages["STARTTLS"] == 0
    assert len(second_hop.messages) == 1


@pytest.mark.parametrize("changes", [{"tls": "must"}, {"tls": "verify", "tls_name": "mail.b.example"}])
async def test_a_unix_socket_with_starttls_all_the_same(
    second_hop: Hop, tmp_path: Path, log: Logger, changes: Any, certificate: Any
) -> None:
    path = str(tmp_path / "socket")
    await second_hop.start_on_path(path)
    second_hop.always["STARTTLS"] = b"220 go\r\n"
    (outcome,) = await _deliver(RelaySettings("", unix_path=path, ca_file=str(certificate[0]), **changes), log)
    assert outcome.status is Status.DELIVERED
    assert second_hop.stages["STARTTLS"] == 1


async def test_a_unix_socket_that_is_not_there(tmp_path: Path, log: Logger) -> None:
    path = str(tmp_path / "nobody")
    (outcome,) = await _deliver(RelaySettings("", unix_path=path), log)
    assert outcome.status is Status.UNREACHABLE
    assert str(outcome.reply) == f"451 4.4.1 Next hop unix:{path} cannot be reached"
    assert "cannot connect" in outcome.reason
    problem = await probe(RelaySettings("", unix_path=path))
    assert problem is not None
    assert problem.startswith(f"next hop unix:{path}: cannot connect")


# TLS from the first octet


@pytest.mark.parametrize("tls", ["may", "must", "verify"])
async def test_implicit_tls(second_hop: Hop, settings_for: Settings, log: Logger, tls: str, certificate: Any) -> None:
    await second_hop.start(tls=True)
    second_hop.always["STARTTLS"] = b"220 never asked for\r\n"
    settings = settings_for(port=second_hop.port, implicit_tls=True, tls=tls, ca_file=str(certificate[0]))
    (outcome,) = await _deliver(settings, log)
    assert outcome.status is Status.DELIVERED
    assert second_hop.commands[0] == "EHLO me.example"
    assert second_hop.stages["STARTTLS"] == 0


async def test_implicit_tls_over_a_unix_socket(second_hop: Hop, tmp_path: Path, log: Logger) -> None:
    path = str(tmp_path / "socket")
    await second_hop.start_on_path(path, tls=True)
    (outcome,) = await _deliver(RelaySettings("", unix_path=path, implicit_tls=True), log)
    assert outcome.status is Status.DELIVERED


@pytest.mark.parametrize("tls", ["may", "must", "verify"])
async def test_implicit_tls_to_a_hop_without_it_never_falls_back(
    hop: Hop, settings_for: Settings, log: Logger, tls: str
) -> None:
    (outcome,) = await _deliver(settings_for(implicit_tls=True, tls=tls, command_timeout=5), log)
    assert outcome.status is Status.UNREACHABLE
    assert "the next hop answered in the clear" in outcome.reason
    assert hop.commands == []


async def test_implicit_tls_refuses_a_stranger(second_hop: Hop, settings_for: Settings, log: Logger) -> None:
    await second_hop.start(tls=True)
    (outcome,) = await _deliver(settings_for(port=second_hop.port, implicit_tls=True, tls="verify"), log)
    assert outcome.status is Status.UNREACHABLE
    assert "TLS handshake failed" in outcome.reason
    assert second_hop.messages == []


# Names and certificates


@pytest.mark.parametrize(("name", "status"), [("mail.b.example", Status.DELIVERED), ("x.example", Status.UNREACHABLE)])
async def test_the_name_that_the_certificate_must_hold(
    hop: Hop, settings_for: Settings, log: Logger, certificate: Any, name: str, status: Status
) -> None:
    hop.always["STARTTLS"] = b"220 go\r\n"
    (outcome,) = await _deliver(settings_for(tls="verify", tls_name=name, ca_file=str(certificate[0])), log)
    assert outcome.status is status
    assert ("Hostname mismatch" in outcome.reason) == (status is Status.UNREACHABLE)


async def test_a_certificate_of_our_own(hop: Hop, settings_for: Settings, log: Logger, certificate: Any) -> None:
    hop.always["STARTTLS"] = b"220 go\r\n"
    hop.client_authority = certificate[0]
    shown = {"tls_certificate": str(certificate[0]), "tls_key": str(certificate[1])}
    (outcome,) = await _deliver(settings_for(tls="must", **shown), log)
    assert outcome.status is Status.DELIVERED
    (outcome,) = await _deliver(settings_for(tls="must"), log)
    assert outcome.status is Status.UNREACHABLE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"implicit_tls": True, "tls": "none"}, "contradict"),
        ({"unix_path": "/s", "tls": "verify"}, "set tls_name"),
        ({"tls_key": "k.pem"}, "tls_key without tls_certificate"),
        ({"tls_certificate": "/nonexistent.pem"}, "cannot use /nonexistent.pem"),
    ],
)
def test_settings_that_cannot_work_are_said_at_the_start(changes: Any, words: str) -> None:
    with pytest.raises(StartupError, match=words):
        client_context(RelaySettings("hop.example", **changes))


def test_a_key_with_a_password_does_not_ask_the_terminal(certificate: Any, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certificate[1].read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(StartupError, match="has a password"):
        client_context(RelaySettings("hop.example", tls_certificate=str(certificate[0]), tls_key=str(locked)))


def _names(context: ssl.SSLContext | None) -> set[str]:
    assert context is not None
    return {str(cipher["name"]) for cipher in context.get_ciphers()}


def test_old_ciphers_only_where_the_alternative_is_clear_text() -> None:
    modern = _names(client_context(RelaySettings("h", tls="must")))
    assert modern == _names(client_context(RelaySettings("h", tls="may", implicit_tls=True)))
    assert all(name.startswith(("TLS_", "ECDHE-", "DHE-")) for name in modern)
    assert not any(name.endswith(("-SHA", "CBC-SHA256")) for name in modern)
    any_cipher = _names(client_context(RelaySettings("h", tls="may")))
    assert modern < any_cipher
    assert "AES128-SHA" in any_cipher


# What is said of content and reports


@pytest.mark.parametrize("chunking", [True, False])
async def test_dsn_is_passed_to_a_hop_that_offers_it(
    hop: Hop, settings_for: Settings, log: Logger, chunking: bool
) -> None:
    hop.extensions = ["PIPELINING", "DSN", *["CHUNKING"] * chunking]
    asked, nothing = await _deliver(settings_for(), log, _copy(dsn=ASKED), _copy())
    assert asked.dsn_passed
    assert nothing.dsn_passed
    commands = [line for line in hop.commands if line.startswith(("MAIL", "RCPT"))]
    assert commands == [
        "MAIL FROM:<a@a.example> RET=HDRS ENVID=QQ314159",
        "RCPT TO:<b@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B+2Bx@b.example",
        "MAIL FROM:<a@a.example>",
        "RCPT TO:<b@b.example>",
    ]


async def test_dsn_is_left_to_us_by_a_hop_without_it(hop: Hop, settings_for: Settings, log: Logger) -> None:
    asked, nothing = await _deliver(settings_for(), log, _copy(dsn=ASKED), _copy())
    assert (asked.status, asked.dsn_passed) == (Status.DELIVERED, False)
    assert nothing.dsn_passed
    assert not any("NOTIFY" in line or "RET=" in line for line in hop.commands)


async def test_binary_mail_goes_by_bdat_where_it_is_offered(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.extensions = ["PIPELINING", "CHUNKING", "BINARYMIME"]
    content = b"S: x\r\n\r\n\r.\n.\r\n\n"
    copy = Copy("a@a.example", "b@b.example", (content,), body="BINARYMIME")
    (outcome,) = await _deliver(settings_for(), log, copy)
    assert outcome.status is Status.DELIVERED
    assert "MAIL FROM:<a@a.example> BODY=BINARYMIME" in hop.commands
    assert hop.messages[0][2] == content


@pytest.mark.parametrize(
    ("extensions", "chunking"),
    [(["CHUNKING"], True), (["BINARYMIME"], True), (["CHUNKING", "BINARYMIME"], False)],
)
async def test_binary_mail_never_goes_as_it_is_to_a_hop_without_it(
    hop: Hop, settings_for: Settings, log: Logger, extensions: list[str], chunking: bool
) -> None:
    hop.extensions = ["PIPELINING", *extensions]
    refusing = settings_for(chunking=chunking, without_8bitmime="refuse")
    refused, delivered = await _deliver(refusing, log, _copy(body="BINARYMIME"), _copy())
    assert (refused.status, str(refused.reply)[:9]) == (Status.REFUSED, "550 5.6.3")
    assert delivered.status is Status.DELIVERED
    assert hop.stages["MAIL"] == 1


@pytest.mark.parametrize(
    "answer", [b"421 4.7.0 too many from you\r\n", b"450 4.3.2 later\r\n", b"554-5.7.1 on a\r\n554 5.7.1 list\r\n"]
)
async def test_the_reply_of_a_hop_that_does_not_welcome_reaches_the_sender(
    hop: Hop, settings_for: Settings, log: Logger, answer: bytes
) -> None:
    hop.always["GREETING"] = answer
    (outcome,) = await _deliver(settings_for(), log)
    said = " ".join(answer.decode().replace("554-", "554 ").split("\r\n")).strip()
    said = "554 5.7.1 on a list" if "554" in said else said
    assert outcome.status is Status.UNREACHABLE
    assert str(outcome.reply) == f"451 4.4.1 Next hop 127.0.0.1:{hop.port}: greeted with {said}"
    assert outcome.reason == f"greeted with {said}"


async def test_a_refused_login_reaches_the_sender(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.extensions.append("AUTH PLAIN")
    hop.always["AUTH"] = b"535 5.7.8 wrong\r\n"
    (outcome,) = await _deliver(settings_for(username="user", password="pass"), log)
    assert str(outcome.reply) == f"451 4.4.1 Next hop 127.0.0.1:{hop.port}: AUTH answered with 535 5.7.8 wrong"
