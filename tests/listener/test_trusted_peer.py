"""Trusted peers at a real listener: who the client is afterwards, for options, relaying, policy and the message."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from mailwake.listener.session import Session
from mailwake.listener.trusted_peer import DUMPED_VARIABLES, SOURCE
from mailwake.policy.context import MOST_OCTETS
from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy
from mailwake.transport.tls import server_context

from .conftest import Client, Running, Start

EVERYTHING = '["XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT"]'
TRUSTED = f'[esmtp_listener.peer."127.0.0.1"]\nsmtp_extensions = {EVERYTHING}\n'
ELSEWHERE = f'[esmtp_listener.peer."192.0.2.0/24"]\nsmtp_extensions = {EVERYTHING}\n'
CLIENT = '[esmtp_listener.peer."192.0.2.0/24"]\ntracking_domain = "track.client.example"\n'
MAIL, RCPT = "MAIL FROM:<a@b.example>", "RCPT TO:<r@c.example>"
ONE_OF_EACH = ["XCLIENT ADDR=192.0.2.1", "XREMOTEIP 192.0.2.1", "XSETCONTEXT mo_customer_id=9", "XDUMPCONTEXT"]


async def _send(client: Client) -> None:
    assert (await client.say(MAIL)).startswith("250")
    assert (await client.say(RCPT)).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    assert (await client.say(b"Subject: x\r\n\r\nhello\r\n.\r\n")).startswith("250")


async def _xclient(client: Client, attributes: str) -> None:
    assert await client.say(f"XCLIENT {attributes}") == "220 mx.test.example ESMTP mailwake"
    assert (await client.say("EHLO gateway.example")).startswith("250-mx.test.example")


def _session(running: Running) -> Session:
    return running.receiver.messages[-1][0]


def _policy(directory: Path, source: str) -> list[ConfiguredPolicy]:
    file = directory / "policy.py"
    file.write_text(source)
    return [ConfiguredPolicy(PythonPolicy(file))]


# --- strangers


@pytest.mark.parametrize("config", ["", ELSEWHERE], ids=["nobody is trusted", "another is trusted"])
async def test_a_stranger_is_refused_and_leaves_no_trace(start: Start, config: str) -> None:
    running = await start(config=config)
    client = await running.ready()
    hello = await client.say("EHLO client.example")
    assert not any(line.partition(" ")[0] in hello for line in ONE_OF_EACH)
    for line in ONE_OF_EACH:
        assert (await client.say(line)).startswith("550 5.7.0 ")
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.hello_domain) == ("127.0.0.1", "client.example")
    assert dict(session.context.items()) == {
        "receiving_ip": "127.0.0.1",
        "remote_ip": "127.0.0.1",
        "ehlo_string": "client.example",
        "ehlo_domain": "client.example",
        "connection_message_count": "1",
    }


async def test_only_what_is_listed_is_allowed(start: Start) -> None:
    running = await start(config='[esmtp_listener]\nsmtp_extensions = ["XSETCONTEXT"]\n')
    client = await running.ready()
    assert (await client.say("EHLO x")).endswith("250 XSETCONTEXT")
    replies = [await client.say(line) for line in ONE_OF_EACH]
    assert [reply[:9] for reply in replies] == ["550 5.7.0", "550 5.7.0", "250 2.0.0", "550 5.7.0"]


# --- XCLIENT


async def test_after_xclient_the_client_is_another_one_in_everything(start: Start) -> None:
    running = await start(config=TRUSTED + CLIENT, networks="0.0.0.0/0")
    client = await running.ready()
    await _xclient(
        client, "NAME=mta.client.example ADDR=192.0.2.7 PORT=4711 HELO=client.example PROTO=SMTP DESTADDR=198.51.100.1"
    )
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.peer_port, session.peer_name) == ("192.0.2.7", 4711, "mta.client.example")
    assert (session.hello_domain, session.protocol) == ("client.example", "SMTP")
    assert session.context.get("remote_ip") == "192.0.2.7"
    assert session.context.get("receiving_ip") == "198.51.100.1"
    assert session.context.get("ehlo_domain") == "client.example"
    assert session.options.tracking_domain.value == "track.client.example"
    assert session.options_for(None).tracking_domain.value == "track.client.example"
    assert str(session.accept()) == "192.0.2.7"


async def test_what_is_not_said_again_stays(start: Start) -> None:
    running = await start(config=TRUSTED, networks="0.0.0.0/0")
    client = await running.ready()
    await _xclient(client, "HELO=client.example PROTO=SMTP NAME=mta.client.example DESTADDR=198.51.100.1")
    await _xclient(client, "ADDR=192.0.2.7")
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.peer_port, session.peer_name) == ("192.0.2.7", 0, "mta.client.example")
    assert (session.hello_domain, session.protocol) == ("client.example", "SMTP")
    assert session.context.get("receiving_ip") == "198.51.100.1"
    await _xclient(client, "NAME=[UNAVAILABLE] HELO=[UNAVAILABLE] PROTO=ESMTP")
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.peer_name, session.hello_domain) == ("192.0.2.7", "", "gateway.example")
    assert session.protocol == "ESMTP"


async def test_relaying_is_decided_for_the_new_address(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    for address, code in (("192.0.2.7", "550 5.7.1"), ("127.0.0.9", "250 2.1.5"), ("[UNAVAILABLE]", "550 5.7.1")):
        await _xclient(client, f"ADDR={address}")
        assert (await client.say(MAIL)).startswith("250")
        assert (await client.say(RCPT)).startswith(code)
        assert (await client.say("RSET")).startswith("250")
    await _xclient(client, "ADDR=192.0.2.7")
    login = base64.b64encode(b"\0acme\0secret").decode()
    assert (await client.say(f"AUTH PLAIN {login}")).startswith("235")
    await _send(client)
    assert _session(running).context.get("mo_customer_id") == "customer-42"


async def test_trust_stays_with_the_real_peer(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    await _xclient(client, "ADDR=203.0.113.1")
    assert "XCLIENT" in await client.say("EHLO gateway.example")
    await _xclient(client, "ADDR=203.0.113.2")
    stranger = await (await start(config=TRUSTED.replace("127.0.0.1", "203.0.113.0/24"))).ready()
    assert (await stranger.say("XCLIENT ADDR=203.0.113.1")).startswith("550 5.7.0")


async def test_nothing_of_one_client_reaches_the_next_one(start: Start) -> None:
    running = await start(config=TRUSTED, networks="0.0.0.0/0")
    client = await running.ready()
    assert (await client.say("XSETCONTEXT smtpapi_campaign_id=one")).startswith("250")
    await _xclient(client, "ADDR=192.0.2.1 LOGIN=acme")
    await _send(client)
    assert _session(running).context.get("mo_customer_id") == "customer-42"
    await _xclient(client, "ADDR=192.0.2.2")
    await _send(client)
    session = _session(running)
    assert session.account == ""
    assert {"mo_customer_id", "auth_user", "auth_status", "smtpapi_campaign_id"} & set(session.context) == set()


async def test_login_names_an_account_of_ours(start: Start) -> None:
    running = await start(config=TRUSTED, networks="")
    client = await running.ready()
    assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN" in await client.say("EHLO gateway.example")
    assert (await client.say("XCLIENT ADDR=192.0.2.1 LOGIN=nobody")).startswith("535 5.7.8")
    assert (await client.say(MAIL)).startswith("250"), "the session goes on as it was"
    assert (await client.say(RCPT)).startswith("550 5.7.1")
    assert (await client.say("RSET")).startswith("250")
    await _xclient(client, "ADDR=192.0.2.1 LOGIN=acme")
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("503")
    await _send(client)
    session = _session(running)
    assert (session.account, session.protocol) == ("acme", "ESMTPA")
    assert session.context.get("mo_customer_id") == "customer-42"
    assert session.context.get("auth_user") == "acme"


async def test_policy_is_asked_again_for_the_new_client(start: Start, tmp_path: Path) -> None:
    policies = _policy(
        tmp_path,
        "from mailwake.policy import refuse\n"
        "def validate_connect(accept, context):\n"
        "    context.set('seen', context.get('remote_ip'))\n"
        "    if accept.remote_ip == '192.0.2.66':\n"
        "        return refuse(554, '5.7.1 Not you')\n"
        "def validate_auth(user, accept, context):\n"
        "    if accept.remote_ip == '192.0.2.67':\n"
        "        return refuse(550, '5.7.1 Not from there')\n",
    )
    running = await start(config=TRUSTED, networks="0.0.0.0/0", policies=policies)
    client = await running.ready()
    await _xclient(client, "ADDR=192.0.2.1 LOGIN=acme")
    await _send(client)
    assert _session(running).context.get("seen") == "192.0.2.1"
    assert await client.say("XCLIENT ADDR=192.0.2.66") == "554 5.7.1 Not you"
    assert (await client.say("EHLO x")).startswith("503 5.5.1")
    assert (await client.say("XCLIENT ADDR=192.0.2.1")).startswith("503 5.5.1")
    other = await running.ready()
    assert await other.say("XCLIENT ADDR=192.0.2.67 LOGIN=acme") == "550 5.7.1 Not from there"


async def test_xclient_and_what_follows_may_come_at_once(start: Start) -> None:
    running = await start(config=TRUSTED, networks="192.0.2.0/24")
    client = await running.connect()
    client.writer.write(
        b"EHLO gateway.example\r\nXCLIENT ADDR=192.0.2.1 LOGIN=acme\r\nEHLO client.example\r\n"
        b"MAIL FROM:<a@b.example>\r\nRCPT TO:<r@c.example>\r\nDATA\r\n"
    )
    assert [(await client.reply())[:3] for _ in range(7)] == ["220", "250", "220", "250", "250", "250", "354"]
    assert (await client.say(b"hello\r\n.\r\n")).startswith("250")
    assert _session(running).peer_address == "192.0.2.1"


async def test_xclient_inside_tls(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(config=TRUSTED, networks="0.0.0.0/0", tls=server_context(*certificate))
    client = await running.ready()
    assert (await client.say("STARTTLS")).startswith("220")
    context = ssl.create_default_context(cafile=certificate[0])
    await client.writer.start_tls(context, server_hostname="mx.test.example")
    await client.say("EHLO gateway.example")
    await _xclient(client, "ADDR=192.0.2.1 LOGIN=acme HELO=client.example")
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.protocol, session.hello_domain) == ("192.0.2.1", "ESMTPSA", "client.example")


async def test_what_was_said_before_tls_is_forgotten(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(config=TRUSTED, networks="0.0.0.0/0", tls=server_context(*certificate))
    client = await running.ready()
    await _xclient(client, "ADDR=192.0.2.1 LOGIN=acme HELO=client.example")
    assert (await client.say("XSETCONTEXT smtpapi_campaign_id=x")).startswith("250")
    assert (await client.say("STARTTLS")).startswith("220")
    context = ssl.create_default_context(cafile=certificate[0])
    await client.writer.start_tls(context, server_hostname="mx.test.example")
    await client.say("EHLO again.example")
    await _send(client)
    session = _session(running)
    assert (session.account, session.hello_domain, session.peer_address) == ("", "again.example", "192.0.2.1")
    assert {"mo_customer_id", "auth_user", "smtpapi_campaign_id"} & set(session.context) == set()


# --- XREMOTEIP


async def test_xremoteip_changes_the_address_and_nothing_else(start: Start) -> None:
    running = await start(config=TRUSTED + CLIENT, networks="0.0.0.0/0")
    client = await running.ready()
    assert (await client.say("XSETCONTEXT kept=1")).startswith("250")
    assert await client.say("XREMOTEIP 192.0.2.7") == "250 2.0.0 Ok"
    await _send(client)
    session = _session(running)
    assert (session.peer_address, session.hello_domain) == ("192.0.2.7", "client.example")
    assert session.context.get("remote_ip") == "192.0.2.7"
    assert session.context.get("kept") == "1"
    assert session.options.tracking_domain.value == "track.client.example"


async def test_after_xremoteip_relaying_is_decided_for_the_new_address(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    assert (await client.say(MAIL)).startswith("250")
    assert (await client.say(RCPT)).startswith("250")
    assert (await client.say("XREMOTEIP 2001:db8::1")).startswith("250")
    assert (await client.say(RCPT)).startswith("550 5.7.1")


# --- XSETCONTEXT and XDUMPCONTEXT


async def test_variables_are_set_for_the_connection_and_say_who_did(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    said = "XSETCONTEXT mo_customer_id=7 smtpapi_campaign_id=black+20friday smtpapi_click_tracking=1"
    assert await client.say(said) == "250 2.0.0 3 context variables set"
    for _ in range(2):
        await _send(client)
        context = _session(running).context
        assert context.get("mo_customer_id") == "7"
        assert context.get("smtpapi_campaign_id") == "black friday"
        assert context.source("smtpapi_campaign_id") == SOURCE


async def test_all_are_set_or_none(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    assert (await client.say("XSETCONTEXT first=1 second")).startswith("501 5.5.4")
    chunk = "x" * 12_000
    for number in range(MOST_OCTETS // 12_008):
        assert (await client.say(f"XSETCONTEXT n{number}={chunk}")).startswith("250")
    refused = await client.say(f"XSETCONTEXT small=1 big={chunk}")
    assert refused.startswith("552 5.3.4 None was set: context variables may hold 1048576 characters together")
    await _send(client)
    context = _session(running).context
    assert {"first", "small", "big"} & set(context) == set()
    assert context.get("n0") == chunk


async def test_both_contexts_are_shown(start: Start, tmp_path: Path) -> None:
    source = "def validate_mailfrom(sender, accept, context):\n    context.set('of message', 'a=b\\n')\n"
    running = await start(config=TRUSTED, policies=_policy(tmp_path, source))
    client = await running.ready()
    assert (await client.say("XSETCONTEXT smtpapi_campaign_id=black+20friday empty=")).startswith("250")
    connection = [
        "250-[connection] receiving_ip 127.0.0.1",
        "250-[connection] remote_ip 127.0.0.1",
        "250-[connection] ehlo_string client.example",
        "250-[connection] ehlo_domain client.example",
        "250-[connection] smtpapi_campaign_id black+20friday",
        "250-[connection] empty",
    ]
    end = "250 XDUMPCONTEXT complete"
    assert (await client.say("XDUMPCONTEXT")).split("\n") == [*connection, end]
    assert (await client.say(MAIL)).startswith("250")
    assert (await client.say("XDUMPCONTEXT")).split("\n") == [*connection, "250-[message] of+20message a+3Db+0A", end]
    assert (await client.say("RSET")).startswith("250")
    assert (await client.say("XDUMPCONTEXT")).split("\n") == [*connection, end]


async def test_what_is_shown_is_bounded(start: Start) -> None:
    running = await start(config=TRUSTED)
    client = await running.ready()
    name, value = "n" * 400, "+20" * 3000
    assert (await client.say(f"XSETCONTEXT long={value} {name}=1")).startswith("250")
    for part in range(5):
        numbers = range(part * 100, part * 100 + 100)
        assert (await client.say(f"XSETCONTEXT {' '.join(f'v{number}=1' for number in numbers)}")).startswith("250")
    lines = (await client.say("XDUMPCONTEXT")).split("\n")
    assert f"250-[connection] long {'+20' * 100}=" in lines
    assert f"250-[connection] {'n' * 150}= 1" in lines
    assert lines[-2:] == [f"250-[connection] and {506 - DUMPED_VARIABLES} more", "250 XDUMPCONTEXT complete"]
    assert all(len(line) <= 510 for line in lines)
