"""What the sender is told: one reply in SMTP, one for each recipient in LMTP, with the next hop's own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwake.flows.answers import DISCARDED, LONGEST_QUOTE, OneReply, ReplyForEach
from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy
from mailwake.relay.delivery import Outcome, Status
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import MessageReplies

from .conftest import Begin
from .message_harness import MessageHarness

ANN, BOB, CY = "ann@a.example", "bob@b.example", "cy@c.example"
PLAIN = b"Subject: nothing to track\r\n\r\nhello\r\n"
LATER = Reply(450, "4.2.1", "mailbox busy")
NEVER = Reply(550, "5.1.1", "no such user")
TAKEN = Outcome(Status.DELIVERED, Reply(250, "2.0.0", "Ok: queued as 4F3"), "hop:25", "content")
DEFERRED = Outcome(Status.DEFERRED, LATER, "hop:25", "rcpt")
REFUSED = Outcome(Status.REFUSED, NEVER, "hop:25", "rcpt")
CLOSING = Outcome(Status.DEFERRED, Reply(421, "4.3.2", "going down"), "hop:25", "rcpt")
UNWANTED = Outcome(Status.REFUSED, Reply(521, "5.7.1", "go away"), "hop:25", "rcpt")
LOST = Outcome(Status.UNCERTAIN, Reply(451, "4.4.2", "lost"), "hop:25", "content")


async def lmtp(harness: MessageHarness, recipients: list[str], content: bytes = PLAIN) -> list[str]:
    """The replies, without the transmission id."""
    session = harness.session()
    session.lmtp = True
    answer = await harness.flow.receive(session, Envelope("news@sender.example", list(recipients)), content)
    assert isinstance(answer, MessageReplies)
    return [" ".join("#" if word.isdigit() and len(word) > 3 else word for word in str(r).split()) for r in answer.each]


def kinds(harness: MessageHarness) -> Counter[tuple[str, str]]:
    return Counter((event.raw_rcpt_to, event.type.wire_name) for event in harness.events())


# --- SMTP


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([TAKEN], "250 2.0.0 OK 7 (next hop: 250 2.0.0 Ok: queued as 4F3)"),
        ([TAKEN, TAKEN], "250 2.0.0 OK 7 (2 of 2 copies taken)"),
        ([TAKEN, DEFERRED, LOST], "250 2.0.0 OK 7 (1 of 3 copies taken, 2 queued)"),
        ([REFUSED, TAKEN], "250 2.0.0 OK 7 (1 of 2 copies taken, 1 bounced)"),
        ([REFUSED, TAKEN, DEFERRED], "250 2.0.0 OK 7 (1 of 3 copies taken, 1 queued, 1 bounced)"),
        ([REFUSED, DEFERRED], "450 4.2.1 mailbox busy"),
        ([REFUSED], "550 5.1.1 no such user"),
        ([CLOSING], "451 4.3.2 going down"),
        ([UNWANTED], "550 5.7.1 go away"),  # 521 would end the client's connection (RFC 7504)
    ],
)
def test_one_reply(outcomes: list[Outcome], said: str) -> None:
    assert str(OneReply().answer(7, outcomes)) == said
    taken = said.startswith("250")
    assert OneReply().told(outcomes) == (frozenset() if taken else frozenset(range(len(outcomes))))


def test_the_next_hop_s_words_are_one_printable_line_of_bounded_length() -> None:
    outcome = Outcome(Status.DELIVERED, Reply(250, "", "first\nsecond \x1b[1m" + "x" * 500), "hop:25", "content")
    answer = OneReply().answer(7, [outcome])
    assert isinstance(answer, Reply)
    (line,) = answer.encode().splitlines()
    assert line.startswith(b"250 2.0.0 OK 7 (next hop: 250 first second  [1mxxx")
    assert line.endswith(b"x...)")
    assert len(line) < LONGEST_QUOTE + 60


async def test_the_next_hop_s_own_reply_reaches_the_sender(begin: Begin) -> None:
    harness = await begin()
    reply = await harness.receive([ANN], PLAIN)
    assert reply.text.endswith(" (next hop: 250 2.0.0 taken)")
    assert reply.text.startswith("OK ")


# --- LMTP


@pytest.mark.parametrize(
    ("outcomes", "places", "codes", "told"),
    [
        ([TAKEN, DEFERRED, REFUSED], [0, 1, 2], [250, 450, 550], {1, 2}),
        ([DEFERRED, REFUSED], [0, 1], [450, 550], {0, 1}),
        ([TAKEN, TAKEN], [0, 1], [250, 250], set()),
        ([DEFERRED], [DISCARDED, 0], [250, 450], {0}),  # policy threw the first one's copy away
        ([TAKEN], [NEVER, 0], [550, 250], set()),  # policy refused the first one's copy
        ([], [DISCARDED, NEVER], [250, 550], set()),
    ],
)
def test_replies_for_each(outcomes: list[Outcome], places: list[int | Reply], codes: list[int], told: set[int]) -> None:
    _check(ReplyForEach(places), outcomes, codes, told)


@pytest.mark.parametrize(
    ("outcomes", "places", "codes", "told"),
    [
        ([TAKEN, REFUSED], [0], [250], set()),  # its bounce is ours to send
        ([TAKEN, DEFERRED, TAKEN], [0, 1], [250, 250], set()),  # else the third would have it twice
        ([DEFERRED, TAKEN, REFUSED], [0], [250], set()),
        ([DEFERRED, REFUSED, TAKEN], [0, 1], [250, 550], {1}),
        ([DEFERRED, REFUSED, LOST], [0, 1], [450, 550], {0, 1, 2}),  # the client has it all still
        ([DEFERRED], [DISCARDED], [250], set()),  # nobody named is to have one
        ([DEFERRED, TAKEN], [NEVER, 0], [550, 250], set()),
    ],
)
def test_replies_for_each_where_the_header_adds_recipients(
    outcomes: list[Outcome], places: list[int | Reply], codes: list[int], told: set[int]
) -> None:
    _check(ReplyForEach(places, adds=True), outcomes, codes, told)


def _check(answering: ReplyForEach, outcomes: list[Outcome], codes: list[int], told: set[int]) -> None:
    answer = answering.answer(7, outcomes)
    assert isinstance(answer, MessageReplies)
    assert [reply.code for reply in answer.each] == codes
    assert answering.told(outcomes) == told


async def test_each_recipient_has_the_hop_s_own_reply_and_the_others_are_no_longer_ours(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER, CY: NEVER}
    assert await lmtp(harness, [ANN, BOB, CY, ANN]) == [
        "250 2.0.0 OK # (next hop: 250 2.0.0 taken)",
        "450 4.2.1 mailbox busy",
        "550 5.1.1 no such user",
        "250 2.0.0 OK # (next hop: 250 2.0.0 taken)",
    ]
    assert kinds(harness) == {(ANN, "injection"): 2, (ANN, "delivery"): 2}
    assert harness.spool.count() == 0
    assert harness.metrics.counter("messages_total", "accepted").value == 1


async def test_when_nobody_has_it_nothing_is_left_of_it(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {ANN: LATER, BOB: Reply(421, "4.3.2", "going down")}
    assert await lmtp(harness, [ANN, BOB]) == ["450 4.2.1 mailbox busy", "451 4.3.2 going down"]
    assert (harness.events(), harness.spool.count()) == ([], 0)
    assert harness.metrics.counter("messages_total", "deferred").value == 1


async def test_added_recipients_are_retried_and_bounced_by_us(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER, CY: NEVER}
    content = b'X-MSYS-API: {"bcc" : ["bob@b.example", "cy@c.example"]}\r\n' + PLAIN
    assert await lmtp(harness, [ANN], content) == ["250 2.0.0 OK # (next hop: 250 2.0.0 taken)"]
    assert harness.spool.count() == 2
    harness.hop.answers = {}
    await harness.retry_until_empty()
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [ANN, BOB, "news@sender.example"]
    assert kinds(harness)[(CY, "bounce")] == 1


async def test_who_is_added_has_one_copy_though_a_named_recipient_s_is_deferred(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER}
    content = b'X-MSYS-API: {"bcc" : ["cy@c.example"]}\r\n' + PLAIN
    replies = await lmtp(harness, [ANN, BOB], content)
    assert replies == ["250 2.0.0 OK # (next hop: 250 2.0.0 taken)", "250 2.0.0 OK # (queued)"]
    harness.hop.answers = {}
    await harness.retry_until_empty()
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [ANN, BOB, CY]
    assert kinds(harness)[(BOB, "delivery")] == 1


POLICY = (
    "from mailwake.policy import CONT, refuse\n"
    "def validate_data_spool_each_rcpt(message, accept, context):\n"
    "    if message.rcptto.startswith('bob'):\n        return refuse(550, '5.7.1 not to Bob')\n"
    "    if message.rcptto.startswith('cy'):\n        message.discard('no')\n"
    "    return CONT\n"
)


@pytest.fixture
async def with_policy(tmp_path: Path) -> AsyncIterator[MessageHarness]:
    file = tmp_path / "policy.py"
    file.write_text(POLICY)
    harness = MessageHarness(tmp_path, {})
    harness.policy_hosts = [ConfiguredPolicy(PythonPolicy(file))]
    await harness.start()
    yield harness
    await harness.stop()


async def test_policy_refuses_one_recipient_and_the_others_have_their_copies(with_policy: MessageHarness) -> None:
    replies = await lmtp(with_policy, [CY, BOB, ANN])
    assert replies == ["250 2.0.0 OK", "550 5.7.1 not to Bob", "250 2.0.0 OK # (next hop: 250 2.0.0 taken)"]
    assert [recipient for recipient, _ in with_policy.hop.taken] == [ANN]
    assert kinds(with_policy) == {(ANN, "injection"): 1, (ANN, "delivery"): 1, (BOB, "policy_rejection"): 1}


async def test_policy_can_leave_nobody(with_policy: MessageHarness) -> None:
    assert await lmtp(with_policy, [BOB, CY]) == ["550 5.7.1 not to Bob", "250 2.0.0 OK"]
    assert kinds(with_policy) == {(BOB, "policy_rejection"): 1}
    assert await lmtp(with_policy, [CY, CY]) == ["250 2.0.0 OK"] * 2


async def test_in_smtp_a_refusal_for_one_is_for_all(with_policy: MessageHarness) -> None:
    assert str(await with_policy.receive([BOB, ANN], PLAIN)) == "550 5.7.1 not to Bob"
    assert str(await with_policy.receive([CY], PLAIN)) == "250 2.0.0 OK"
    assert with_policy.hop.taken == []


async def test_a_refused_message_is_refused_to_all(begin: Begin) -> None:
    harness = await begin()
    session = harness.session()
    session.lmtp = True
    content = b"X-MSYS-API: {\r\n" + PLAIN
    answer = await harness.flow.receive(session, Envelope("a@b.example", [ANN, BOB]), content)
    assert isinstance(answer, Reply)  # the protocol says it to each
    assert answer.is_permanent


async def test_the_received_field_says_lmtp(begin: Begin) -> None:
    harness = await begin()
    await lmtp(harness, [ANN])
    ((_, content),) = harness.hop.taken
    assert b" with LMTP id " in content


# --- what else of the envelope reaches the next hop


async def test_with_verp_each_copy_has_a_sender_of_its_own(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER, CY: NEVER}
    envelope = Envelope("owner@sender.example", [ANN, BOB, CY], verp="+=")
    answer = await harness.flow.receive(harness.session(), envelope, PLAIN)
    assert answer.is_positive
    harness.hop.answers = {}
    await harness.retry_until_empty()
    senders = {each.recipients[0]: each.sender for each in harness.hop.envelopes}
    assert senders == {
        ANN: "owner+ann=a.example@sender.example",
        BOB: "owner+bob=b.example@sender.example",
        CY: "owner+cy=c.example@sender.example",
        "owner+cy=c.example@sender.example": "",  # the bounce
    }
    assert {event.msg_from for event in harness.events()} == {"owner@sender.example"}


async def test_binary_content_is_relayed_as_it_is(begin: Begin) -> None:
    harness = await begin(trace_header="false")
    content = b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    content += bytes(range(256)) + b"\n.\n\r.\r\n.\r\n"
    answer = await harness.flow.receive(harness.session(), Envelope("a@b.example", [ANN], body="BINARYMIME"), content)
    assert answer.is_positive
    assert harness.hop.taken == [(ANN, content)]
    assert harness.hop.envelopes[0].body == "BINARYMIME"


async def test_what_waits_in_the_spool_is_still_binary(begin: Begin) -> None:
    harness = await begin(trace_header="false")
    harness.hop.answers = {BOB: LATER}
    content = b"Content-Transfer-Encoding: binary\r\n\r\n\0\n\r"
    await harness.flow.receive(harness.session(), Envelope("a@b.example", [ANN, BOB], body="BINARYMIME"), content)
    harness.hop.answers = {}
    await harness.retry_until_empty()
    assert sorted(harness.hop.taken) == [(ANN, content), (BOB, content)]
    assert {each.body for each in harness.hop.envelopes} == {"BINARYMIME"}


@pytest.mark.parametrize("lmtp_in", [False, True])
async def test_a_message_taken_into_the_spool_is_answered_at_once(begin: Begin, lmtp_in: bool) -> None:
    harness = await begin(**{"spool.acceptance": "spool"})
    session = harness.session()
    session.lmtp = lmtp_in
    answer = await harness.flow.receive(session, Envelope("a@b.example", [ANN, BOB]), PLAIN)
    assert isinstance(answer, Reply)  # in LMTP the protocol says it to each
    assert str(answer).endswith(" (queued)")


@pytest.mark.parametrize("full", [False, True])
async def test_who_is_refused_by_policy_is_told_so_also_where_mail_is_taken_into_the_spool(
    tmp_path: Path, full: bool
) -> None:
    file = tmp_path / "policy.py"
    file.write_text(POLICY)
    harness = MessageHarness(tmp_path, {"spool.acceptance": "spool"})
    harness.policy_hosts = [ConfiguredPolicy(PythonPolicy(file))]
    await harness.start()
    if full:
        harness.spool._database.execute("PRAGMA query_only=1")
    replies = await lmtp(harness, [CY, BOB, ANN])
    ours = "452 4.3.1 Insufficient system storage, try again later" if full else "250 2.0.0 OK # (queued)"
    assert replies == ["250 2.0.0 OK", "550 5.7.1 not to Bob", ours]
    harness.spool._database.execute("PRAGMA query_only=0")
    await harness.stop()
