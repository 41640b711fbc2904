"""The decisions of a listener: what it answers to each thing that the protocol asks it about.

A decision is a Reply, or an awaitable of one where a password has to be checked or a message relayed. Nothing here
knows a transport, so tests hold conversations without sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import (
    Authenticate,
    Connected,
    Hello,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    StartTLS,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mailwake.listener.accounts import Accounts
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.session import MessageReceiver, Session
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.smtp.server_events import Event

_SENDER_OK = Reply(250, "2.1.0", "Sender ok")
_RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")
_READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
_BYE = Reply(221, "2.0.0", "Bye")
_AUTHENTICATED = Reply(235, "2.7.0", "Authentication successful")
_BAD_CREDENTIALS = Reply(535, "5.7.8", "Authentication credentials invalid")
_TOO_MANY_FAILURES = Reply(421, "4.7.0", "Too many failed authentication attempts, closing")
_TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages on one connection, open another")
_TOO_MUCH_IN_HAND = Reply(452, "4.3.1", "Too much mail in hand, try again later")
_RELAY_DENIED = Reply(550, "5.7.1", "Relaying denied: authenticate, or send from a listed network")


class Conversation:
    """Decides for one connection; `session` is what has been learnt of it so far."""

    def __init__(
        self,
        session: Session,
        receiver: MessageReceiver,
        accounts: Accounts,
        *,
        greeting: str,  # begins with our host name
        auth_failures: int,
        transactions: int,
        budget: MemoryBudget,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self.session = session
        self._receiver = receiver
        self._accounts = accounts
        self._greeting = Reply(220, "", greeting)
        self._hello = Reply(250, "", greeting.partition(" ")[0])  # our name comes first (RFC 5321 §4.1.1.1)
        self._auth_failures_left = auth_failures
        self._transactions = transactions
        self._budget = budget
        self._log = log
        self._metrics = metrics

    def decide(self, event: Event) -> Reply | Awaitable[Reply]:
        """The answer to what the protocol asks."""
        match event:
            case MailFrom():
                return self._mail()
            case RcptTo():
                return self._rcpt()
            case MessageData():
                self.session.message_count += 1
                return self._receiver.receive(self.session, event.envelope, event.content)
            case Connected():
                return self._greeting
            case Hello():
                self.session.hello_domain, self.session.extended = event.domain, event.extended
                return self._hello
            case Authenticate():
                return self._authenticate(event)
            case StartTLS():
                return _READY_FOR_TLS
            case Quit():
                return _BYE

    def tls_established(self) -> None:
        """Forget what was said in clear (RFC 3207 §4.2)."""
        self.session.tls = True
        self.session.hello_domain, self.session.extended = "", False

    def _mail(self) -> Reply:
        if self._transactions and self.session.message_count >= self._transactions:
            return _TOO_MANY_MESSAGES
        if self._budget.full:
            self._metrics.counter("messages_total", "no memory").inc()
            return _TOO_MUCH_IN_HAND
        return _SENDER_OK

    def _rcpt(self) -> Reply:
        # Never an open relay: the place to say so is RCPT, where the relaying is asked for (RFC 5321 §3.6.2).
        if self.session.account or self.session.trusted_network:
            return _RECIPIENT_OK
        return _RELAY_DENIED

    async def _authenticate(self, event: Authenticate) -> Reply:
        account = await self._accounts.check(event.username, event.password)
        if account is None:
            self._metrics.counter("smtp_auth_total", "refused").inc()
            self._log.warning("AUTH refused", peer=self.session.peer_address, account=event.username[:64])
            self._auth_failures_left -= 1
            return _BAD_CREDENTIALS if self._auth_failures_left > 0 else _TOO_MANY_FAILURES
        self._metrics.counter("smtp_auth_total", "accepted").inc()
        self.session.account = account.name
        self.session.context["mo_customer_id"] = account.customer_id
        return _AUTHENTICATED
