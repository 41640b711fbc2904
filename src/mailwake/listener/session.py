"""What a message's receiver knows about the connection that it came in by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mailwake.config.scopes import ResolvedOptions
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.replies import Reply


@dataclass(slots=True)
class Session:
    """One SMTP connection: who is at the other end, what it said, and the tracking options of its scope.

    `context` holds the connection's context variables (always strings): `mo_customer_id` is set by SMTP AUTH.
    """

    listener: str
    peer_address: str
    peer_port: int
    options: ResolvedOptions
    trusted_network: bool
    hello_domain: str = ""
    extended: bool = False
    tls: bool = False
    account: str = ""
    message_count: int = 0
    context: dict[str, str] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """The `with` value of the Received field (RFC 3848): SMTP, ESMTP, ESMTPS, ESMTPA or ESMTPSA."""
        if not self.extended:
            return "SMTP"
        return "ESMTP" + ("S" if self.tls else "") + ("A" if self.account else "")


class MessageReceiver(Protocol):
    """Takes a finished message; its reply is what the client gets after the end of DATA."""

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Reply:
        """Take responsibility for the message (2xx) or refuse it; never raises."""
        ...
