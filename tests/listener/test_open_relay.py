"""Never an open relay: without AUTH, a certificate or a listed network nothing is relayed, however it is asked for."""

from __future__ import annotations

import base64
import contextlib
import ssl
from pathlib import Path

import pytest

from mailwake.transport.tls import server_context

from .conftest import Client, Running, Start

RECIPIENTS = [
    "<evil@elsewhere.example>",
    "<evil%elsewhere.example@mx.test.example>",
    "<elsewhere.example!evil@mx.test.example>",
    "<evil@mx.test.example>",
    "<evil@[127.0.0.1]>",
    "<evil@localhost>",
    '<"evil@elsewhere.example"@mx.test.example>',
    '<"evil@elsewhere.example">',
    "<evil@elsewhere.example@mx.test.example>",
    "<@mx.test.example:evil@elsewhere.example>",
    "<@mx.test.example,@other.example:evil@elsewhere.example>",
    "<@mx.test.example:evil%elsewhere.example@mx.test.example>",
    "<postmaster@elsewhere.example>",
    "<postmaster@mx.test.example>",
    "<Postmaster>",
    "<abuse>",
    "<>",
    "<evil>",
    " <evil@elsewhere.example>",
    "evil@elsewhere.example",
    "<evil@elsewhere.example> NOTIFY=NEVER",
    "<evil@elsewhere.example> ORCPT=rfc822;a@mx.test.example",
]
SENDERS = ["<>", "<a@b.example>", "<postmaster@mx.test.example>", "<a@mx.test.example>", "<a@b.example> AUTH=acme"]
HELLOS = ["EHLO c.example", "HELO c.example", "EHLO mx.test.example", "EHLO [127.0.0.1]", "EHLO localhost"]
NOT_TAKEN = ("550", "501", "503", "553", "555", "500")


async def _nothing_goes(client: Client, sender: str = "<a@b.example>") -> None:
    assert (await client.say(f"MAIL FROM:{sender}")).startswith("250")
    for recipient in RECIPIENTS:
        assert (await client.say(f"RCPT TO:{recipient}")).startswith(NOT_TAKEN), recipient
    assert (await client.say("RCPT TO:<evil@elsewhere.example>")).startswith("550 5.7.1 Relaying denied")
    assert (await client.say("DATA")).startswith("554 5.5.1 No valid recipients")
    assert (await client.say(b"BDAT 5 LAST\r\nhello")).startswith("5")
    assert (await client.say("RSET")).startswith("250")


def _nothing_went(running: Running) -> bool:
    return running.receiver.messages == []


@pytest.mark.parametrize("hello", HELLOS)
async def test_no_form_of_an_address_opens_it(start: Start, hello: str) -> None:
    running = await start(networks="")
    client = await running.connect()
    await client.reply()
    await client.say(hello)
    for sender in SENDERS if hello.startswith("EHLO") else SENDERS[:-1]:
        await _nothing_goes(client, sender)
    assert _nothing_went(running)


async def test_a_listed_network_is_not_its_neighbour(start: Start) -> None:
    running = await start(networks="127.0.0.2/32")
    await _nothing_goes(await running.ready())
    assert _nothing_went(running)


@pytest.mark.parametrize("name", ["acme", "nobody", ""])
async def test_a_wrong_password_opens_nothing(start: Start, name: str) -> None:
    running = await start(networks="")
    client = await running.ready()
    await client.say("AUTH PLAIN " + base64.b64encode(f"\0{name}\0wrong".encode()).decode())
    await _nothing_goes(client)
    assert _nothing_went(running)


@pytest.mark.parametrize("broken", ["AUTH PLAIN *", "AUTH LOGIN\r\n*", "AUTH PLAIN =", "AUTH CRAM-MD5", "AUTH"])
async def test_an_auth_that_is_broken_off_opens_nothing(start: Start, broken: str) -> None:
    running = await start(networks="")
    client = await running.ready()
    reply = await client.say(broken)
    if reply.startswith("334"):
        reply = await client.reply()
    assert reply[0] == "5"
    await _nothing_goes(client)
    assert _nothing_went(running)


async def test_tls_alone_opens_nothing(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(networks="", tls=server_context(*certificate))
    client = await running.ready()
    assert (await client.say("STARTTLS")).startswith("220")
    context = ssl.create_default_context(cafile=certificate[0])
    await client.writer.start_tls(context, server_hostname="mx.test.example")
    await client.say("EHLO c.example")
    await _nothing_goes(client)
    assert _nothing_went(running)


@pytest.mark.parametrize("claim", ["XCLIENT ADDR=10.0.0.1", "XREMOTEIP 10.0.0.1", "XCLIENT LOGIN=acme"])
async def test_a_stranger_cannot_claim_to_be_somebody_else(start: Start, claim: str) -> None:
    running = await start(networks="10.0.0.0/8")
    client = await running.ready()
    assert (await client.say(claim)).startswith("550 5.7.0")
    await _nothing_goes(client)
    assert _nothing_went(running)


@pytest.mark.parametrize("claim", ["XCLIENT ADDR=203.0.113.9", "XREMOTEIP 203.0.113.9", "XCLIENT ADDR=[UNAVAILABLE]"])
async def test_nor_does_a_trusted_peers_own_right_serve_its_clients(start: Start, claim: str) -> None:
    config = '[esmtp_listener.peer."127.0.0.1"]\nsmtp_extensions = ["XCLIENT", "XREMOTEIP"]\n'
    running = await start(networks="127.0.0.0/8", config=config)
    client = await running.ready()
    assert (await client.say(claim))[0] == "2"
    await client.say("EHLO c.example")
    await _nothing_goes(client)
    assert _nothing_went(running)


async def test_a_proxy_header_from_a_stranger_is_not_believed(start: Start) -> None:
    header = b"PROXY TCP4 10.0.0.1 10.0.0.2 4711 25\r\n"
    listed = await start(networks="10.0.0.0/8", proxies="10.0.0.0/8")
    client = await listed.connect()
    client.writer.write(header + b"EHLO c.example\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await client.at_end()
    plain = await start(networks="10.0.0.0/8")
    client = await plain.connect()
    assert (await client.say(header)).startswith("220")  # the greeting was on its way
    assert (await client.reply()).startswith("500")
    await client.say("EHLO c.example")
    await _nothing_goes(client)
    assert _nothing_went(listed)
    assert _nothing_went(plain)


async def test_what_was_allowed_ends_with_the_log_in(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(networks="", tls=server_context(*certificate), auth_requires_tls="no")
    client = await running.ready()
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("235")
    assert (await client.say("STARTTLS")).startswith("220")
    context = ssl.create_default_context(cafile=certificate[0])
    await client.writer.start_tls(context, server_hostname="mx.test.example")
    await client.say("EHLO c.example")
    await _nothing_goes(client)
    assert _nothing_went(running)
