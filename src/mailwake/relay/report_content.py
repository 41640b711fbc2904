"""The content of a report (RFC 3464, in RFC 6522's multipart/report; RFC 6533 for internationalised mail)."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from mailwake.relay.delivery import Status
from mailwake.smtp.xtext import XtextError, decode_xtext

if TYPE_CHECKING:
    from mailwake.relay.delivery import Outcome
    from mailwake.spool.contract import NewEntry
    from mailwake.spool.steady_time import Moment

Action = Literal["failed", "delayed", "relayed"]
"""RFC 3464 §2.3.3; `delivered` and `expanded` are not for a relay to say."""

MAX_RETURNED_MESSAGE = 1 << 20
"""A longer message is returned as its header, whatever RET says: a report must not be too large to be delivered."""

_MAX_RETURNED_HEADER = 64 << 10
_LONGEST_REPLY = 800
"""Characters of the next hop's reply that are told."""

_SUBJECTS: dict[Action, str] = {
    "failed": "Undelivered mail returned to sender",
    "delayed": "Delayed mail, still being tried",
    "relayed": "Your mail was relayed",
}


class Reported(NamedTuple):
    """What is reported: the action, the attempt that it is about, and for a delay until when (on the wall)."""

    action: Action
    outcome: Outcome
    retry_until: float = 0.0
    by_operator: bool = False
    """Whether nobody refused it: an operator of ours has removed it."""


def report_content(about: NewEntry, reported: Reported, moment: Moment, *, reporting_mta: str, unique: str) -> bytes:
    """The whole message; `unique` becomes its Message-ID and boundary."""
    international = about.smtputf8 or not (about.recipient + about.sender).isascii()
    boundary = f"=_{unique}"
    returned_type, returned = _returned(about, reported.action, international=international)
    whole = returned_type in ("message/rfc822", "message/global")
    parts = (
        _part("text/plain; charset=utf-8", _explanation(about, reported, reporting_mta, whole=whole).encode()),
        _part(
            "message/global-delivery-status" if international else "message/delivery-status",
            _status(about, reported, moment, reporting_mta, international=international).encode(),
        ),
        _part(returned_type, returned),
    )
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{reporting_mta}>",
        f"To: <{about.sender}>",
        f"Subject: {_SUBJECTS[reported.action]}",
        f"Date: {_date(moment.wall)}",
        f"Message-ID: <{unique}@{reporting_mta}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5: no vacation reply answers this
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
        *([] if all(map(bytes.isascii, parts)) else ["Content-Transfer-Encoding: 8bit"]),
        "",
        "",
    ]
    separator = f"--{boundary}\r\n".encode()
    return b"".join(
        ("\r\n".join(lines).encode(), *(separator + part for part in parts), f"--{boundary}--\r\n".encode())
    )


def _explanation(about: NewEntry, reported: Reported, reporting_mta: str, *, whole: bool) -> str:
    outcome = reported.outcome
    start = f"This is the mail system at {reporting_mta}.\r\n\r\n"
    recipient = f"\r\n\r\n    <{about.recipient}>\r\n\r\n"
    said = textwrap.wrap(_one_line(str(outcome.reply))[:_LONGEST_REPLY], 72)
    reply = "\r\n".join(["Its reply was:", "", *(f"    {line}" for line in said), "", ""])
    attached = f"{'Your message' if whole else 'The header of your message'} is attached.\r\n"
    if reported.action == "relayed":
        return (
            f"{start}Your message to{recipient}was handed to the next mail server ({outcome.next_hop}),\r\n"
            f"which sends no reports of success. You will hear no more unless it fails.\r\n{reply}{attached}"
        )
    if reported.action == "delayed":
        return (
            f"{start}Your message has not been delivered yet to{recipient}"
            f"The next mail server ({outcome.next_hop}) did not take it.\r\n{reply}"
            f"You need not do anything: it is tried until {_date(reported.retry_until)}.\r\n\r\n{attached}"
        )
    if reported.by_operator:
        return (
            f"{start}Your message could not be delivered to{recipient}"
            f"The administrator of this mail system has removed it from the queue.\r\n\r\n{attached}"
        )
    reason = "refused it" if outcome.status is Status.REFUSED else "did not take it in time; it was given up"
    return (
        f"{start}Your message could not be delivered to{recipient}"
        f"because the next mail server ({outcome.next_hop}) {reason}.\r\n{reply}{attached}"
    )


