"""`[spool] acceptance = "spool"`, and what senders are told, with all real parts."""

from __future__ import annotations

import asyncio
import email
import email.policy
import quopri
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwake.events.model import EventType
from mailwake.flows import spool_acceptance
from mailwake.listener.session import Session
from mailwake.relay import route_pauses
from mailwake.smtp.dsn import DsnRequest
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.extensions import extensions_without
from mailwake.smtp.replies import Reply
from mailwake.spool.sqlite_spool import SqliteSpool

from .message_harness import MessageHarness

Begin = Callable[..., Awaitable[MessageHarness]]
ANN, BOB, CY = "ann@a.example", "Bob@B.example", "cy@c.example"
SENDER = "news@sender.example"
NEVER = Reply(550, "5.1.1", "no such user")
LATER = Reply(450, "4.2.1", "mailbox busy")
PLAIN = b"Subject: nothing to track\r\n\r\nhello\r\n"
TRACKED = (
    b'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\nSubject: x\r\n'
    b"Content-Type: text/html\r\n\r\n"
    b'<html><body><a href="https://www.example.org/">x</a>' + b"<p>much text</p>\r\n" * 2000 + b"</body></html>\r\n"
)


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    started: list[MessageHarness] = []

    async def start(acceptance: str = "spool") -> MessageHarness:
        harness = MessageHarness(tmp_path, {"spool.acceptance": acceptance})
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for harness in started:
        await harness.stop()


def _types(harness: MessageHarness) -> Counter[str]:
    return Counter(event.type.wire_name for event in harness.events())


def _full(spool: SqliteSpool, pages: int) -> None:
    """Let the file grow by so many pages and no more: SQLite then says what it says on a full disk."""
    (used,) = spool._database.execute("PRAGMA page_count").fetchone()
    spool._database.execute(f"PRAGMA max_page_count={used + pages}")


async def test_a_message_is_taken_while_the_next_hop_is_down_and_relayed_when_it_is_back(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_pauses, "FIRST_PAUSE", 0.05)
    harness = await begin()
    await harness.hop.stop()
    reply = await harness.receive([ANN, BOB], TRACKED)
    assert str(reply).startswith("250 2.0.0 OK ")
    assert _types(harness)["injection"] == 2
    assert {entry.recipient for entry in harness.spool.list()} == {ANN, BOB}
    await harness.hop.start()
    await harness.retry_until_empty()
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [BOB, ANN]
    assert _types(harness)["delivery"] == 2


async def test_the_first_attempt_has_had_no_retries(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER}
    await harness.receive([ANN, BOB], PLAIN)
    await harness.retries.settle()
    events = {(event.type, event.raw_rcpt_to): event for event in harness.events() if event.type != EventType.INJECTION}
    assert set(events) == {(EventType.DELIVERY, ANN), (EventType.DELAY, BOB)}
    assert {event.num_retries for event in events.values()} == {0}
    harness.hop.answers = {}
    await harness.retry_until_empty()
    last = harness.events()[-1]
    assert (last.type, last.raw_rcpt_to, last.num_retries) == (EventType.DELIVERY, BOB, 1)


