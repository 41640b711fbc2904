"""What happens when a link is followed: its token is opened, its event made durable, and the answer decided.

    token → links/token → expired? → client facts → event id → events/record → journal → target or image

Redirects fail open: whatever keeps an event from being recorded, the person gets the page. Tokens never do: a target
is only believed out of a token that opens with one of our keys. Nor do unsubscriptions: nobody is told that it is done
before it is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mailwake.errors import MailwakeError
from mailwake.events.model import EventType
from mailwake.events.privacy import NO_PRIVACY
from mailwake.events.record import EngagementRecord, encode_engagement, encode_head
from mailwake.flows.event_losses import Losses, NotRecorded
from mailwake.flows.link_opening import LinkOpening
from mailwake.flows.patience import Patience
from mailwake.links.body import with_recipient
from mailwake.links.token import LinkKind
from mailwake.tracker.outcome import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.clock import Clock
    from mailwake.events.privacy import EventPrivacy
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.links.keyring import Keyring
    from mailwake.links.token import Link, TokenCodec
    from mailwake.logs import Logger
    from mailwake.metrics import Counter, Metrics
    from mailwake.tracker.client_facts import ClientFacts, ClientFactsReader
    from mailwake.tracker.messages import Request
    from mailwake.tracker.outcome import Outcome

JOURNAL_PATIENCE: Final = 5.0
"""Seconds that an answer waits for its event to be durable."""

EVENT_TYPES: Final = {
    LinkKind.CLICK: EventType.CLICK,
    LinkKind.OPEN: EventType.OPEN,
    LinkKind.INITIAL_OPEN: EventType.INITIAL_OPEN,
    LinkKind.LINK_UNSUBSCRIBE: EventType.LINK_UNSUBSCRIBE,
    LinkKind.AMP_CLICK: EventType.AMP_CLICK,
    LinkKind.AMP_OPEN: EventType.AMP_OPEN,
    LinkKind.AMP_INITIAL_OPEN: EventType.AMP_INITIAL_OPEN,
    LinkKind.LIST_UNSUBSCRIBE: EventType.LIST_UNSUBSCRIBE,
}
"""The kinds of links, and the event of each: a GET makes it, but for the last one, which takes a POST."""


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
        privacy: EventPrivacy = NO_PRIVACY,
        patience: float = JOURNAL_PATIENCE,
    ) -> None:
        self._privacy: Final = None if privacy == NO_PRIVACY else privacy
        self._links: Final = LinkOpening(codec, metrics, clock, log, read_keyring)
        self._next_id = ids.next
        self._append = journal.append
        self._read_facts = facts.read
        self._now = clock.now
        self._patience_limit = patience
        self._patience: Patience | None = None
        self._journal_hangs = False
        self._events: Final = {
            kind: _Followed(event_type, kind.family, metrics.counter("events_total", event_type.wire_name))
            for kind, event_type in EVENT_TYPES.items()
        }
        self._expired: Final = metrics.counter("tracker_links_expired_total")
        self._losses: Final = Losses(metrics, clock, log)
        self._not_recorded: Final = NotRecorded(clock, log)

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        """Where the link leads; with `record` its event is durable on return, or counted as lost.

        Without, it was asked for with HEAD: that is no event, but is noted down, as it helps to tell machines.
        """
        found = self._find(family, token)
        if found is None:
            return Shown.NOTHING
        link, event = found
        if family == "u":  # what only looks at a message follows its links: a GET unsubscribes nobody (RFC 8058 §1)
            return Shown.UNSUBSCRIBE
        target = link.target
        if family == "f" and not is_safe_target(target):
            self._links.refuse("target")
            return Shown.NOTHING
        if record:
            now = self._now()
            if now > link.expires_at:
                self._expired.inc()
            elif (saved := self._record(link, now, request, event)) is not None:
                try:
                    await saved
                except (Exception, asyncio.CancelledError) as error:
                    self._losses.add(self._reason(error))
                else:
                    self._journal_hangs = False
                    event.counter.inc()
        elif family == "f":
            self._note_head(link, request, event)
        return target if family == "f" else Shown.IMAGE

    async def unsubscribe(self, token: str, request: Request) -> Outcome:
        """Record that the person of the link `/u/<token>` leaves the list: durable on return, or said not to be.

        Nobody is told of an unsubscription that left no record, and the links work for ever: people keep old mail.
        """
        found = self._find("u", token)
        if found is None:
            return Shown.NOTHING
        link, event = found
        try:
            saved = self._append(self._event(link, self._now(), request, event))
            self._watch(saved)
            await saved
        except (Exception, asyncio.CancelledError) as error:
            self._not_recorded.add(self._reason(error))
            return Shown.NOT_RECORDED
        self._journal_hangs = False
        event.counter.inc()
        return Shown.UNSUBSCRIBED

    def _find(self, family: str, token: str) -> tuple[Link, _Followed] | None:
        link = self._links.open(family, token)
        if link is None:
            return None
        event = self._events.get(link.kind)
        if event is None or event.family != family:
            self._links.refuse("kind")
            return None
        return link, event

    def _record(self, link: Link, now: float, request: Request, event: _Followed) -> asyncio.Future[None] | None:
        # The future to wait for; None when there is nothing to wait for, which is seen to here.
        try:
            saved = self._append(self._event(link, now, request, event))
        except Exception as error:
            self._losses.add(error)
            return None
        if self._journal_hangs:  # nobody waits for what kept others waiting in vain
            saved.add_done_callback(lambda done: self._saved_late(done, event.counter))
            return None
        self._watch(saved)
        return saved

    def _note_head(self, link: Link, request: Request, event: _Followed) -> None:
        # Nobody waits for it, and nothing is lost without it. Of an anonymous copy it would tell nothing.
        now = self._now()
        if not link.body.recipient or not link.transmission_id or now > link.expires_at:
            return
        with contextlib.suppress(Exception):
            facts, body = self._facts(link, request)
            payload = encode_head(event.type, int(now * 1000), facts.address, facts.user_agent, body)
            self._append(payload).add_done_callback(_forget)

    def _event(self, link: Link, now: float, request: Request, event: _Followed) -> bytes:
        facts, body = self._facts(link, request)
        record = EngagementRecord(event.type, self._next_id(), int(now * 1000), *facts, body)
        return encode_engagement(record)

    def _facts(self, link: Link, request: Request) -> tuple[ClientFacts, bytes]:
        # Who follows the link, and the link's body; of both what may be kept.
        facts, body, recipient = self._read_facts(request), link.raw_body, link.body.recipient
        if not recipient or not link.transmission_id:
            facts = facts._replace(address="")  # of an anonymous copy: who followed it is nobody's business
        elif self._privacy is not None:
            facts = facts._replace(address=self._privacy.ip_address(facts.address))
        if self._privacy is not None and (hidden := self._privacy.recipient(recipient)) != recipient:
            body = with_recipient(link, hidden)  # the link is older than the setting
        return facts, body

    def _watch(self, saved: asyncio.Future[None]) -> None:
        if self._patience is None:
            self._patience = Patience(asyncio.get_running_loop(), self._patience_limit)
        self._patience.watch(saved)

    def _reason(self, error: BaseException) -> BaseException:
        # Why an event is not durable; what cancels the whole request goes on its way.
        if not isinstance(error, asyncio.CancelledError):
            return error
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
        self._journal_hangs = True
        return MailwakeError(f"the journal's disk did not answer for {self._patience_limit:g} s")

    def _saved_late(self, saved: asyncio.Future[None], count: Counter) -> None:
        error = None if saved.cancelled() else saved.exception()
        if saved.cancelled() or error is not None:
            self._losses.add(error)
            return
        self._journal_hangs = False
        count.inc()


def _forget(saved: asyncio.Future[None]) -> None:
    if not saved.cancelled():
        saved.exception()  # fetched, or the loop would complain of it


def is_safe_target(target: str) -> bool:
    """Whether `target` can stand in a Location field as it is: printable ASCII (RFC 9110 §5.5), and not empty."""
    return target.isascii() and target.isprintable() and target.strip() == target != ""
