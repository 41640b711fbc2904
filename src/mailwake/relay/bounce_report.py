"""The report to the sender about a copy that could not be delivered (RFC 3464, in RFC 6522's multipart/report)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from mailwake.relay.delivery import Status
from mailwake.spool.contract import NewEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.relay.delivery import Outcome

_MAX_RETURNED_HEADER = 64 << 10


class BounceReports:
    """Makes the spool entries of reports; `reporting_mta` is this host's own name (RFC 3464 §2.2.2)."""

    def __init__(self, reporting_mta: str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._reporting_mta = reporting_mta
        self._random_bytes = random_bytes

    def entry(self, failed: NewEntry, outcome: Outcome, now: float) -> NewEntry | None:
        """The report on `failed`, due at once, for its sender; None if it may not have one (RFC 5321 §4.5.5)."""
        if not failed.sender or failed.is_bounce:
            return None
        unique = self._random_bytes(12).hex()
        content = self._content(failed, outcome, now, unique)
        return NewEntry(
            sender="",
            recipient=failed.sender,
            content=content,
            smtputf8=failed.smtputf8 or not failed.sender.isascii(),
            body="7BIT" if content.isascii() else "8BITMIME",
            transmission_id=failed.transmission_id,
            message_id=failed.message_id,
            first_reply="",
            queued_at=now,
            next_attempt=now,
            attempts=0,
            is_bounce=True,
        )

    def _content(self, failed: NewEntry, outcome: Outcome, now: float, unique: str) -> bytes:
        international = failed.smtputf8 or not (failed.recipient + failed.sender).isascii()
        boundary = f"=_{unique}"
        returned = _returned_header(failed.content)
        parts = (
            _part("text/plain; charset=utf-8", self._explanation(failed, outcome).encode()),
            _part(
                "message/global-delivery-status" if international else "message/delivery-status",
                self._status(failed, outcome, now, international=international).encode(),
            ),
            _part("message/global-headers" if international else "text/rfc822-headers", returned),
        )
        lines = [
            f"From: Mail Delivery System <MAILER-DAEMON@{self._reporting_mta}>",
            f"To: <{failed.sender}>",
            "Subject: Undelivered mail returned to sender",
            f"Date: {_date(now)}",
            f"Message-ID: <{unique}@{self._reporting_mta}>",
            "Auto-Submitted: auto-replied",  # RFC 3834 §5: no vacation reply answers this
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
            "",
            "",
        ]
        separator = f"--{boundary}\r\n".encode()
        return b"".join(
            ("\r\n".join(lines).encode(), *(separator + part for part in parts), f"--{boundary}--\r\n".encode())
        )

    def _explanation(self, failed: NewEntry, outcome: Outcome) -> str:
        reason = "refused it" if outcome.status is Status.REFUSED else "did not take it in time; it was given up"
        return (
            f"This is the mail system at {self._reporting_mta}.\r\n\r\n"
            f"Your message could not be delivered to\r\n\r\n    <{failed.recipient}>\r\n\r\n"
            f"because the next mail server ({outcome.next_hop}) {reason}.\r\nIts reply was:\r\n\r\n"
            f"    {_one_line(str(outcome.reply))}\r\n\r\nThe header of your message is attached.\r\n"
        )

    def _status(self, failed: NewEntry, outcome: Outcome, now: float, *, international: bool) -> str:
        """RFC 3464 §2.2 and §2.3; the address type utf-8 is RFC 6533 §3."""
        address_type = "utf-8" if international else "rfc822"
        host = outcome.next_hop.rpartition(":")[0].strip("[]") or outcome.next_hop
        return (
            f"Reporting-MTA: dns; {self._reporting_mta}\r\n"
            f"Arrival-Date: {_date(failed.queued_at)}\r\n\r\n"
            f"Final-Recipient: {address_type}; {failed.recipient}\r\n"
            "Action: failed\r\n"
            f"Status: {_status_code(outcome)}\r\n"
            f"Remote-MTA: dns; {host}\r\n"
            f"Diagnostic-Code: smtp; {_diagnostic(str(outcome.reply))}\r\n"
            f"Last-Attempt-Date: {_date(now)}\r\n\r\n"
        )


def _status_code(outcome: Outcome) -> str:
    """The enhanced code of the refusal; one that went on until the copy expired is 4.4.7 (RFC 3463 §3.5)."""
    if outcome.status is not Status.REFUSED:
        return "4.4.7"
    return outcome.reply.enhanced or "5.0.0"


def _part(content_type: str, body: bytes) -> bytes:
    encoding = b"" if body.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Type: " + content_type.encode() + b"\r\n" + encoding + b"\r\n" + body + b"\r\n"


def _returned_header(content: bytes) -> bytes:
    """The header block of the failed copy with its last CRLF, cut at a line end when it is huge."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n")
    header = content[: end + 2] if end >= 0 else content
    if len(header) > _MAX_RETURNED_HEADER:
        header = header[: header.rfind(b"\r\n", 0, _MAX_RETURNED_HEADER) + 2]
    return header


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _diagnostic(text: str) -> str:
    """The reply in ASCII, as RFC 3464 wants it, on one line of sane length."""
    return _one_line(text).encode("ascii", "replace").decode()[:800]


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
