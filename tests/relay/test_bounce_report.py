"""The bounce report, read by the standard library's e-mail package."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from typing import cast

import pytest

from mailwake.relay.bounce_report import BounceReports
from mailwake.relay.delivery import Outcome, Status
from mailwake.smtp.replies import Reply
from mailwake.spool.contract import NewEntry

NOW = 1_700_000_000.0
FAILED = NewEntry(
    sender="sender@a.example",
    recipient="r@b.example",
    content=b"Subject: news\r\nX-Long: a\r\n b\r\n\r\nSECRET BODY\r\n",
    smtputf8=False,
    body="7BIT",
    transmission_id=7,
    message_id="0007",
    first_reply="451 4.7.1 later",
    queued_at=NOW - 3600,
    next_attempt=NOW,
)
REFUSED = Outcome(Status.REFUSED, Reply(550, "5.1.1", "no such\nuser"), "mx.b.example:25", "rcpt")


def _reports() -> BounceReports:
    return BounceReports("relay.example", random_bytes=lambda size: b"\x01" * size)


def _report(failed: NewEntry = FAILED, outcome: Outcome = REFUSED) -> tuple[NewEntry, EmailMessage]:
    entry = _reports().entry(failed, outcome, NOW)
    assert entry is not None
    message = email.message_from_bytes(entry.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return entry, message


def _parts(message: EmailMessage) -> list[EmailMessage]:
    return cast("list[EmailMessage]", message.get_payload())


def test_the_entry_goes_to_the_sender_from_nobody() -> None:
    entry, _ = _report()
    assert (entry.sender, entry.recipient, entry.is_bounce, entry.attempts) == ("", "sender@a.example", True, 0)
    assert entry.next_attempt == NOW
    assert (entry.transmission_id, entry.message_id) == (7, "0007")
    assert entry.body == "7BIT"
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", entry.content) is None
    assert entry.content.endswith(b"\r\n")


def test_the_report_by_rfc_3464() -> None:
    _, message = _report()
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "sender@a.example"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Message-ID"] == "<010101010101010101010101@relay.example>"
    text, status, returned = _parts(message)
    assert "r@b.example" in text.get_content()
    assert "550 5.1.1 no such user" in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    of_message, of_recipient = cast("list[EmailMessage]", status.get_payload())[:2]
    assert dict(of_message.items()) == {
        "Reporting-MTA": "dns; relay.example",
        "Arrival-Date": "Tue, 14 Nov 2023 21:13:20 +0000",
    }
    assert dict(of_recipient.items()) == {
        "Final-Recipient": "rfc822; r@b.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.b.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True) == b"Subject: news\r\nX-Long: a\r\n b\r\n"
    assert b"SECRET BODY" not in message.as_bytes()


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(Status.REFUSED, Reply(554, "", "no"), "h:25", "content"), "5.0.0"),
        (Outcome(Status.DEFERRED, Reply(451, "4.2.1", "later"), "h:25", "rcpt"), "4.4.7"),
        (Outcome(Status.UNREACHABLE, Reply(451, "4.4.1", "down"), "[::1]:25", "connect"), "4.4.7"),
    ],
)
def test_status_codes(outcome: Outcome, status: str) -> None:
    _, message = _report(outcome=outcome)
    of_recipient = cast("list[EmailMessage]", _parts(message)[1].get_payload())[1]
    assert of_recipient["Status"] == status
    assert of_recipient["Remote-MTA"] in ("dns; h", "dns; ::1")


@pytest.mark.parametrize("failed", [replace(FAILED, sender=""), replace(FAILED, is_bounce=True)])
def test_nothing_is_reported_on_a_report(failed: NewEntry) -> None:
    assert _reports().entry(failed, REFUSED, NOW) is None


def test_international_mail_is_reported_by_rfc_6533() -> None:
    failed = replace(FAILED, recipient="bücher@b.example", smtputf8=True, content="Subject: ü\r\n\r\n".encode())
    entry, _ = _report(failed)
    assert entry.smtputf8
    assert entry.body == "8BITMIME"
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n" in entry.content
    assert "Final-Recipient: utf-8; bücher@b.example\r\n".encode() in entry.content
    assert b"Content-Type: message/global-headers\r\n" in entry.content


def test_raw_octets_in_a_returned_header_are_declared() -> None:
    entry, message = _report(replace(FAILED, content=b"Subject: \xe4\r\n\r\nx\r\n"))
    assert entry.body == "8BITMIME"
    assert not entry.smtputf8
    assert _parts(message)[2]["Content-Transfer-Encoding"] == "8bit"


@pytest.mark.parametrize(
    ("content", "returned"),
    [
        (b"\r\nbody only\r\n", b""),
        (b"Subject: no body\r\n", b"Subject: no body\r\n"),
        (b"", b""),
        (b"A: b\r\n" * 20_000 + b"\r\nx", b"A: b\r\n" * (65536 // 6)),
    ],
)
def test_odd_headers(content: bytes, returned: bytes) -> None:
    _, message = _report(replace(FAILED, content=content))
    assert _parts(message)[2].get_payload(decode=True) == returned


def test_a_reply_cannot_add_fields_to_the_report() -> None:
    evil = Outcome(Status.REFUSED, Reply(550, "5.0.0", "no\r\nAction: delivered\r\n\r\nx\x85y"), "h:25", "rcpt")
    _, message = _report(outcome=evil)
    of_recipient = cast("list[EmailMessage]", _parts(message)[1].get_payload())[1]
    assert of_recipient.get_all("Action") == ["failed"]
