from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import pytest

from mailwake.errors import StartupError
from mailwake.smtp.replies import Reply
from mailwake.transport.tls import server_context

from .conftest import PATIENCE, Client, Start

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


async def _transaction(client: Client, recipients: int = 1) -> str:
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250 ")
    for number in range(recipients):
        assert (await client.say(f"RCPT TO:<r{number}@c.example>")).startswith("250 ")
    assert (await client.say("DATA")).startswith("354")
    return await client.say(MESSAGE + b".\r\n")


async def test_a_message_reaches_the_receiver_with_its_session(start: Start) -> None:
    running = await start()
    client = await running.ready()
    assert await _transaction(client, 2) == "250 2.0.0 OK 1"
    session, envelope, content = running.receiver.messages[0]
    assert content == MESSAGE
    assert envelope.recipients == ["r0@c.example", "r1@c.example"]
    assert (session.peer_address, session.hello_domain, session.protocol) == ("127.0.0.1", "client.example", "ESMTP")
    assert session.options.tracking_domain.value == "localhost:8080"
    assert await client.say("QUIT") == "221 2.0.0 Bye"
    assert await client.at_end()


async def test_the_greeting_and_the_answer_to_ehlo_begin_with_our_name(start: Start) -> None:
    client = await (await start()).connect()
    assert await client.reply() == "220 mx.test.example ESMTP mailwake"
    assert (await client.say("EHLO client.example")).startswith("250-mx.test.example\n250-PIPELINING")
    assert await client.say("HELO client.example") == "250 mx.test.example"


async def test_the_receivers_refusal_is_the_reply(start: Start) -> None:
    running = await start()
    running.receiver.answer = Reply(550, "5.6.0", "X-MSYS-API must be of type 'json object'")
    client = await running.ready()
    assert await _transaction(client) == "550 5.6.0 X-MSYS-API must be of type 'json object'"
    running.receiver.answer = Reply(250, "2.0.0", "OK 2")
    assert await _transaction(client) == "250 2.0.0 OK 2"


async def test_commands_pipelined_behind_a_message_wait_for_its_reply(start: Start) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    client = await running.ready()
    head = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    for expected in ("250", "250", "354"):
        assert (await client.say(head)).startswith(expected)
        head = b""
    client.writer.write(MESSAGE + b".\r\nNOOP\r\nQUIT\r\n")
    await asyncio.wait_for(running.receiver.arrived.wait(), 30)
    running.receiver.gate.set()
    assert [await client.reply() for _ in range(3)] == ["250 2.0.0 OK 1", "250 2.0.0 Ok", "221 2.0.0 Bye"]


async def test_a_message_in_chunks_arrives_whole(start: Start) -> None:
    running = await start()
    client = await running.ready()
    assert "CHUNKING" in await client.say("EHLO again.example")
    client.writer.write(
        b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
        b"BDAT 14\r\nSubject: x\r\n\r\nBDAT 7 LAST\r\nhello\r\nNOOP\r\n"
    )
    replies = [await client.reply() for _ in range(5)]
    assert [reply[:3] for reply in replies] == ["250"] * 5
    assert replies[3] == "250 2.0.0 OK 1"
    assert running.receiver.messages[0][2] == MESSAGE


async def test_without_auth_only_listed_networks_may_relay(start: Start) -> None:
    running = await start(networks="192.0.2.0/24")
    client = await running.ready()
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert (await client.say("RCPT TO:<c@d.example>")).startswith("550 5.7.1")
    assert (await client.say("DATA"))[:3] in ("503", "554")
    assert running.receiver.messages == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_auth_opens_the_relay_and_names_the_customer(start: Start, mechanism: str) -> None:
    running = await start(networks="")
    client = await running.ready()
    assert await _authenticate(client, mechanism, "secret") == "235 2.7.0 Authentication successful"
    assert (await _transaction(client)).startswith("250")
    session = running.receiver.messages[0][0]
    assert session.context.get("mo_customer_id") == "customer-42"
    assert session.protocol == "ESMTPA"


@pytest.mark.parametrize(("user", "password"), [("acme", "wrong"), ("nobody", "secret")])
async def test_wrong_credentials_open_nothing(start: Start, user: str, password: str) -> None:
    running = await start(networks="")
    client = await running.ready()
    assert (await _authenticate(client, "PLAIN", password, user)).startswith("535 5.7.8")
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert (await client.say("RCPT TO:<c@d.example>")).startswith("550 5.7.1")