async def test_refusals_are_reported_also_when_everybody_is_refused(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {ANN: NEVER}
    assert (await harness.receive([ANN], PLAIN)).code == 250
    await harness.retry_until_empty()
    assert [recipient for recipient, _ in harness.hop.taken] == [SENDER]
    assert _types(harness) == {"injection": 1, "bounce": 1}


async def test_a_spool_that_is_full_refuses_for_now_and_keeps_nothing(begin: Begin) -> None:
    harness = await begin()
    _full(harness.spool, 3)
    reply = await harness.receive([ANN, BOB], PLAIN + b"x" * 100_000 + b"\r\n")
    assert str(reply) == "452 4.3.1 Insufficient system storage, try again later"
    assert harness.spool.count() == 0
    assert harness.events() == []
    _full(harness.spool, 100_000)
    assert (await harness.receive([ANN, BOB], PLAIN)).code == 250
    await harness.retry_until_empty()
    assert Counter(recipient for recipient, _ in harness.hop.taken) == {ANN: 1, BOB: 1}


async def test_many_recipients_come_in_parts_and_are_seen_together(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_acceptance, "STAGED_OCTETS", 100_000)
    harness = await begin()
    recipients = [f"r{number}@c.example" for number in range(300)]
    assert (await harness.receive(recipients, TRACKED)).code == 250
    assert _types(harness)["injection"] == 300
    await harness.retry_until_empty()
    assert Counter(recipient for recipient, _ in harness.hop.taken) == dict.fromkeys(recipients, 1)
    assert len({content for _, content in harness.hop.taken}) == 300


async def test_what_copies_share_is_stored_once(begin: Begin) -> None:
    harness = await begin()
    await harness.hop.stop()
    await harness.receive([f"r{number}@c.example" for number in range(100)], TRACKED)
    database = harness.spool._database
    (stored,) = database.execute(
        "SELECT sum(length(content)) + (SELECT sum(length(own)) FROM entries) FROM contents"
    ).fetchone()
    (whole,) = database.execute("SELECT sum(size) FROM entries").fetchone()
    assert stored < whole / 20


async def test_a_part_that_cannot_be_kept_takes_the_others_with_it(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_acceptance, "STAGED_OCTETS", 100_000)
    harness = await begin()
    _full(harness.spool, 60)
    assert (await harness.receive([f"r{number}@c.example" for number in range(300)], TRACKED)).code == 452
    assert harness.spool.count() == 0
    assert harness.events() == []
    assert harness.hop.asked == []


async def test_injection_events_that_the_journal_did_not_get_are_in_the_spool(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await begin()

    async def killed(events: Any) -> None: ...

    with monkeypatch.context() as patched:
        patched.setattr(harness.outbox, "publish", killed)
        await harness.receive([ANN], PLAIN)
        await harness.retries.settle()
    assert harness.hop.asked == [ANN]
    assert harness.events() == []
    # The worker dies here; its successor finds the events.
    await harness.front.close()
    harness.spool.close()
    successor = SqliteSpool(harness.directory / "spool.sqlite3")
    successor.recover()
    for events in successor.left_events(10):
        await harness.journal.append_many(events.payloads)
        successor.forget_events([events.key])
    assert _types(harness) == {"injection": 1, "delivery": 1}
    assert successor.left_events(10) == []
    successor.close()


async def test_nothing_is_kept_of_events_that_the_journal_has(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], PLAIN)
    await harness.retries.settle()
    await harness.front.close()
    assert harness.spool._database.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


class TestReportsToTheSender:
    @pytest.mark.parametrize("acceptance", ["spool", "after-relay"])
    async def test_success_is_reported_where_reports_end(self, begin: Begin, acceptance: str) -> None:
        harness = await begin(acceptance)
        harness.hop.extensions = extensions_without(("DSN",))
        envelope = Envelope(SENDER, [ANN, BOB], envelope_id="QQ1", requests={BOB: DsnRequest("SUCCESS")})
        assert (await harness.flow.receive(harness.session(), envelope, PLAIN)).code == 250
        await harness.retry_until_empty()
        reports = [content for recipient, content in harness.hop.taken if recipient == SENDER]
        (report,) = (email.message_from_bytes(content, policy=email.policy.default) for content in reports)
        status = report.as_string()
        assert "Action: relayed" in status
        assert "Final-Recipient: rfc822; Bob@B.example" in status
        assert "Original-Envelope-Id: QQ1" in status
        assert ANN not in status

    @pytest.mark.parametrize("acceptance", ["spool", "after-relay"])
    async def test_a_next_hop_with_dsn_reports_success_itself(self, begin: Begin, acceptance: str) -> None:
        harness = await begin(acceptance)
        envelope = Envelope(SENDER, [BOB], requests={BOB: DsnRequest("SUCCESS")})
        assert (await harness.flow.receive(harness.session(), envelope, PLAIN)).code == 250
        await harness.retry_until_empty()
        assert [recipient for recipient, _ in harness.hop.taken] == [BOB]

    @pytest.mark.parametrize("acceptance", ["spool", "after-relay"])
    async def test_never_is_never(self, begin: Begin, acceptance: str) -> None:
        harness = await begin(acceptance)
        harness.hop.answers = {BOB: NEVER}
        envelope = Envelope(SENDER, [ANN, BOB], requests={BOB: DsnRequest("NEVER")})
        assert (await harness.flow.receive(harness.session(), envelope, PLAIN)).code == 250
        await harness.retry_until_empty()
        assert [recipient for recipient, _ in harness.hop.taken] == [ANN]

    @pytest.mark.parametrize("missing", [("SMTPUTF8",), ("SMTPUTF8", "8BITMIME")])
    async def test_a_sender_hears_that_the_next_hop_takes_no_internationalised_mail(
        self, begin: Begin, missing: tuple[str, ...]
    ) -> None:
        harness = await begin()
        harness.hop.extensions = extensions_without(missing)
        envelope = Envelope(SENDER, ["b\u00fccher@b.example"], smtputf8=True, body="8BITMIME")
        content = "Subject: \u00fc\r\n\r\n\u00fc\r\n".encode()
        assert (await harness.flow.receive(harness.session(), envelope, content)).code == 250
        await harness.retry_until_empty()
        ((recipient, report),) = harness.hop.taken
        assert recipient == SENDER
        assert report.isascii() == ("8BITMIME" in missing)
        plain = (quopri.decodestring(report) if report.isascii() else report).decode(errors="replace")
        assert "Final-Recipient: utf-8; b\u00fccher@b.example\r\n" in plain
        assert "Subject: \u00fc\r\n" in plain

    async def test_a_report_whose_address_leads_back_to_us_ends_there(
        self, begin: Begin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        harness = await begin()
        harness.hop.answers = {ANN: NEVER, SENDER: NEVER}
        came_back: list[str] = []
        receive = harness.hop.receive

        async def back_to_us(session: Session, envelope: Envelope, content: bytes) -> Reply:
            if envelope.recipients == [SENDER] and not came_back:
                came_back.append(envelope.sender)
                reply = await harness.flow.receive(harness.session(), replace(envelope), content)
                assert isinstance(reply, Reply)
                return reply
            return await receive(session, envelope, content)

        monkeypatch.setattr(harness.hop, "receive", back_to_us)
        assert (await harness.receive([ANN], PLAIN)).code == 250
        await harness.retry_until_empty()
        assert came_back == [""]
        assert harness.hop.asked == [ANN, SENDER]
        assert harness.metrics.counter("spool_reports_dropped_total").value == 1


async def test_messages_that_come_together_share_disk_syncs(begin: Begin) -> None:
    harness = await begin()
    groups: list[int] = []
    call_in_group = harness.spool.call_in_group

    def counted(calls: Any) -> Any:
        groups.append(len(calls))
        return call_in_group(calls)

    harness.spool.call_in_group = counted  # type: ignore[method-assign]
    replies = await asyncio.gather(*(harness.receive([f"r{n}@c.example"], PLAIN) for n in range(100)))
    assert {reply.code for reply in replies} == {250}
    await harness.retry_until_empty()
    assert sum(groups) >= 200  # each was put and settled
    assert len(groups) < 150
