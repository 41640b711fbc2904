"""What a spool promises: copies that must not be lost, kept until they are delivered, bounced or removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mailwake.errors import MailwakeError
from mailwake.smtp.dsn import NO_REQUEST, DsnRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.smtp.envelope import BodyType

DEFAULT_CLAIM_OCTETS = 32 << 20
"""What one claim brings into memory at most, unless its first copy alone is larger."""


class SpoolError(MailwakeError):
    """The spool could not be read or written (disk full, damaged file, locked for too long)."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One recipient's copy that somebody has answered for; times are Unix seconds."""

    sender: str
    recipient: str
    content: bytes
    smtputf8: bool
    body: BodyType
    transmission_id: int
    message_id: str
    first_reply: str
    """Why it is here: the reply of the first attempt, as text."""

    queued_at: float
    next_attempt: float
    attempts: int = 1
    """How often it was tried already."""

    last_reply: str = ""
    """The reply of the latest attempt; "" when that is the first."""

    event_facts: bytes = b""
    """What the events of later attempts need; the spool does not look inside."""

    is_bounce: bool = False
    """Whether this is a report of ours about another copy: it is never bounced itself."""

    dsn: DsnRequest = NO_REQUEST
    """What the sender asked of reports on this copy (RFC 3461)."""

    route: str = ""
    """The name of the route to take; "" is the default one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledCopy(NewEntry):
    """An entry as claimed from the spool."""

    id: int


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry as shown to an operator, without its content."""

    id: int
    sender: str
    recipient: str
    size: int
    message_id: str
    queued_at: float
    next_attempt: float
    attempts: int
    last_reply: str
    is_bounce: bool
    leased_until: float
    """Until when a worker has it in hand; 0 when none has."""


class Spool(Protocol):
    """Durable entries, shared by all worker processes of a node.

    Durability: when a method returns, its effect survives power loss; when it raises SpoolError, nothing of it
    happened. Concurrency: any thread or process may call any method at any time; each is atomic. Order: entries are
    claimed by `next_attempt`. Cost: one disk sync a writing call. Calls block; an event loop calls them in a thread.
    """

    def put(self, entries: Sequence[NewEntry]) -> list[int]:
        """Keep all of these or none, and give their ids: when it returns, the copies survive power loss."""
        ...

    def claim_due(
        self, now: float, limit: int, lease_seconds: float, max_octets: int = DEFAULT_CLAIM_OCTETS
    ) -> list[SpooledCopy]:
        """Take up to `limit` entries that are due, for this instance alone until the lease ends."""
        ...

    def renew(self, ids: Sequence[int], until: float) -> None:
        """Prolong this instance's leases to `until`; those it has lost stay lost."""
        ...

    def delivered(self, entry_id: int) -> None:
        """Forget a copy that the next hop has taken, whoever holds its lease; no error if it is gone."""
        ...

    def defer(self, entry_id: int, next_attempt: float, reply_text: str, attempts: int) -> None:
        """End this instance's lease and set the next attempt; nothing happens if the lease is another's by now."""
        ...

    def replace(self, entry_id: int, report: NewEntry) -> int | None:
        """Put the bounce `report` and remove the failed copy in one step.

        None, and nothing done, if the copy is gone or another instance has it in hand by now.
        """
        ...

    def remove(self, entry_id: int) -> bool:
        """Forget a copy without delivering it; False if there is no such entry."""
        ...

    def count(self) -> int:
        """How many entries there are."""
        ...

    def list(self, limit: int = 1000) -> Sequence[ListedEntry]:
        """The entries by next attempt, without their content."""
        ...

    def close(self) -> None:
        """Let go of the file; the entries stay."""
        ...