def _status(about: NewEntry, reported: Reported, moment: Moment, reporting_mta: str, *, international: bool) -> str:
    """RFC 3464 §2.2 and §2.3; the address type utf-8 is RFC 6533 §3."""
    outcome = reported.outcome
    host = outcome.next_hop.rpartition(":")[0].strip("[]") or outcome.next_hop
    of_message = [f"Reporting-MTA: dns; {reporting_mta}"]
    if about.dsn.envelope_id:
        of_message.insert(
            0, f"Original-Envelope-Id: {_from_xtext(about.dsn.envelope_id, ascii_only=not international)}"
        )
    of_message.append(f"Arrival-Date: {_date(moment.on_the_wall(about.queued_at))}")
    of_recipient = [
        f"Final-Recipient: {'utf-8' if international else 'rfc822'}; {about.recipient}",
        f"Action: {reported.action}",
        f"Status: {_status_code(reported)}",
        f"Remote-MTA: dns; {host}",
        f"Diagnostic-Code: smtp; {_diagnostic(str(outcome.reply))}",
        f"Last-Attempt-Date: {_date(moment.wall)}",
    ]
    kind, _, original = about.dsn.original_recipient.partition(";")
    if original:  # RFC 3464 §2.3.1: it comes first
        of_recipient.insert(0, f"Original-Recipient: {kind}; {_from_xtext(original, ascii_only=not international)}")
    if reported.action == "delayed":
        of_recipient.append(f"Will-Retry-Until: {_date(reported.retry_until)}")
    return "\r\n".join([*of_message, "", *of_recipient, "", ""])


def _status_code(reported: Reported) -> str:
    """RFC 3463: the next hop's enhanced code; 4.4.7 (§3.5) for what went on until the copy expired."""
    if reported.action == "relayed":
        return "2.0.0"  # whatever more the next hop may say of itself
    if reported.outcome.status is Status.REFUSED:
        return reported.outcome.reply.enhanced or "5.0.0"
    if reported.action == "failed":
        return "4.4.7"
    return reported.outcome.reply.enhanced or "4.0.0"


def _returned(about: NewEntry, action: Action, *, international: bool) -> tuple[str, bytes]:
    """Type and content of the last part; RET is for failures alone (RFC 3461 §4.3)."""
    content = about.whole
    # A stray CR or LF has no place in a report, which is no BINARYMIME.
    wanted = action == "failed" and about.dsn.returned == "FULL" and about.body != "BINARYMIME"
    if wanted and len(content) <= MAX_RETURNED_MESSAGE:
        return ("message/global" if international else "message/rfc822"), content
    return ("message/global-headers" if international else "text/rfc822-headers"), _returned_header(content)


def _part(content_type: str, body: bytes) -> bytes:
    encoding = b"" if body.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Type: " + content_type.encode() + b"\r\n" + encoding + b"\r\n" + body + b"\r\n"


def _returned_header(content: bytes) -> bytes:
    """The header block of the copy with its last CRLF, cut at a line end when it is huge."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n")
    header = content[: end + 2] if end >= 0 else content
    if len(header) > _MAX_RETURNED_HEADER:
        header = header[: header.rfind(b"\r\n", 0, _MAX_RETURNED_HEADER) + 2]
    return header


def _from_xtext(text: str, *, ascii_only: bool) -> str:
    """What the sender meant (RFC 3461 §4.2, §4.4: without the encoding); as it came where that cannot be said here."""
    try:
        decoded = decode_xtext(text)
    except XtextError:
        return _one_line(text)
    return _one_line(text if ascii_only and not decoded.isascii() else decoded)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _diagnostic(text: str) -> str:
    """The reply in ASCII, as RFC 3464 wants it, on one line of sane length."""
    return _one_line(text).encode("ascii", "replace").decode()[:_LONGEST_REPLY]


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
