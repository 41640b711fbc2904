"""What a message's receiver knows about the connection that it came in by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mailwake.policy.context import Context
from mailwake.policy.validation import Accept

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.config.scopes import ResolvedOptions
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.replies import Reply


@dataclass(slots=True)
class Session:
    """One SMTP connection: who is at the other end, what it said, and the tracking options of its scope.

    `context` holds the connection's context variables: `mo_customer_id` is set by SMTP AUTH, others by policy.
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
    context: Context = field(default_factory=Context)
    message_context: Context = field(default_factory=Context)
    """The variables of the message in hand: empty at each MAIL FROM."""
    resolve: Callable[[str | None], ResolvedOptions] | None = None
    """Gives the options for another pathway; None where there is but one."""
    data_phase_done: bool = False
    """Whether policy was asked at DATA; at BDAT it cannot be."""
    tracing: bool = False
    """Whether it is noted which line of which policy sets a variable."""
    disconnecting: bool = False
    """Whether policy wants the connection closed after its refusal."""

    def options_for(self, pathway: str | None) -> ResolvedOptions:
        """The tracking options where the context variable `pathway` names this pathway; None: as the scopes say."""
        return self.options if not pathway or self.resolve is None else self.resolve(pathway)

    def accept(self) -> Accept:
        """The client, as policy sees it."""
        return Accept(self.peer_address, self.peer_port, self.listener, self.hello_domain, self.account, self.tls)

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
