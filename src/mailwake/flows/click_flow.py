"""What happens when a link is followed: its token is opened, its event made durable, and the answer decided.

    token → links/token → expired? → client facts → event id → events/record → journal → target or image

Redirects fail open: whatever keeps an event from being recorded, the person gets the page. Tokens never do: a target
is only believed out of a token that opens with one of our keys.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mailwake.errors import MailwakeError
from mailwake.events.model import EventType
from mailwake.events.record import EngagementRecord, encode_engagement
from mailwake.flows.patience import Patience
from mailwake.links.token import BadToken, LinkKind
from mailwake.tracker.app import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.clock import Clock
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.links.keyring import Keyring
    from mailwake.links.token import Link, TokenCodec
    from mailwake.logs import Logger
    from mailwake.metrics import Counter, Metrics
    from mailwake.tracker.app import Outcome
    from mailwake.tracker.client_facts import ClientFactsReader
    from mailwake.tracker.rsgi import Request

JOURNAL_PATIENCE: Final = 5.0
"""Seconds that an answer waits for its event to be durable."""

_KEYRING_PAUSE: Final = 1.0
_LOG_PAUSE: Final = 1.0

EVENT_TYPES: Final = {
    LinkKind.CLICK: EventType.CLICK,
    LinkKind.OPEN: EventType.OPEN,
    LinkKind.INITIAL_OPEN: EventType.INITIAL_OPEN,
    LinkKind.LINK_UNSUBSCRIBE: EventType.LINK_UNSUBSCRIBE,
    LinkKind.AMP_CLICK: EventType.AMP_CLICK,
    LinkKind.AMP_OPEN: EventType.AMP_OPEN,
    LinkKind.AMP_INITIAL_OPEN: EventType.AMP_INITIAL_OPEN,
}
"""The kinds of links that a GET follows, and the event of each; all others lead to nothing here."""


class Journal(Protocol):
    """Where events become durable; `journal.writer.JournalWriter` is one."""

    def append(self, payload: bytes) -> asyncio.Future[None]:
        """A future that is done when the payload is durable."""
        ...


class _Followed(NamedTuple):
    # What following a link of one kind means.
    type: EventType
    family: str
    counter: Counter


class ClickFlow:
    """The tracker's link handler; belongs to the event loop that it first runs in.

    `read_keyring` gives the keyring as it stands now, and is called when a token names an unknown key, at most once a
    second; `patience` is in seconds.
    """

    def __init__(
        self,
        codec: TokenCodec,
        ids: UniqueIds,
        journal: Journal,
        facts: ClientFactsReader,
        metrics: Metrics,
        clock: Clock,
        log: Logger,
        *,
        read_keyring: Callable[[], Keyring] | None = None,
        patience: float = JOURNAL_PATIENCE,
    ) -> None:
        self._codec = codec
        self._next_id = ids.next
        self._append = journal.append
        self._read_facts = facts.read
        self._metrics = metrics
        self._clock = clock
        self._now = clock.now
        self._log = log
        self._read_keyring = read_keyring
        self._keyring_read_at = -_KEYRING_PAUSE
        self._patience_limit = patience
        self._patience: Patience | None = None
        self._journal_hangs = False
        self._events: Final = {
            kind: _Followed(event_type, kind.family, metrics.counter("events_total", event_type.wire_name))
            for kind, event_type in EVENT_TYPES.items()
        }
        self._expired: Final = metrics.counter("tracker_links_expired_total")
        self._losses = _Losses(metrics.counter("events_lost_total"), clock, log)

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        """Where the link leads; with `record` its event is durable on return, or counted as lost."""
        try:
            link = self._codec.decode(token, family)
        except BadToken as refusal:
            found = self._with_new_keys(token, family) if refusal.reason == "key" else None
            if found is None:
                return self._refuse(refusal.reason)
            link = found
        event = self._events.get(link.kind)
        if event is None or event.family != family:
            return self._refuse("kind")
        target = link.target
        if family == "f" and not is_safe_target(target):
            return self._refuse("target")
        if record:
            now = self._now()
            if now > link.expires_at:
                self._expired.inc()
            elif (saved := self._record(link, now, request, event)) is not None:
                try:
                    await saved
                except (Exception, asyncio.CancelledError) as error:
                    self._not_saved(error)
                else:
                    self._journal_hangs = False
                    event.counter.inc()
        return target if family == "f" else Shown.IMAGE

    def _record(self, link: Link, now: float, request: Request, event: _Followed) -> asyncio.Future[None] | None:
        # The future to wait for; None when there is nothing to wait for, which is seen to here.
        try:
            facts = self._read_facts(request)
            if not link.body.recipient:  # an anonymous link: who followed it is nobody's business
                facts = facts._replace(address="")
            record = EngagementRecord(event.type, self._next_id(), int(now * 1000), *facts, link.raw_body)
            saved = self._append(encode_engagement(record))
        except Exception as error:
            self._losses.add(error)
            return None
        if self._journal_hangs:  # nobody waits for what kept others waiting in vain
            saved.add_done_callback(lambda done: self._saved_late(done, event.counter))
            return None
        if self._patience is None:
            self._patience = Patience(asyncio.get_running_loop(), self._patience_limit)
        self._patience.watch(saved)
        return saved

    def _not_saved(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise error
            self._journal_hangs = True
            error = MailwakeError(f"the journal's disk did not answer for {self._patience_limit:g} s")
        self._losses.add(error)

    def _saved_late(self, saved: asyncio.Future[None], count: Counter) -> None:
        error = None if saved.cancelled() else saved.exception()
        if saved.cancelled() or error is not None:
            self._losses.add(error)
            return
        self._journal_hangs = False
        count.inc()

    def _with_new_keys(self, token: str, family: str) -> Link | None:
        now = self._clock.monotonic()
        if self._read_keyring is None or now - self._keyring_read_at < _KEYRING_PAUSE:
            return None
        self._keyring_read_at = now
        try:
            self._codec.use(self._read_keyring())
            return self._codec.decode(token, family)
        except BadToken:
            return None
        except (MailwakeError, OSError) as error:
            self._log.error("keyring cannot be read; the one in use stays", error=str(error))
            return None

    def _refuse(self, reason: str) -> Shown:
        self._metrics.counter("tracker_tokens_refused_total", reason).inc()
        return Shown.NOTHING


def is_safe_target(target: str) -> bool:
    """Whether `target` can stand in a Location field as it is: printable ASCII (RFC 9110 §5.5), and not empty."""
    return target.isascii() and target.isprintable() and target.strip() == target != ""


class _Losses:
    # Events that were not recorded: each is counted, and a line a second says so.
    def __init__(self, count: Counter, clock: Clock, log: Logger) -> None:
        self._count = count
        self._clock = clock
        self._log = log
        self._unsaid = 0
        self._said_at = -_LOG_PAUSE

    def add(self, error: BaseException | None) -> None:
        self._count.inc()
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said_at < _LOG_PAUSE:
            return
        self._log.error("events lost, people were redirected all the same", events=self._unsaid, error=str(error))
        self._said_at, self._unsaid = now, 0
