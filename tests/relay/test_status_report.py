"""The reports, read by the standard library's e-mail package."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from typing import cast

import pytest

from mailwake.relay.delivery import Outcome, Status
from mailwake.relay.status_report import StatusReports
from mailwake.smtp.dsn import DsnRequest
from mailwake.smtp.replies import Reply
from mailwake.spool.contract import NewEntry
from mailwake.spool.steady_time import Moment

NOW = 1_700_000_000.0
MOMENT = Moment(steady=NOW, wall=NOW)
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
TAKEN = Outcome(Status.DELIVERED, Reply(250, "2.6.0", "queued"), "h:25", "content")
DEFERRED = Outcome(Status.DEFERRED, Reply(451, "4.2.1", "later"), "h:25", "rcpt")
REFUSED = Outcome(Status.REFUSED, Reply(550, "5.1.1", "no such\nuser"), "mx.b.example:25", "rcpt")


def _reports() -> StatusReports:
    return StatusReports("relay.example", random_bytes=lambda size: b"\x01" * size)


def _report(failed: NewEntry = FAILED, outcome: Outcome = REFUSED) -> tuple[NewEntry, EmailMessage]:
    entry = _reports().failed(failed, outcome, MOMENT)
    assert entry is not None
    message = email.message_from_bytes(entry.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return entry, message


def _parts(message: EmailMessage) -> list[EmailMessage]:
    return cast("list[EmailMessage]", message.get_payload())


def test_the_entry_goes_to_the_sender_from_nobody() -> None:
    entry, _ = _report()
    assert (entry.sender, entry.recipient, entry.is_report, entry.attempts) == ("", "sender@a.example", True, 0)
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


@pytest.mark.parametrize("failed", [replace(FAILED, sender=""), replace(FAILED, is_report=True)])
def test_nothing_is_reported_on_a_report(failed: NewEntry) -> None:
    assert _reports().failed(failed, REFUSED, MOMENT) is None


def test_international_mail_is_reported_by_rfc_6533() -> None:
    failed = replace(FAILED, recipient="bücher@b.example", smtputf8=True, content="Subject: ü\r\n\r\n".encode())
    entry, _ = _report(failed)
    assert not entry.smtputf8  # which its own recipient alone could need
    assert _report(replace(failed, sender="s\u00e4nder@a.example"))[0].smtputf8
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


def _fields(message: EmailMessage, block: int) -> dict[str, str]:
    return dict(cast("list[EmailMessage]", _parts(message)[1].get_payload())[block].items())


class TestWhatWasAskedOfReports:
    def test_never_is_never(self) -> None:
        never = replace(FAILED, dsn=DsnRequest("NEVER"))
        assert _reports().failed(never, REFUSED, MOMENT) is None
        assert _reports().delayed(never, DEFERRED, MOMENT, NOW + 60) is None
        assert _reports().relayed(never, TAKEN, MOMENT) is None

    @pytest.mark.parametrize("notify", ["", "FAILURE", "SUCCESS,FAILURE", "DELAY", "SUCCESS", "SUCCESS,FAILURE,DELAY"])
    def test_each_kind_goes_to_who_asked_for_it(self, notify: str) -> None:
        entry = replace(FAILED, dsn=DsnRequest(notify))
        assert (_reports().failed(entry, REFUSED, MOMENT) is not None) == (not notify or "FAILURE" in notify)
        assert (_reports().delayed(entry, DEFERRED, MOMENT, NOW) is not None) == (not notify or "DELAY" in notify)
        assert (_reports().relayed(entry, TAKEN, MOMENT) is not None) == ("SUCCESS" in notify)

    @pytest.mark.parametrize("about", [replace(FAILED, sender=""), replace(FAILED, is_report=True)])
    def test_nobody_hears_of_the_null_senders_mail_or_of_a_report(self, about: NewEntry) -> None:
        about = replace(about, dsn=DsnRequest("SUCCESS,FAILURE,DELAY"))
        assert _reports().failed(about, REFUSED, MOMENT) is None
        assert _reports().delayed(about, DEFERRED, MOMENT, NOW) is None
        assert _reports().relayed(about, TAKEN, MOMENT) is None

    def test_a_hop_that_has_taken_over_the_request_reports_itself(self) -> None:
        entry = replace(FAILED, dsn=DsnRequest("SUCCESS"))
        assert _reports().relayed(entry, replace(TAKEN, dsn_passed=True), MOMENT) is None

    def test_a_report_asks_for_none(self) -> None:
        entry, _ = _report()
        assert entry.dsn == DsnRequest("NEVER")

    def test_the_senders_own_names_come_back_without_their_encoding(self) -> None:
        asked = DsnRequest("", "rfc822;R+2Bx@B.example", "", "QQ+3D314+20159")
        _, message = _report(replace(FAILED, dsn=asked))
        assert next(iter(_fields(message, 0).items())) == ("Original-Envelope-Id", "QQ=314 159")
        assert list(_fields(message, 1).items())[:2] == [
            ("Original-Recipient", "rfc822; R+x@B.example"),
            ("Final-Recipient", "rfc822; r@b.example"),
        ]

    def test_names_of_the_sender_cannot_add_fields(self) -> None:
        asked = DsnRequest("", "rfc822;x+0D+0AAction:+20delivered", "", "a+0D+0AStatus:+202.0.0")
        _, message = _report(replace(FAILED, dsn=asked))
        assert _fields(message, 1)["Action"] == "failed"
        assert _fields(message, 0)["Original-Envelope-Id"] == "a  Status: 2.0.0"
        assert "Status" not in _fields(message, 0)

    def test_what_is_no_ascii_stays_encoded_in_a_report_that_is_ascii(self) -> None:
        _, message = _report(replace(FAILED, dsn=DsnRequest("", "utf-8;b+C3+BCcher@b.example")))
        assert _fields(message, 1)["Original-Recipient"] == "utf-8; b+C3+BCcher@b.example"

    def test_the_whole_message_comes_back_when_it_was_asked_for(self) -> None:
        _, message = _report(replace(FAILED, dsn=DsnRequest("", "", "FULL")))
        assert _parts(message)[2].get_content_type() == "message/rfc822"
        (returned,) = cast("list[EmailMessage]", _parts(message)[2].get_payload())
        assert returned["Subject"] == "news"
        assert returned.get_payload() == "SECRET BODY\r\n"
        assert "Your message is attached" in _parts(message)[0].get_content()

    @pytest.mark.parametrize(
        "entry",
        [
            replace(FAILED, dsn=DsnRequest("", "", "HDRS")),
            replace(FAILED, dsn=DsnRequest("", "", "FULL"), body="BINARYMIME"),
            replace(FAILED, dsn=DsnRequest("", "", "FULL"), content=FAILED.content + b"x" * (1 << 20)),
        ],
    )
    def test_only_the_header_of_others_of_binary_and_of_huge_messages(self, entry: NewEntry) -> None:
        _, message = _report(entry)
        assert _parts(message)[2].get_content_type() == "text/rfc822-headers"

    def test_a_whole_message_of_8_bits_is_declared(self) -> None:
        entry, message = _report(replace(FAILED, dsn=DsnRequest("", "", "FULL"), content=b"S: x\r\n\r\n\xe4\r\n"))
        assert entry.body == "8BITMIME"
        assert _parts(message)[2]["Content-Transfer-Encoding"] == "8bit"


def _read(entry: NewEntry | None) -> EmailMessage:
    assert entry is not None
    message = email.message_from_bytes(entry.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def test_a_report_of_delay() -> None:
    asked = replace(FAILED, dsn=DsnRequest("DELAY", "", "FULL"))
    message = _read(_reports().delayed(asked, DEFERRED, MOMENT, NOW + 5 * 86400))
    assert message["Subject"] == "Delayed mail, still being tried"
    assert _fields(message, 1) == {
        "Final-Recipient": "rfc822; r@b.example",
        "Action": "delayed",
        "Status": "4.2.1",
        "Remote-MTA": "dns; h",
        "Diagnostic-Code": "smtp; 451 4.2.1 later",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
        "Will-Retry-Until": "Sun, 19 Nov 2023 22:13:20 +0000",
    }
    assert _parts(message)[2].get_content_type() == "text/rfc822-headers"  # RET is for failures (RFC 3461 §4.3)


def test_a_report_of_success_where_reports_end() -> None:
    message = _read(_reports().relayed(replace(FAILED, dsn=DsnRequest("SUCCESS")), TAKEN, MOMENT))
    fields = _fields(message, 1)
    assert (fields["Action"], fields["Status"]) == ("relayed", "2.0.0")
    assert (message["Auto-Submitted"], message["MIME-Version"]) == ("auto-replied", "1.0")
    assert "handed to the next mail server" in _parts(message)[0].get_content()


def test_dates_are_those_on_the_wall() -> None:
    entry = _reports().failed(FAILED, REFUSED, Moment(steady=NOW, wall=NOW + 7200))
    message = _read(entry)
    assert _fields(message, 0)["Arrival-Date"] == "Tue, 14 Nov 2023 23:13:20 +0000"
    assert _fields(message, 1)["Last-Attempt-Date"] == "Wed, 15 Nov 2023 00:13:20 +0000"
    assert entry is not None
    assert entry.queued_at == NOW


def test_a_next_hop_that_says_much_in_any_script_leaves_a_report_that_every_server_takes() -> None:
    chatty = replace(REFUSED, reply=Reply(550, "5.1.1", "\n".join(["Empf\u00e4nger unbekannt, " * 90, "x" * 60_000])))
    entry, message = _report(outcome=chatty)
    assert max(map(len, entry.content.split(b"\r\n"))) <= 998  # RFC 5321 §4.5.3.1.6
    assert "Empf\u00e4nger unbekannt" in _parts(message)[0].get_content()
    assert entry.body == "8BITMIME"
    assert message["Content-Transfer-Encoding"] == "8bit"  # RFC 2045 §6.4: a part of it is
