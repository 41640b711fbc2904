"""One message on its way to one recipient: its commands, its content as DATA wants it, and what became of it so far."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.smtp.client_handshake import Capabilities

# What may stand between the angle brackets: quoted strings keep their spaces and brackets, and no control character
# passes, so no address can end its command and start another.
_PATH = re.compile(r'(?:[^\x00-\x20\x7f<>"\\]|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*+")*+')


@dataclass(slots=True, eq=False)
class Transaction:
    """A mail transaction (RFC 5321 §3.3) with one recipient, and its state while it is in hand."""

    sender: str
    recipient: str
    pieces: Sequence[bytes]
    """Joined, the message: lines end in CRLF, and no CR or LF stands alone."""

    smtputf8: bool = False
    eight_bit: bool = False

    size: int = field(init=False)
    """Octets of the content before dot-stuffing (RFC 1870 §5)."""

    answered: bool = False
    """Whether any reply to this transaction has come: until then the server may never have seen it."""

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
        return self.smtputf8 or not (self.sender.isascii() and self.recipient.isascii())


def refuse_locally(transaction: Transaction, offered: Capabilities) -> Reply | None:
    """Why this can never be sent to a server that offers this, as the reply to give; None if it can."""
    if _PATH.fullmatch(transaction.sender) is None:
        return Reply(553, "5.1.7", "Sender address cannot be written in SMTP")
    if not transaction.recipient or _PATH.fullmatch(transaction.recipient) is None:
        return Reply(553, "5.1.3", "Recipient address cannot be written in SMTP")
    if not offered.smtputf8 and transaction.needs_smtputf8:
        return Reply(550, "5.6.7", "Next hop does not offer SMTPUTF8, which this message needs")
    if offered.size and transaction.size > offered.size:
        return Reply(552, "5.3.4", f"Message size exceeds the next hop's limit of {offered.size} octets")
    return None


def mail_command(transaction: Transaction, offered: Capabilities) -> str:
    """MAIL with the parameters that the server offers.

    8-bit content goes as it is to a server without 8BITMIME: converting it would break signatures, and the servers
    that mind are gone. RFC 6152 §3 would have it bounced or converted.
    """
    parameters = ""
    if offered.size is not None:
        parameters = f" SIZE={transaction.size}"
    if transaction.eight_bit and offered.eight_bit_mime:
        parameters += " BODY=8BITMIME"
    if offered.smtputf8 and transaction.needs_smtputf8:
        parameters += " SMTPUTF8"
    return f"MAIL FROM:<{transaction.sender}>{parameters}\r\n"


def data_content(pieces: Sequence[bytes]) -> bytes:
    """The content for DATA: dot-stuffed (RFC 5321 §4.5.2), closed by CRLF if it was not, with the final dot."""
    content = b"".join(pieces)
    if content.rfind(b"\r\n.") >= 0:  # half the time of `in`, which finds the same
        content = content.replace(b"\r\n.", b"\r\n..")
    start = b"." if content.startswith(b".") else b""
    return b"".join((start, content, b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n"))
