"""What the server's protocol asks: each event waits for one reply, and the reply decides it (2xx accepts)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mailwake.smtp.dsn import NO_REQUEST, DsnRequest
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply
from mailwake.smtp.trusted_commands import ClientAttributes


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection was opened: 220 welcomes it; 421 closes it; any other refusal leaves the client only QUIT."""


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO (extended) or HELO; the protocol adds the list of extensions to an accepting reply."""

    domain: str
    """What the client calls itself; nothing is known about its truth."""

    extended: bool


@dataclass(frozen=True, slots=True)
class StartTLS:
    """STARTTLS: after an accepting 220 the transport begins the handshake, then calls `tls_established()`."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The client claims to be this account: 235 believes it, 535 does not (RFC 4954 §6)."""

    mechanism: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Authenticate(mechanism={self.mechanism!r}, username={self.username!r}, password=…)"


@dataclass(frozen=True, slots=True)
class MailFrom:
    """A sender: the envelope has no recipients yet, and is the transaction's own if it is accepted."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RcptTo:
    """A recipient; the protocol adds it to the envelope if it is accepted."""

    recipient: str
    envelope: Envelope
    request: DsnRequest = NO_REQUEST
    """What it asks of reports (RFC 3461)."""


@dataclass(frozen=True, slots=True)
class MessageData:
    """A whole message; an accepting reply takes responsibility for it (RFC 5321 §6.1)."""

    envelope: Envelope
    content: bytes
    """Unstuffed, with CRLF as the only line end."""


@dataclass(frozen=True, slots=True)
class Quit:
    """The client says good-bye; whatever the reply, the connection ends."""


@dataclass(frozen=True, slots=True)
class XClient:
    """XCLIENT of a trusted peer: an accepting reply is not said, but followed by Connected, for the client it names."""

    client: ClientAttributes


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """XREMOTEIP of a trusted peer: from now on the client has this address, and nothing else changes."""

    address: str


@dataclass(frozen=True, slots=True)
class SetContext:
    """XSETCONTEXT of a trusted peer: these context variables of the connection, all of them or none."""

    variables: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DumpContext:
    """XDUMPCONTEXT of a trusted peer: the reply's text is the answer, each of its lines by itself."""

    in_transaction: bool
    """Whether there is a message that has context variables of its own."""


@dataclass(frozen=True, slots=True)
class MessageReplies:
    """The answer to MessageData in LMTP (RFC 2033 §4.2): one for each recipient of the envelope, in order.

    A single reply instead of it holds for all of them.
    """

    each: Sequence[Reply]

    @property
    def code(self) -> int:
        """The worst of their codes: what the client has to act on."""
        return max(reply.code for reply in self.each)

    @property
    def is_positive(self) -> bool:
        """Whether the message was taken for anybody."""
        return any(reply.is_positive for reply in self.each)

    @property
    def is_intermediate(self) -> bool:
        """Whether one of them decides nothing."""
        return any(reply.is_intermediate for reply in self.each)


Answer: TypeAlias = Reply | MessageReplies
"""What decides an event."""

Event: TypeAlias = (
    Connected
    | Hello
    | StartTLS
    | Authenticate
    | MailFrom
    | RcptTo
    | MessageData
    | Quit
    | XClient
    | RemoteAddress
    | SetContext
    | DumpContext
)
