"""One SMTP connection, put together from what a listener has and what is known of the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.listener.connection import Connection
from mailwake.listener.conversation import Conversation
from mailwake.listener.session import Session
from mailwake.smtp.server_protocol import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mailwake.clock import Clock
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.conversation import OnRejected
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.peers import Peers
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
    clock: Clock
    log: Logger
    metrics: Metrics
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

    def _session(self, address: str, port: int, *, tls: bool, tracing: bool) -> Session:
        facts = self.peers.facts(address)
        return Session(
            listener=self.settings.name,
            peer_address=address,
            peer_port=port,
            options=facts.options,
            resolve=facts.resolve,
            extensions=facts.extensions,
            # The file's mode has let this client in; one that a PROXY header or XCLIENT names has its own address.
            trusted_network=facts.trusted_network or (self.settings.unix and self.settings.proxies is None),
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
            auth_failures=settings.limits.auth_failures,
            transactions=settings.limits.transactions,
            budget=self.budget,
            policies=self.policies,
            log=self.log,
            metrics=self.metrics,
            on_rejected=self.on_rejected,
            certificate_required=settings.certificate_required,
        )

    def _protocol(self, session: Session, trusted_verbs: Collection[str]) -> ServerProtocol:
        settings = self.settings
        return ServerProtocol(
            settings.hostname,
            settings.limits.protocol,
            starttls=settings.tls_context is not None,
            auth_mechanisms=("PLAIN", "LOGIN") if self.accounts.have_passwords else (),
            auth_requires_tls=settings.auth_needs_tls(session.peer_address),
            extensions=session.extensions,
            bare_newlines=settings.bare_newlines,
            trusted_verbs=trusted_verbs,
            tls=session.tls,
            lmtp=session.lmtp,
        )
