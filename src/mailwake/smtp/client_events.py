"""What a client learns from its connection, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mailwake.smtp.client_transaction import Transaction
from mailwake.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class Ready:
    """The server can take transactions now."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Start the TLS handshake, then call `tls_established`."""


class Finished(NamedTuple):
    """The end of a transaction: the reply that decided it, and its stage ("mail", "rcpt", "data" or "content")."""

    transaction: Transaction
    reply: Reply
    stage: str
    own: bool = False
    """Whether the reply is this client's own, for a transaction that can never be sent to this server."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended before the transaction did; the transaction's flags say how far it had come."""

    transaction: Transaction
    stage: str
    reason: str
    heard: bool = True
    """Whether any reply has come, to this transaction or another, since the connection was last quiet. Without one the
    server was most likely gone before it could read any of them."""

    behind_421: bool = False
    """Whether the server said 421 to something before this transaction: it closes without a look at what comes behind
    (RFC 5321 §3.8), so nothing of this one was taken."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more can be sent: close the connection. `reply` is the server's, if one led to this."""

    reason: str
    reply: Reply | None = None


Event = Ready | StartTls | Finished | Lost | Closed
"""What `ClientProtocol.next_event` gives."""
