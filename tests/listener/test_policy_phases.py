"""The phases before a message has come, over real sockets: refusals with policy's own reply, contexts, DATA, BDAT."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailwake.listener.session import Session
from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply

from .conftest import Start

HEAD = "import asyncio\nfrom mailwake.policy import CONT, DONE, refuse\n"
AUTH = "AUTH PLAIN " + base64.b64encode(b"\0acme\0secret").decode()


def policies(directory: Path, source: str) -> list[ConfiguredPolicy]:
    path = directory / "policy.py"
    path.write_text(HEAD + source)
    return [ConfiguredPolicy(PythonPolicy(path))]


COMMANDS = {
    "validate_connect": (),
    "validate_ehlo": ("EHLO client.example",),
    "validate_auth": ("EHLO client.example", AUTH),
    "validate_mailfrom": ("EHLO client.example", "MAIL FROM:<a@b.example>"),
    "validate_rcptto": ("EHLO client.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("phase", COMMANDS)
async def test_each_phase_refuses_with_policys_own_reply(start: Start, tmp_path: Path, phase: str, late: bool) -> None:
    keyword, wait = ("async def", "await asyncio.sleep(0); ") if late else ("def", "")
    source = f"{keyword} {phase}(*arguments):\n    {wait}return refuse(550, '5.7.1 {phase} says no')\n"
    running = await start(policies=policies(tmp_path, source))
    client = await running.connect()
    replies = [await client.reply(), *[await client.say(command) for command in COMMANDS[phase]]]
    assert replies[-1] == f"550 5.7.1 {phase} says no"
    assert all(reply[0] in "23" for reply in replies[:-1])
    assert running.metrics.counter("policy_refusals_total", phase).value == 1
    if phase not in ("validate_connect", "validate_ehlo"):
        assert (await client.say("RSET")).startswith("250")
    assert (await client.say("QUIT")).startswith("221")


@pytest.mark.parametrize("phase", COMMANDS)
async def test_a_policy_that_fails_answers_451_to_nobody_else(start: Start, tmp_path: Path, phase: str) -> None:
    source = f"def {phase}(*arguments):\n    if arguments[-2].remote_port // 2 % 2 == 0:\n        raise KeyError('x')\n"
    running = await start(policies=policies(tmp_path, source))
    outcomes = set()
    for _ in range(12):
        client = await running.connect()
        replies = [await client.reply(), *[await client.say(command) for command in COMMANDS[phase]]]
        outcomes.add(replies[-1].split("\n")[0][:9])
        if len(outcomes) == 2:
            break
    assert "451 4.3.0" in outcomes
    assert len(outcomes) == 2


@pytest.mark.parametrize("late", [False, True])
async def test_a_recipient_that_policy_refuses_is_told_of_before_the_client_knows(
    start: Start, tmp_path: Path, late: bool
) -> None:
    keyword = "async def" if late else "def"
    source = f"{keyword} validate_rcptto(message, recipient, accept, context):\n"
    source += "    return refuse(550, '5.7.1 not him') if recipient.startswith('x') else CONT\n"
    told: list[str] = []

    async def on_rejected(session: Session, envelope: Envelope, recipient: str, reply: Reply) -> None:
        told.append(f"{session.peer_address} {envelope.sender} {recipient} {reply}")

    running = await start(policies=policies(tmp_path, source), on_rejected=on_rejected)
    client = await running.ready()
    await client.say("MAIL FROM:<a@b.example>")
    assert (await client.say("RCPT TO:<c@d.example>")).startswith("250")
    assert told == []
    assert (await client.say("RCPT TO:<x@d.example>")).startswith("550")
    assert told == ["127.0.0.1 a@b.example x@d.example 550 5.7.1 not him"]


async def test_a_refused_greeting_leaves_only_quit(start: Start, tmp_path: Path) -> None:
    source = "def validate_connect(accept, context):\n    return refuse(554, '5.7.1 not you')\n"
    running = await start(policies=policies(tmp_path, source))
    client = await running.connect()
    assert await client.reply() == "554 5.7.1 not you"
    assert (await client.say("EHLO x")).startswith("503")


async def test_disconnecting_closes_the_connection_after_the_reply(start: Start, tmp_path: Path) -> None:
    source = "def validate_mailfrom(sender, accept, context):\n    context.disconnect(550, '5.7.1 go away')\n"
    running = await start(policies=policies(tmp_path, source))
    client = await running.ready()
    assert await client.say("MAIL FROM:<a@b.example>") == "550 5.7.1 go away"
    assert await client.at_end()


async def test_the_predefined_variables(start: Start, tmp_path: Path) -> None:
    source = (
        "def validate_rcptto(message, recipient, accept, context):\n"
        "    names = 'ehlo_string ehlo_domain receiving_ip remote_ip auth_user auth_status mo_customer_id'.split()\n"
        "    context.connection.set('seen', ' '.join(context.get(name) or '-' for name in names))\n"
    )
    running = await start(policies=policies(tmp_path, source))
    client = await running.ready()
    await client.say(AUTH)
    await client.say("MAIL FROM:<a@b.example>")
    await client.say("RCPT TO:<c@d.example>")
    await client.say("DATA")
    assert (await client.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    ((session, _, _),) = running.receiver.messages
    assert session.context.get("seen") == "client.example client.example 127.0.0.1 127.0.0.1 acme pass customer-42"
    assert session.context.get("connection_message_count") == "1"


async def test_message_variables_end_with_the_message(start: Start, tmp_path: Path) -> None:
    source = (
        "def validate_mailfrom(sender, accept, context):\n    context.set('smtpapi_campaign_id', sender)\n"
        "def validate_rcptto(message, recipient, accept, context):\n"
        "    context.set('rcpt', recipient + message.rcptto)\n"
    )
    running = await start(policies=policies(tmp_path, source))
    client = await running.ready()
    for sender in ("a@b.example", "c@b.example"):
        await client.say(f"MAIL FROM:<{sender}>")
        await client.say("RCPT TO:<r@d.example>" if sender[0] == "a" else "RCPT TO:<q@d.example>")
        await client.say("DATA")
        await client.say("Subject: x\r\n\r\nx\r\n.")
        session = running.receiver.messages[-1][0]
        assert session.message_context.get("smtpapi_campaign_id") == sender
        expected = "r@d.exampler@d.example" if sender[0] == "a" else "q@d.exampleq@d.example"
        assert session.message_context.get("rcpt") == expected


async def test_nothing_is_relayed_for_strangers_whatever_policy_says(start: Start, tmp_path: Path) -> None:
    source = "def validate_rcptto(message, recipient, accept, context):\n    return DONE\n"
    running = await start(networks="", policies=policies(tmp_path, source))
    client = await running.ready()
    await client.say("MAIL FROM:<a@b.example>")
    assert (await client.say("RCPT TO:<c@d.example>")).startswith("550 5.7.1 Relaying denied")