async def test_guessing_passwords_ends_the_connection(start: Start) -> None:
    running = await start(networks="")
    client = await running.ready()
    replies = [await _authenticate(client, "PLAIN", f"guess {number}") for number in range(3)]
    assert [reply[:3] for reply in replies] == ["535", "535", "421"]
    assert await client.at_end()


async def _authenticate(client: Client, mechanism: str, password: str, user: str = "acme") -> str:
    if mechanism == "PLAIN":
        return await client.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())
    assert (await client.say("AUTH LOGIN")).startswith("334")
    assert (await client.say(base64.b64encode(user.encode()).decode())).startswith("334")
    return await client.say(base64.b64encode(password.encode()).decode())


async def test_starttls_encrypts_and_forgets_what_was_said_before(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(networks="", tls=server_context(*certificate))
    client = await running.ready()
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("538 5.7.11")
    assert (await client.say("STARTTLS")).startswith("220")
    context = ssl.create_default_context(cafile=certificate[0])
    await client.writer.start_tls(context, server_hostname="mx.test.example")
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("503")
    greeting = await client.say("EHLO again.example")
    assert "STARTTLS" not in greeting
    assert "AUTH PLAIN LOGIN" in greeting
    assert (await _authenticate(client, "PLAIN", "secret")).startswith("235")
    assert (await _transaction(client)).startswith("250")
    assert running.receiver.messages[0][0].protocol == "ESMTPSA"


async def test_commands_injected_behind_starttls_are_never_obeyed(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(tls=server_context(*certificate))
    client = await running.ready()
    reply = await client.say(b"STARTTLS\r\nMAIL FROM:<evil@b.example>\r\n")
    assert not reply.startswith("220") or await client.at_end()
    assert running.receiver.messages == []


async def test_a_failed_handshake_closes_the_connection(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(tls=server_context(*certificate))
    client = await running.ready()
    assert (await client.say("STARTTLS")).startswith("220")
    client.writer.write(b"this is no TLS at all\r\n")
    while await asyncio.wait_for(client.reader.read(1000), 30):
        pass
    assert (await (await running.ready()).say("NOOP")).startswith("250")


async def test_too_many_connections_are_turned_away(start: Start) -> None:
    running = await start(connections=1)
    first = await running.ready()
    second = await running.connect()
    assert (await second.reply()).startswith("421 4.3.2")
    assert await second.at_end()
    assert (await first.say("QUIT")).startswith("221")
    assert await first.at_end()
    assert (await (await running.ready()).say("NOOP")).startswith("250")


async def test_after_the_allowed_messages_the_connection_ends(start: Start) -> None:
    running = await start(transactions=2)
    client = await running.ready()
    for _ in range(2):
        assert (await _transaction(client)).startswith("250")
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("421 4.7.0")


async def test_with_too_much_mail_in_hand_no_message_is_begun(start: Start) -> None:
    running = await start(memory=1000)
    running.receiver.gate = asyncio.Event()
    busy, other = await running.ready(), await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        await busy.say(line)
    busy.writer.write(b"x" * 1500 + b"\r\n.\r\n")
    await asyncio.wait_for(running.receiver.arrived.wait(), 30)
    assert await other.say("MAIL FROM:<a@b.example>") == "452 4.3.1 Too much mail in hand, try again later"
    running.receiver.gate.set()
    assert (await busy.reply()).startswith("250")
    assert (await other.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert repr(running.budget) == "<MemoryBudget 0 of 1000>"


async def test_messages_that_overdraw_the_memory_are_cut_off_and_never_received(start: Start) -> None:
    running = await start(memory=1000)
    client = await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        await client.say(line)
    client.writer.write((b"x" * 70 + b"\r\n") * 100)
    assert (await client.reply()).startswith("421 4.3.1")
    assert await client.at_end()
    assert running.receiver.messages == []
    again = await running.ready()
    assert (await _transaction(again)).startswith("250")
    assert repr(running.budget) == "<MemoryBudget 0 of 1000>"


async def test_chunks_count_and_what_vanishes_is_given_back(start: Start) -> None:
    running = await start(memory=10_000)
    client = await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"):
        await client.say(line)
    assert (await client.say(b"BDAT 5000\r\n" + b"x" * 5000)).startswith("250")
    assert repr(running.budget) == "<MemoryBudget 5000 of 10000>"
    client.writer.transport.abort()
    other = await running.ready()
    while repr(running.budget) != "<MemoryBudget 0 of 10000>":
        assert (await other.say("NOOP")).startswith("250")


async def test_a_silent_client_is_told_and_dropped(start: Start) -> None:
    running = await start()
    client = await running.ready()
    running.clock.advance(301)
    assert (await client.reply()).startswith("421 4.4.2")
    assert await client.at_end()


async def test_a_command_that_never_ends_is_cut_off(start: Start) -> None:
    running = await start()
    client = await running.ready()
    client.writer.write(b"MAIL FRO")
    reply = asyncio.create_task(client.reply())
    while not reply.done():
        running.clock.advance(20)
        client.writer.write(b"O")  # never silent for long enough to be idle
        await asyncio.sleep(0.01)
    assert reply.result().startswith("421 4.4.2")


async def test_a_message_that_trickles_for_ever_is_dropped_and_never_received(start: Start) -> None:
    running = await start()
    client = await running.ready()
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert (await client.say("RCPT TO:<c@d.example>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    client.writer.write(b"Subject: slow\r\n")
    reply = asyncio.create_task(client.reply())
    while not reply.done():
        running.clock.advance(100)
        client.writer.write(b"x\r\n")
        await asyncio.sleep(0.01)
    assert reply.result().startswith("421 4.4.2")
    assert running.receiver.messages == []


async def test_a_client_with_several_messages_in_flight_may_go_on_for_ever(start: Start) -> None:
    running = await start()
    client = await running.ready()
    message = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 100 LAST\r\n" + b"x" * 98 + b"\r\n"
    client.writer.write(message[:-50])
    for number in range(1, 20):
        client.writer.write(message[-50:] + message[:-50])  # the end of one, and most of the next
        for _ in range(3):
            assert (await client.reply()).startswith("250"), number
        running.clock.advance(100)
        for connection in running.listener._connections:
            connection.sweep(running.clock.monotonic())
    assert len(running.receiver.messages) == 19


@pytest.mark.parametrize("spoken", [0, 1, 2, 3, 4])
async def test_a_client_that_vanishes_at_any_step_leaves_nothing(start: Start, spoken: int) -> None:
    running = await start()
    client = await running.ready()
    for line in ["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"][:spoken]:
        await client.say(line)
    if spoken == 4:
        client.writer.write(b"Subject: half\r\n\r\nnever fini")
        await client.writer.drain()
    client.writer.transport.abort()
    await running.listener.stop(grace=30)
    assert running.receiver.messages == []


async def test_a_client_that_half_closes_still_gets_its_reply(start: Start) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    client = await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        await client.say(line)
    client.writer.write(MESSAGE + b".\r\n")
    client.writer.write_eof()
    await asyncio.wait_for(running.receiver.arrived.wait(), 30)
    running.receiver.gate.set()
    assert await client.reply() == "250 2.0.0 OK 1"
    assert await client.at_end()


async def test_a_stop_finishes_the_message_in_hand_and_says_421(start: Start) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    busy, idle = await running.ready(), await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        await busy.say(line)
    busy.writer.write(MESSAGE + b".\r\n")
    await asyncio.wait_for(running.receiver.arrived.wait(), 30)
    stopping = asyncio.create_task(running.listener.stop(grace=30))
    assert (await idle.reply()).startswith("421 4.3.2")
    running.receiver.gate.set()
    assert await busy.reply() == "250 2.0.0 OK 1"
    assert (await busy.reply()).startswith("421 4.3.2")
    await stopping
    assert running.receiver.finished.is_set()


async def test_relaying_goes_on_when_the_client_is_gone(start: Start) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    client = await running.ready()
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        await client.say(line)
    client.writer.write(MESSAGE + b".\r\n")
    await asyncio.wait_for(running.receiver.arrived.wait(), 30)
    client.writer.transport.abort()
    running.receiver.gate.set()
    await asyncio.wait_for(running.receiver.finished.wait(), 30)
    await running.listener.stop(grace=30)


def test_certificates_that_cannot_be_used_say_so(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    with pytest.raises(StartupError, match=r"absent\.pem.*name a PEM file"):
        server_context(absent, certificate[1])
    with pytest.raises(StartupError, match="no matching PEM certificate chain and key"):
        server_context(certificate[1], certificate[0])


async def test_replies_in_front_of_a_message_wait_for_its_own_but_not_for_long(start: Start) -> None:
    running = await start()
    running.receiver.gate = asyncio.Event()
    client = await running.ready()
    client.writer.write(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 6 LAST\r\nx: y\r\n")
    await asyncio.wait_for(running.receiver.arrived.wait(), PATIENCE)
    assert (await client.reply()).startswith("250 2.1.0"), "the next sweep sends them, though the message is in hand"
    assert (await client.reply()).startswith("250 2.1.5")
    running.receiver.gate.set()
    assert (await client.reply()).startswith("250 2.0.0")
