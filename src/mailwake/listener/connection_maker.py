"""One SMTP connection, put together from what a listener has and what is known of the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.listener.connection import Connection
from mailwake.listener.conversation import Conversation
from mailwake.listener.login_limits import LoginLimits
from mailwake.listener.session import Session
from mailwake.smtp.server_protocol import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mailwake.clock import Clock
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.address_limits import AddressLimits
    from mailwake.listener.conversation import OnRejected
    from mailwake.listener.free_space import FreeSpace
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.peers import Peers
    from mailwake.listener.refusals import Refusals
    from mailwake.listener.session import MessageReceiver
    from mailwake.listener.settings import ListenerSettings
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionMaker:
    """What all connections of a listener share."""

    settings: ListenerSettings
    peers: Peers
    receiver: MessageReceiver
    accounts: Accounts
    policies: Policies
    budget: MemoryBudget
    space: FreeSpace | None = None
    clock: Clock
    log: Logger
    metrics: Metrics
    addresses: AddressLimits
    refusals: Refusals
    on_rejected: OnRejected | None = None

    def make(
        self, address: str, port: int, on_close: Callable[[Connection], None], *, tls: bool, certificate: str = ""
    ) -> Connection:
        """The connection of a client; `tls` says that it is encrypted from its beginning.

        `certificate` is the fingerprint of the one that the client has proved to have.
        """
        trusted_verbs = self.settings.smtp_extensions(address)
        session = self._session(address, port, tls=tls, tracing="XDUMPCONTEXT" in trusted_verbs)
        session.certificate = certificate
        session.certificate_missing = self.settings.certificate_required and not certificate
        return Connection(
            self._protocol(session, trusted_verbs),
            self._conversation(session),
            self.settings.limits,
            self.clock,
            self.log,
            None if tls else self.settings.tls_context,
            self.budget,
            on_close,
            self.metrics,
        )

    def is_trusted(self, address: str) -> bool:
        """Whether a client at this address may relay without AUTH."""
        # The mode of a Unix socket's file has let its client in; one that a PROXY header names has its own address.
        by_file = self.settings.unix and self.settings.proxies is None
        return by_file or self.peers.facts(address).trusted_network

    def _session(self, address: str, port: int, *, tls: bool, tracing: bool) -> Session:
        facts = self.peers.facts(address)
        return Session(
            listener=self.settings.name,
            peer_address=address,
            peer_port=port,
            options=facts.options,
            resolve=facts.resolve,
            extensions=facts.extensions,
            trusted_network=self.is_trusted(address),
            facts=self.peers.facts,
            lmtp=self.settings.lmtp,
            tls=tls,
            tracing=tracing,
        )

    def _conversation(self, session: Session) -> Conversation:
        settings = self.settings
        return Conversation(
            session,
            self.receiver,
            self.accounts,
            greeting=settings.greeting,
            transactions=settings.limits.transactions,
            budget=self.budget,
            space=self.space,
            policies=self.policies,
            log=self.log,
            metrics=self.metrics,
            on_rejected=self.on_rejected,
            login_limits=LoginLimits(self.addresses, self.refusals, self.clock, settings.limits.auth_failures),
        )

    def _protocol(self, session: Session, trusted_verbs: Collection[str]) -> ServerProtocol:
        settings = self.settings
        return ServerProtocol(
            settings.hostname,
            settings.limits.protocol,
            starttls=settings.tls_context is not None,
            auth_mechanisms=("PLAIN", "LOGIN") if self.accounts.have_passwords else (),
            auth_requires_tls=settings.auth_needs_tls(session.peer_address),
            extensions=session.usable,
            bare_newlines=settings.bare_newlines,
            trusted_verbs=trusted_verbs,
            tls=session.tls,
            lmtp=session.lmtp,
        )
