"""Handing one copy to the next hop, as an interface: what goes in, and every way it can come out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from mailwake.smtp.dsn import NO_REQUEST, DsnRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.relay.settings import NextHopProtocol
    from mailwake.smtp.envelope import BodyType
    from mailwake.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient's copy of a message."""

    sender: str
    """The reverse-path; "" is the null sender."""

    recipient: str
    """The one forward-path."""

    pieces: Sequence[bytes]
    """Joined, the message. Lines end in CRLF and no CR or LF stands alone: the listener refuses those (smuggling)."""

    smtputf8: bool = False
    """Whether the message is internationalised mail, which only a hop with SMTPUTF8 can take (RFC 6531)."""

    body: BodyType = "7BIT"
    """What the sender declared (RFC 6152, RFC 3030 §3). Only with BINARYMIME may a CR or LF stand alone."""

    dsn: DsnRequest = NO_REQUEST
    """What the sender asked of reports on this copy (RFC 3461)."""

    route: str = ""
    """The name of the route to take; "" is the default one."""


class Status(Enum):
    """What became of a copy."""

    DELIVERED = "delivered"
    """The next hop took responsibility (2xx)."""

    REFUSED = "refused"
    """The next hop refused it for good (5xx), or it can never be sent there (too large, SMTPUTF8 not offered)."""

    DEFERRED = "deferred"
    """The next hop refused it for now (4xx), or was lost before it can have taken the copy: trying again is safe."""

    UNREACHABLE = "unreachable"
    """No usable connection could be had; nothing of the copy was sent."""

    UNCERTAIN = "uncertain"
    """The connection was lost after the content was sent and before its reply: the hop may have taken it or not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt to deliver a copy."""

    status: Status
    reply: Reply
    """The next hop's own reply as it gave it; or 451 4.4.1, 451 4.4.2 and the like of our own."""

    next_hop: str
    """Where the copy went or should have gone, "host:port" or "unix:/path"."""

    stage: str
    """How far it came: "connect", "mail", "rcpt", "data" or "content"."""

    reason: str = ""
    """For the log: what really happened where the reply says less."""

    protocol: NextHopProtocol = "smtp"
    """How the next hop was spoken to."""

    dsn_passed: bool = False
    """Whether nothing was asked of reports, or the next hop offers DSN and was told what was asked (RFC 3461 §5.2.1):
    then success is for the hop to report."""

    unsuited: bool = False
    """Whether nothing was sent because this hop can take no such copy (too large, SMTPUTF8); another one might."""


class Delivery(Protocol):
    """Takes copies to one destination."""

    async def deliver(self, copy: Copy) -> Outcome:
        """Try once, now; trouble with the network is an outcome, never an exception."""
        ...

    async def close(self) -> None:
        """Finish what is in hand and let go of all connections; call it once."""
        ...


def status_of(reply: Reply) -> Status:
    """What a reply of the next hop means: 2xx is delivered, 5xx refused, everything else deferred."""
    if reply.is_positive:
        return Status.DELIVERED
    return Status.REFUSED if reply.is_permanent else Status.DEFERRED
