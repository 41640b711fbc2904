"""What a spool promises: copies that must not be lost, kept until they are delivered, bounced or removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

from mailwake.errors import MailwakeError
from mailwake.smtp.dsn import NO_REQUEST, DsnRequest

if TYPE_CHECKING:
    from mailwake.smtp.envelope import BodyType

T = TypeVar("T")

DEFAULT_CLAIM_OCTETS = 32 << 20
"""What one claim brings into memory at most, unless its first copy alone is larger."""


AT_ONCE = 0.0
"""The `next_attempt` of what an operator wants tried now, even on a route that is taken to be down."""


class SpoolError(MailwakeError):
    """The spool could not be read or written (disk full, damaged file, locked for too long)."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One recipient's copy that somebody has answered for; times are those of `Spool.now`."""

    sender: str
    recipient: str
    content: bytes
    """The message; b"" when `pieces` has it."""

    smtputf8: bool
    body: BodyType
    transmission_id: int
    message_id: str
    first_reply: str
    """Why it is here: the reply of the first attempt, as text; "" when there was none."""

    queued_at: float
    next_attempt: float
    attempts: int = 1
    """How often it was tried already."""

    last_reply: str = ""
    """The reply of the latest attempt; "" when that is the first."""

    event_facts: bytes = b""
    """What the events of later attempts need; the spool does not look inside."""

    is_report: bool = False
    """Whether this is a report of ours about another copy: nothing is ever reported about it."""

    dsn: DsnRequest = NO_REQUEST
    """What the sender asked of reports on this copy (RFC 3461)."""

    route: str = ""
    """The name of the route to take; "" is the default one."""

    customer: str = ""
    """Whose mail it is, for lists of the spool."""

    pieces: Sequence[bytes] = ()
    """The message in parts; what the copies of one `put` have in common there is stored once."""

    @property
    def whole(self) -> bytes:
        """The message, in one piece."""
        return b"".join(self.pieces) if self.pieces else self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledCopy(NewEntry):
    """An entry as claimed from the spool; `content` is whole."""

    id: int
    delay_told: bool = False
    """Whether its sender has been told that it is late."""


class KeptEvents(NamedTuple):
    """Events that are promised with a change of the spool: encoded, and kept with it until the journal has them."""

    key: str
    """A name of their own; that of no events is ""."""
    payloads: Sequence[bytes] = ()


NO_EVENTS = KeptEvents("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an attempt changes, all in one step: the entry, reports about it, the events of it."""

    entry_id: int
    fate: Literal["taken", "failed", "deferred"]
    """The next hop has the copy; nobody will ever have it; it stays for another attempt."""

    next_attempt: float = 0.0
    reply_text: str = ""
    attempts: int = 0
    delay_told: bool = False
    reports: Sequence[NewEntry] = ()
    events: KeptEvents = NO_EVENTS


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
    is_report: bool
    in_hand: bool
    """Whether a worker is trying it at this moment."""

    held: bool = False
    """Whether it waits for an operator: it is not tried, and does not expire."""

    customer: str = ""
    route: str = ""
    first_reply: str = ""


class Spool(Protocol):
    """Durable entries, shared by all worker processes of a node.

    Durability: when a method returns, its effect survives power loss; when it raises SpoolError, nothing of it
    happened. Concurrency: any thread or process may call any method at any time; each is atomic. Order: entries are
    claimed by `next_attempt`. Cost: one disk sync a writing call, or one for all calls of `together`. Calls block; an
    event loop calls them in a thread (`GroupCommit`).

    Whoever claims an entry has it in hand until it settles it or gives it back, however long that takes: no clock
    decides it. Only when an instance is gone (closed, or its process ended) does `recover` take from it what it had.
    """

    def now(self) -> float:
        """The time that entries' times count in: Unix seconds when the machine started, and steady since.

        No step of the wall clock touches it, in this process or another; it goes on after a reboot, never backwards.
        """
        ...

    def open_group(self, thread: int = 0) -> None:
        """Begin a group of calls with one disk sync, in three steps, each in any thread; this one may wait for others.

        Until the end, `thread` may look at the spool and write to it by way of the group alone.
        """
        ...

    def call_in_group(self, calls: Sequence[Callable[[], T]]) -> list[T | SpoolError]:
        """Make calls in an open group, in memory as yet; SpoolError when that has ended the group with nothing done."""
        ...

    def close_group(self) -> None:
        """Make an open group durable; SpoolError when nothing was done."""
        ...

    def put(
        self,
        entries: Sequence[NewEntry],
        *,
        events: KeptEvents = NO_EVENTS,
        staged: Sequence[int] = (),
        in_hand: bool = False,
    ) -> list[int]:
        """Keep all of these or none, with their events, and what was staged with these ids; give the entries' ids.

        With `in_hand`, this instance has them in hand at once, those that were staged excepted.
        """
        ...

    def stage(self, entries: Sequence[NewEntry]) -> list[int]:
        """Bring a part of a large `put` to the disk; nobody sees it before that, and it goes with this instance."""
        ...

    def unstage(self, ids: Sequence[int]) -> None:
        """Forget what was staged."""
        ...

    def claim_due(
        self,
        now: float,
        limit: int,
        max_octets: int = DEFAULT_CLAIM_OCTETS,
        *,
        except_routes: Collection[str] = (),
        queued_by: float = 0.0,
        only_route: str | None = None,
    ) -> list[SpooledCopy]:
        """Take up to `limit` entries that are due in hand, for this instance alone.

        Those of `except_routes` are left, unless they were queued by `queued_by`, or are to be tried AT_ONCE. One that
        is damaged on disk is held, with that as its last reply.
        """
        ...

    def give_back(self, ids: Sequence[int]) -> None:
        """Let go of entries that this instance has in hand; they are as due as before."""
        ...

    def settle(self, settlement: Settlement) -> bool:
        """Do what an attempt has brought; False, and nothing done, when the entry is not in this instance's hand.

        A copy that was taken is forgotten whoever has it in hand, and its events are kept even if it is gone.
        """
        ...

    def recover(self) -> int:
        """Take what instances that are gone had in hand or staged from them; how many entries are due again."""
        ...

    def left_events(self, limit: int) -> list[KeptEvents]:
        """Events that nobody is writing to a journal, for this instance to do so."""
        ...

    def leave_events(self, keys: Sequence[str]) -> None:
        """Say that this instance could not write these: they become `left_events`."""
        ...

    def forget_events(self, keys: Sequence[str]) -> None:
        """Forget events that are in a journal."""
        ...

    def count(self) -> int:
        """How many entries there are."""
        ...

    def list(self, limit: int = 1000) -> Sequence[ListedEntry]:
        """The entries by next attempt, without their content."""
        ...

    def close(self) -> None:
        """Let go of the file and of all that is in hand; the entries stay."""
        ...
