"""What EHLO shows and takes by scope, at a real listener."""

from __future__ import annotations

import base64

from mailwake.smtp.dsn import DsnRequest

from .conftest import Start

CREDENTIALS = base64.b64encode(b"\0acme\0secret").decode()
FEWER = '[esmtp_listener.peer."192.0.2.0/24"]\nehlo_discard = ["DSN", "CHUNKING"]\n'
TRUSTED = 'smtp_extensions = ["XCLIENT", "XREMOTEIP"]\n'


async def test_a_scope_discards_extensions(start: Start) -> None:
    running = await start(config='[esmtp_listener]\nehlo_discard = ["DSN", "SMTPUTF8"]\n')
    client = await running.ready()
    hello = await client.say("EHLO client.example")
    assert "DSN" not in hello
    assert "SMTPUTF8" not in hello
    assert "CHUNKING" in hello
    assert (await client.say("MAIL FROM:<a@b.example> RET=FULL")).startswith("555 5.5.4 ")
    assert (await client.say("MAIL FROM:<a@b.example> SMTPUTF8")).startswith("555 5.5.4 ")


async def test_after_xclient_it_is_the_client_that_counts(start: Start) -> None:
    running = await start(config=f'{FEWER}[esmtp_listener.peer."127.0.0.1"]\n{TRUSTED}')
    client = await running.ready()
    assert "DSN" in await client.say("EHLO client.example")
    assert (await client.say("XCLIENT ADDR=192.0.2.1")).startswith("220")
    assert "DSN" not in await client.say("EHLO client.example")
    assert (await client.say("XREMOTEIP 127.0.0.1")).startswith("250")
    assert (await client.say("MAIL FROM:<a@b.example> RET=FULL")).startswith("250")


async def test_verp_is_for_who_may_relay(start: Start) -> None:
    stranger = await (await start(networks="192.0.2.0/24")).ready()
    assert "XVERP" not in await stranger.say("EHLO client.example")
    assert (await stranger.say("MAIL FROM:<a@b.example> XVERP")).startswith("555 5.5.4 ")
    assert (await stranger.say(f"AUTH PLAIN {CREDENTIALS}")).startswith("235")
    assert (await stranger.say("MAIL FROM:<a@b.example> XVERP")).startswith("250")
    assert "XVERP" in await stranger.say("EHLO client.example")
    neighbour = await (await start()).ready()
    assert "XVERP" in await neighbour.say("EHLO client.example")


async def test_after_xremoteip_to_a_stranger_verp_is_gone(start: Start) -> None:
    client = await (await start(config=f"[esmtp_listener]\n{TRUSTED}")).ready()
    assert (await client.say("XREMOTEIP 192.0.2.1")).startswith("250")
    assert "XVERP" not in await client.say("EHLO client.example")


async def test_binary_content_reaches_the_receiver_to_the_octet(start: Start) -> None:
    running = await start()
    client = await running.ready()
    content = b"Subject: x\r\n\r\n" + bytes(range(256)) + b"\n.\n\r.\r\n.\r\n"
    await client.say("MAIL FROM:<a@b.example> BODY=BINARYMIME")
    await client.say("RCPT TO:<c@d.example>")
    assert (await client.say(b"BDAT %d LAST\r\n" % len(content) + content)).startswith("250")
    _, envelope, received = running.receiver.messages[-1]
    assert (envelope.body, received) == ("BINARYMIME", content)


async def test_what_is_asked_of_reports_reaches_the_receiver(start: Start) -> None:
    running = await start()
    client = await running.ready()
    await client.say("MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ314159")
    await client.say("RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old@d.example")
    await client.say("RCPT TO:<e@f.example>")
    assert (await client.say(b"BDAT 5 LAST\r\nhello")).startswith("250")
    _, envelope, _ = running.receiver.messages[-1]
    assert envelope.dsn_request("c@d.example") == DsnRequest(
        "SUCCESS,FAILURE", "rfc822;old@d.example", "HDRS", "QQ314159"
    )
    assert envelope.dsn_request("e@f.example") == DsnRequest(returned="HDRS", envelope_id="QQ314159")
