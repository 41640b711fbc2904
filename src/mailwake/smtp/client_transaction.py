"""One message on its way to one recipient: its commands, its content as DATA wants it, and what became of it so far."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.smtp.dsn import NO_REQUEST, DsnRequest
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.smtp.client_handshake import Capabilities
    from mailwake.smtp.envelope import BodyType

# What may stand between the angle brackets: quoted strings keep their spaces and brackets, and no control character
# passes, so no address can end its command and start another.
_PATH = re.compile(r'(?:[^\x00-\x20\x7f<>"\\]|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*+")*+')
_VALUE = re.compile(r"[^\x00-\x20\x7f]*+")
"""What a parameter's value may hold, for the same reason: RFC 5321 §4.1.2, esmtp-value."""


@dataclass(slots=True, eq=False)
class Transaction:
    """A mail transaction (RFC 5321 §3.3) with one recipient, and its state while it is in hand."""

    sender: str
    recipient: str
    pieces: Sequence[bytes]
    """Joined, the message: lines end in CRLF, and no CR or LF stands alone unless `body` is BINARYMIME."""

    smtputf8: bool = False
    body: BodyType = "7BIT"
    dsn: DsnRequest = NO_REQUEST

    size: int = field(init=False)
    """Octets of the content before dot-stuffing (RFC 1870 §5)."""

    content_sent: bool = False
    """Whether all of the content has been handed over for sending: from here on the server may have taken it."""

    mail_refused: bool = False
    recipient_accepted: bool = False
    refusal: tuple[Reply, str] | None = None
    """The first refusal and its stage, while later replies are still awaited."""

    steps: deque[tuple[str, Sequence[bytes]]] = field(default_factory=deque)
    """What is still to be sent, one step after each reply, to a server without PIPELINING."""

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.pieces))

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it."""
        return self.smtputf8 or not (
            self.sender.isascii() and self.recipient.isascii() and self.dsn.original_recipient.isascii()
        )

    def renewed(self) -> Transaction:
        """The same, as if it had never been sent."""
        return Transaction(self.sender, self.recipient, self.pieces, self.smtputf8, self.body, self.dsn)


def body_fits(body: BodyType, offered: Capabilities) -> bool:
    """Whether content of this kind can go as it is to a server that offers this.

    8-bit content may go to any: what becomes of it without 8BITMIME is decided before (`relay/downgrade.py`).
    """
    return body != "BINARYMIME" or offered.binary_mime


def refuse_locally(transaction: Transaction, offered: Capabilities) -> Reply | None:
    """Why this can never be sent to a server that offers this, as the reply to give; None if it can."""
    if _PATH.fullmatch(transaction.sender) is None:
        return Reply(553, "5.1.7", "Sender address cannot be written in SMTP")
    if not transaction.recipient or _PATH.fullmatch(transaction.recipient) is None:
        return Reply(553, "5.1.3", "Recipient address cannot be written in SMTP")
    if not offered.smtputf8 and transaction.needs_smtputf8:
        return Reply(550, "5.6.7", "Next hop does not offer SMTPUTF8, which this message needs")
    if not body_fits(transaction.body, offered):
        return Reply(550, "5.6.3", "Next hop does not offer BINARYMIME, which this message needs")
    if transaction.dsn is not NO_REQUEST and not _can_be_written(transaction.dsn):
        return Reply(501, "5.5.4", "DSN parameters cannot be written in SMTP")
    if offered.size and transaction.size > offered.size:
        return Reply(552, "5.3.4", f"Message size exceeds the next hop's limit of {offered.size} octets")
    return None


def _can_be_written(dsn: DsnRequest) -> bool:
    return all(map(_VALUE.fullmatch, (dsn.notify, dsn.original_recipient, dsn.returned, dsn.envelope_id)))


def mail_command(transaction: Transaction, offered: Capabilities) -> str:
    """MAIL with the parameters that the server offers."""
    parameters = ""
    if offered.size is not None:
        parameters = f" SIZE={transaction.size}"
    if transaction.body == "BINARYMIME":
        parameters += " BODY=BINARYMIME"
    elif transaction.body == "8BITMIME" and offered.eight_bit_mime:
        parameters += " BODY=8BITMIME"
    if offered.smtputf8 and transaction.needs_smtputf8:
        parameters += " SMTPUTF8"
    if offered.dsn and transaction.dsn is not NO_REQUEST:
        dsn = transaction.dsn
        parameters += _parameters(("RET", dsn.returned), ("ENVID", dsn.envelope_id))  # RFC 3461 §4.3, §4.4
    return f"MAIL FROM:<{transaction.sender}>{parameters}\r\n"


def rcpt_command(transaction: Transaction, offered: Capabilities) -> str:
    """RCPT, with what was asked of reports if the server offers DSN."""
    parameters = ""
    if offered.dsn and transaction.dsn is not NO_REQUEST:
        dsn = transaction.dsn
        parameters = _parameters(("NOTIFY", dsn.notify), ("ORCPT", dsn.original_recipient))  # RFC 3461 §4.1, §4.2
    return f"RCPT TO:<{transaction.recipient}>{parameters}\r\n"


def _parameters(*values: tuple[str, str]) -> str:
    return "".join(f" {keyword}={value}" for keyword, value in values if value)


def data_content(pieces: Sequence[bytes]) -> bytes:
    """The content for DATA: dot-stuffed (RFC 5321 §4.5.2), closed by CRLF if it was not, with the final dot."""
    content = b"".join(pieces)
    if content.rfind(b"\r\n.") >= 0:  # half the time of `in`, which finds the same
        content = content.replace(b"\r\n.", b"\r\n..")
    start = b"." if content.startswith(b".") else b""
    return b"".join((start, content, b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n"))
