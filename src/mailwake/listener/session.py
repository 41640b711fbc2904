"""What a message's receiver knows about the connection that it came in by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailwake.policy.context import Context
from mailwake.policy.validation import Accept
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.config.scopes import ResolvedOptions
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.server_events import Answer


class PeerFacts(NamedTuple):
    """What a listener's settings say of a client's address."""

    options: ResolvedOptions
    resolve: Callable[[str | None], ResolvedOptions]
    """The options for another pathway."""
    trusted_network: bool
    """Whether it may send without AUTH."""
    extensions: frozenset[Extension] = EVERY_EXTENSION
    """What EHLO may show it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a trusted peer said of its client with XCLIENT, "" and None where it said nothing."""

    hello: str = ""
    extended: bool | None = None
    account: str = ""
    """The account to log in as, once policy has let the client connect."""
    receiving_address: str = ""


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
    lmtp: bool = False
    """Whether LMTP is spoken, in which each recipient has a reply of its own (RFC 2033)."""
    tls: bool = False
    account: str = ""
    certificate: str = ""
    """The fingerprint of the certificate that this client has proved to have."""
    certificate_missing: bool = False
    """Whether it has to present one before it may do anything: then AUTH would be refused."""
    by_certificate: bool = False
    """Whether the certificate, not AUTH, says that it is `account`."""
    message_count: int = 0
    context: Context = field(default_factory=Context)
    message_context: Context = field(default_factory=Context)
    """The variables of the message in hand: empty at each MAIL FROM."""
    resolve: Callable[[str | None], ResolvedOptions] | None = None
    """Gives the options for another pathway; None where there is but one."""
    tracing: bool = False
    """Whether it is noted which line of which policy sets a variable, and the decisions may be told: to peers that may
    see both contexts (XDUMPCONTEXT)."""
    facts: Callable[[str], PeerFacts] | None = None
    """What the listener's settings say of another address; None where the client can have no other."""
    peer_name: str = ""
    """The client's host name, where a trusted peer has looked it up (XCLIENT NAME); shown, and believed for nothing."""
    told: Told = field(default_factory=Told)
    """What XCLIENT has said and the client's own commands do not change."""
    extensions: frozenset[Extension] = EVERY_EXTENSION
    """What the client may use, as far as its address alone decides that."""
    message_began: float = 0.0
    """When the message in hand began with MAIL FROM, in the clock's steady seconds."""
    disconnecting: bool = False
    """Whether policy wants the connection closed after its refusal."""

    def options_for(self, pathway: str | None) -> ResolvedOptions:
        """The tracking options where the context variable `pathway` names this pathway; None: as the scopes say."""
        return self.options if not pathway or self.resolve is None else self.resolve(pathway)

    def move(self, address: str, port: int) -> None:
        """The client is another one: its options and whether it may relay are those of its own address."""
        self.peer_address, self.peer_port, self.peer_name = address, port, ""
        if self.facts is not None:
            facts = self.facts(address)
            self.options, self.resolve, self.trusted_network = facts.options, facts.resolve, facts.trusted_network
            self.extensions = facts.extensions

    def greeted(self, domain: str, *, extended: bool) -> None:
        """The client introduced itself; what a trusted peer said of it before counts more than the peer's own name."""
        self.hello_domain = self.told.hello or domain
        self.extended = extended if self.told.extended is None else self.told.extended

    @property
    def usable(self) -> frozenset[Extension]:
        """What the client may use: XVERP is for those that may relay, AUTH for those that need not do more first."""
        usable = self.extensions if self.trusted_network or self.account else self.extensions - {Extension.XVERP}
        return usable - {Extension.AUTH} if self.certificate_missing else usable

    def accept(self) -> Accept:
        """The client, as policy sees it."""
        return Accept(self.peer_address, self.peer_port, self.listener, self.hello_domain, self.account, self.tls)

    @property
    def protocol(self) -> str:
        """The `with` value of the Received field (RFC 3848): SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP and so on.

        The A is for "SMTP AUTH", which a certificate is not.
        """
        if not (self.extended or self.lmtp):
            return "SMTP"
        authenticated = self.account and not self.by_certificate
        return ("LMTP" if self.lmtp else "ESMTP") + ("S" if self.tls else "") + ("A" if authenticated else "")


class MessageReceiver(Protocol):
    """Takes a finished message; its reply is what the client gets after the end of DATA."""

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Answer:
        """Take responsibility for the message (2xx) or refuse it; never raises. LMTP can have several replies."""
        ...
