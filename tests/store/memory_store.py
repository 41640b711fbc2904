"""A store as one would write it without a thought for cost: what the real one is compared with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mailwake.feed.contract import BEGINNING
from mailwake.store.contract import Loaded, SearchPage, StoreStatus, StoreUnavailableError
from mailwake.store.cursor import PageCursor
from mailwake.store.filters import Cut
from mailwake.store.question import MAX_PER_PAGE, Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.filters import Filters
    from mailwake.store.report_question import ReportQuestion, ReportTable


def fulfils(event: Event, question: Filters) -> bool:
    """Whether an event is asked for, said filter by filter."""
    if question.since is not None and event.timestamp < question.since:
        return False
    if question.until is not None and event.timestamp >= question.until:
        return False
    if question.only_customer is not None and event.customer_id != question.only_customer:
        return False
    if question.tags and not set(question.tags) & set(event.rcpt_tags):
        return False
    for wanted, value in (
        (question.types, event.type),
        (question.event_ids, event.event_id),
        ([each.lower() for each in question.recipients], event.rcpt_to),
        ([each.lower() for each in question.recipient_domains], event.recipient_domain),
        (question.campaigns, event.campaign_id),
        (question.messages, event.message_id),
        (question.transmissions, event.transmission_id),
        (question.customers, event.customer_id),
        (question.subjects, event.subject),
        (question.from_addresses, event.friendly_from),
        ([each.lower() for each in question.sending_domains], event.sending_domain),
        (question.bounce_classes, event.bounce_class),
        (question.link_names, event.target_link_name),
        (question.link_urls, event.target_link_url),
    ):
        if wanted and value not in wanted:
            return False
    if question.cut is not Cut.ALL and event.is_prefetched:
        return False
    return not (question.cut is Cut.PEOPLE and event.is_bot)


class MemoryStore:
    """An `EventStore` in a list."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, Event]] = []
        self._position = BEGINNING
        self._load = 0
        self._number = random.getrandbits(60)
        self._state = "it is not open yet"

    def _check(self) -> None:
        if self._state:
            raise StoreUnavailableError(self._state)

    async def open(self) -> None:
        self._state = ""

    async def load(self, events: Sequence[Event], position: Position) -> Loaded:
        self._check()
        self._load += 1
        self._position = position
        stored = 0
        known = {event.event_id for _, event in self._rows}
        for event in events:
            if event.event_id not in known:
                known.add(event.event_id)
                self._rows.append((self._load, event))
                stored += 1
        return Loaded(stored, len(events) - stored)

    async def position(self) -> Position:
        self._check()
        return self._position

    async def search(self, question: Question) -> SearchPage:
        self._check()
        first = question.cursor in ("", "initial")
        place = None if first else PageCursor.parse(question.cursor, question, self._number)
        snapshot = self._load if place is None else place.snapshot
        found = [event for load, event in self._rows if fulfils(event, question) and load <= snapshot]
        found.sort(key=lambda event: (event.timestamp, event.event_id), reverse=True)
        total = len(found) if place is None else place.total
        if place is not None:
            found = [each for each in found if (each.timestamp, each.event_id) < (place.timestamp, place.event_id)]
        page = found[: question.per_page]
        if len(found) == len(page):
            return SearchPage(page, total, "")
        last = page[-1]
        cursor = PageCursor(self._number, question.fingerprint(), total, snapshot, last.timestamp, last.event_id)
        return SearchPage(page, total, str(cursor))

    async def report(self, question: ReportQuestion) -> ReportTable:
        from tests.store import reference_report  # which asks `fulfils` of this module

        self._check()
        return reference_report.report([event for _, event in self._rows], question)

    async def events_of(self, recipient: str, *, page: int = MAX_PER_PAGE) -> AsyncIterator[list[Event]]:
        found = await self.search(Question(recipients=(recipient,)))
        for start in range(0, len(found.events), page):
            yield found.events[start : start + page]

    async def erase(self, recipients: Collection[str]) -> int:
        return self._forget(lambda event: event.rcpt_to in {each.lower() for each in recipients})

    async def forget_before(self, time_ms: int) -> int:
        return self._forget(lambda event: event.timestamp < time_ms)

    def _forget(self, chosen) -> int:  # type: ignore[no-untyped-def]  # a test's own
        self._check()
        before = len(self._rows)
        self._rows = [row for row in self._rows if not chosen(row[1])]
        return before - len(self._rows)

    async def missing(self, ids: Collection[int]) -> set[int]:
        self._check()
        return set(ids) - {event.event_id for _, event in self._rows}

    async def status(self) -> StoreStatus:
        self._check()
        times = [event.timestamp for _, event in self._rows]
        oldest, newest = min(times, default=None), max(times, default=None)
        return StoreStatus(len(times), oldest, newest, 0, 0, self._position, 0, False)

    async def verify(self) -> list[str]:
        self._check()
        return []

    def close(self) -> None:
        self._state = "the store is closed"
