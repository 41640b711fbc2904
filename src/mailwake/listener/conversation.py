"""The decisions of a listener: what it answers to each thing that the protocol asks it about.

A decision is a Reply, or an awaitable of one where a password has to be checked or a message relayed. Nothing here
knows a transport, so tests hold conversations without sockets.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mailwake.listener.session import Told
from mailwake.listener.trusted_peer import forget_what_was_said, obey_trusted_peer
from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import Phase
from mailwake.policy.validation import Question, ValidationContext
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import (
    Authenticate,
    Connected,
    DumpContext,
    Hello,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    RemoteAddress,
    SetContext,
    StartTLS,
    XClient,
)

if TYPE_CHECKING:
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.free_space import FreeSpace
    from mailwake.listener.login_limits import LoginLimits
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.session import MessageReceiver, Session
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.server_events import Answer, Event

_SENDER_OK = Reply(250, "2.1.0", "Sender ok")
_RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")
_READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
_BYE = Reply(221, "2.0.0", "Bye")
_AUTHENTICATED = Reply(235, "2.7.0", "Authentication successful")
_BAD_CREDENTIALS = Reply(535, "5.7.8", "Authentication credentials invalid")
_AUTH_BLOCKED = Reply(454, "4.7.0", "Too many failed authentication attempts from your address, try again later")
_TOO_MANY_FAILURES = Reply(421, "4.7.0", "Too many failed authentication attempts, closing")
_TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages on one connection, open another")
_TOO_MUCH_IN_HAND = Reply(452, "4.3.1", "Too much mail in hand, try again later")
_CERTIFICATE_NEEDED = Reply(530, "5.7.0", "A client certificate is needed here: start TLS and present one")
_NO_STORAGE = Reply(452, "4.3.1", "Insufficient system storage, try again later")
_RELAY_DENIED = Reply(550, "5.7.1", "Relaying denied: authenticate, or send from a listed network")


OnRejected = Callable[["Session", "Envelope", str, Reply], Awaitable[None]]
"""Is told of a recipient that policy refuses at RCPT, before the client is."""


class Conversation:
    """Decides for one connection; `session` is what has been learnt of it so far."""

    def __init__(
        self,
        session: Session,
        receiver: MessageReceiver,
        accounts: Accounts,
        *,
        greeting: str,  # begins with our host name
        transactions: int,
        budget: MemoryBudget,
        space: FreeSpace | None = None,
        policies: Policies,
        log: Logger,
        metrics: Metrics,
        on_rejected: OnRejected | None = None,
        login_limits: LoginLimits,
    ) -> None:
        self.session = session
        self._on_rejected = on_rejected
        self._policies = policies
        self._receiver = receiver
        self._accounts = accounts
        self._greeting = Reply(220, "", greeting)
        self._hello = Reply(250, "", greeting.partition(" ")[0])  # our name comes first (RFC 5321 §4.1.1.1)
        self._login_limits = login_limits
        self._transactions = transactions
        self._budget = budget
        self._space = space
        self._log = log
        self._metrics = metrics

    def decide(self, event: Event) -> Reply | Awaitable[Answer]:
        """The answer to what the protocol asks."""
        match event:
            case MailFrom():
                return self._mail(event)
            case RcptTo():
                return self._rcpt(event)
            case MessageData():
                self.session.message_count += 1
                self.session.context.set("connection_message_count", str(self.session.message_count))
                return self._receiver.receive(self.session, event.envelope, event.content)
            case Connected():
                return self._connected()
            case Hello():
                return self._greeted(event)
            case Authenticate():
                return self._authenticate(event)
            case StartTLS():
                return _READY_FOR_TLS
            case Quit():
                return _BYE
            case XClient() | RemoteAddress() | SetContext() | DumpContext():
                return obey_trusted_peer(self.session, event, self._accounts, self._log)

    def _connected(self) -> Reply | Awaitable[Reply]:
        session = self.session
        receiving = session.told.receiving_address or _address_of(session.listener)
        self._learn(receiving_ip=receiving, remote_ip=session.peer_address)
        answer = self._asked(Phase.CONNECT, self._greeting)
        return self._connected_as(session.told.account, answer) if session.told.account else answer

    def _greeted(self, event: Hello) -> Reply | Awaitable[Reply]:
        session = self.session
        session.greeted(event.domain, extended=event.extended)
        self._learn(ehlo_string=session.hello_domain, ehlo_domain=session.hello_domain)
        answer = self._asked(Phase.EHLO, self._hello, session.hello_domain)
        if not session.certificate or session.account:
            return answer
        owner = self._accounts.owner_of(session.certificate)
        if owner is None:
            self._log.info("client certificate of no account", peer=session.peer_address, sha256=session.certificate)
            return answer
        session.by_certificate = True
        return self._connected_as(owner.name, answer)

    async def _connected_as(self, name: str, answer: Reply | Awaitable[Reply]) -> Reply:
        """As AUTH would: what the account may and who its customer is we know ourselves, whatever the peer says."""
        account = self._accounts.find(name)
        reply = await answer if inspect.isawaitable(answer) else answer
        if account is None or not reply.is_positive:
            return reply
        logged_in = await self.log_in(account.name, account.customer_id)
        return reply if logged_in.is_positive else logged_in

    def _learn(self, **facts: str) -> None:
        """Set predefined connection variables (3-policy, Phases)."""
        for name, value in facts.items():
            self.session.context.set(name, value)

    def _asked(
        self, phase: Phase, accepting: Reply, argument: str = "", envelope: Envelope | None = None, recipient: str = ""
    ) -> Reply | Awaitable[Reply]:
        """The accepting reply, or policy's refusal."""
        if not self._policies.has(phase):
            return accepting
        session = self.session
        message_context = None if envelope is None else session.message_context
        context = ValidationContext(session.context, message_context, tracing=session.tracing)
        message = None if envelope is None else self._view(envelope, recipient)
        answer = self._policies.ask(Question(phase, context, session.accept(), message, argument))
        if inspect.isawaitable(answer):
            return self._asked_later(answer, context, accepting, phase)
        return self._settled(answer, context, accepting, phase)

    async def _asked_later(
        self, answer: Awaitable[Reply | None], context: ValidationContext, accepting: Reply, phase: Phase
    ) -> Reply:
        return self._settled(await answer, context, accepting, phase)

    def _settled(self, refusal: Reply | None, context: ValidationContext, accepting: Reply, phase: Phase) -> Reply:
        if context.disconnecting:
            self.session.disconnecting = True
        if refusal is None:
            return accepting
        self._metrics.counter("policy_refusals_total", phase).inc()
        self._log.info("refused by policy", phase=str(phase), peer=self.session.peer_address, reply=str(refusal))
        return refusal

    def _view(self, envelope: Envelope, recipient: str) -> Message:
        return Message(
            sender=envelope.sender,
            recipients=envelope.recipients,
            recipient=recipient,
            peer=f"{self.session.peer_address}:{self.session.peer_port}",
            listener=self.session.listener,
        )

    def tls_established(self, certificate: str = "") -> None:
        """Forget what was said in clear (RFC 3207 §4.2); the client has proved to have this certificate."""
        session = self.session
        session.tls, session.certificate = True, certificate
        session.certificate_missing = session.certificate_missing and not certificate
        session.hello_domain, session.extended, session.account = "", False, ""
        session.told = Told()
        forget_what_was_said(session.context)

    def _mail(self, event: MailFrom) -> Reply | Awaitable[Reply]:
        if self.session.certificate_missing:
            return _CERTIFICATE_NEEDED
        if self._transactions and self.session.message_count >= self._transactions:
            return _TOO_MANY_MESSAGES
        if self._budget.full:
            self._metrics.counter("messages_total", "no memory").inc()
            return _TOO_MUCH_IN_HAND
        if self._space is not None and self._space.lacks(_declared_size(event.envelope)):
            self._metrics.counter("messages_total", "no space").inc()
            return _NO_STORAGE
        self.session.message_context = Context()
        return self._asked(Phase.MAILFROM, _SENDER_OK, event.envelope.sender, event.envelope)

    def _rcpt(self, event: RcptTo) -> Reply | Awaitable[Reply]:
        # Never an open relay: the place to say so is RCPT, where the relaying is asked for (RFC 5321 §3.6.2).
        if not (self.session.account or self.session.trusted_network):
            self._log.info(
                "relaying refused",
                peer=self.session.peer_address,
                sender=event.envelope.sender,
                recipient=event.recipient,
            )
            return _RELAY_DENIED
        answer = self._asked(Phase.RCPTTO, _RECIPIENT_OK, event.recipient, event.envelope, event.recipient)
        if answer is _RECIPIENT_OK or self._on_rejected is None:
            return answer
        return self._rejecting(event, answer, self._on_rejected)

    async def _rejecting(self, event: RcptTo, answer: Reply | Awaitable[Reply], told: OnRejected) -> Reply:
        reply = await answer if inspect.isawaitable(answer) else answer
        if not reply.is_positive:
            await told(self.session, event.envelope, event.recipient, reply)
        return reply

    async def _authenticate(self, event: Authenticate) -> Reply:
        self.session.by_certificate = False
        limits = self._login_limits
        if not limits.may_try(self.session):
            self._metrics.counter("smtp_auth_total", "blocked").inc()
            return _TOO_MANY_FAILURES if limits.exhausted else _AUTH_BLOCKED
        account = await self._accounts.check(event.username, event.password)
        if account is None:
            self._metrics.counter("smtp_auth_total", "refused").inc()
            self._log.warning("AUTH refused", peer=self.session.peer_address, account=event.username[:64])
            self._learn(auth_user=event.username, auth_status="fail")
            await limits.failed(self.session)
            return _TOO_MANY_FAILURES if limits.exhausted else _BAD_CREDENTIALS
        limits.succeeded()
        reply = await self.log_in(account.name, account.customer_id)
        self._metrics.counter("smtp_auth_total", "accepted" if reply.is_positive else "refused").inc()
        return reply

    async def log_in(self, account: str, customer_id: str) -> Reply:
        """Take the client for this account, unless policy refuses it."""
        self._learn(auth_user=account, auth_status="pass", mo_customer_id=customer_id)
        answer = self._asked(Phase.AUTH, _AUTHENTICATED, account)
        reply = await answer if inspect.isawaitable(answer) else answer
        if reply.is_positive:
            self.session.account = account
        else:
            self._learn(auth_status="fail")
            self.session.context.delete("mo_customer_id")
        return reply


def _address_of(listener: str) -> str:
    """The IP address or name that it listens on, "" for a Unix socket."""
    return "" if listener.startswith("unix:") else listener.rpartition(":")[0]


def _declared_size(envelope: Envelope) -> int:
    """What SIZE of MAIL says (RFC 1870 §5); 0 when it says nothing."""
    declared = envelope.parameters.get("SIZE", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
