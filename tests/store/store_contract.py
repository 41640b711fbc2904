"""What every store must do, whatever it is made of: the tests of an implementation are a subclass of this."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.store.events import START, event, everything
from tests.store.memory_store import MemoryStore

from mailwake.events.model import EventType
from mailwake.feed.contract import BEGINNING, Position
from mailwake.store.contract import Loaded, StoreUnavailableError
from mailwake.store.question import Question, QuestionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from mailwake.events.model import Event
    from mailwake.store.contract import EventStore

HERE = Position(1, 100)


async def pages(store: EventStore, question: Question) -> list[list[Event]]:
    """All pages of an answer."""
    found = []
    cursor = "initial"
    while True:
        page = await store.search(replace(question, cursor=cursor))
        found.append(page.events)
        cursor = page.next_cursor
        if not cursor:
            return found


def ids(found: Sequence[Event]) -> list[int]:
    return [each.event_id for each in found]


class StoreContract:
    """Give a fixture `make_store`, whose value makes new stores that are not open."""

    @pytest.fixture
    def store(self, make_store: Callable[[], EventStore]) -> EventStore:
        return make_store()

    @pytest.fixture
    def new_store(self, make_store: Callable[[], EventStore]) -> EventStore:
        return make_store()

    async def test_before_it_is_open_and_after_it_is_closed_it_says_so(self, store: EventStore) -> None:
        with pytest.raises(StoreUnavailableError, match="open"):
            await store.search(Question())
        await store.open()
        await store.open()
        assert await store.position() == BEGINNING
        store.close()
        store.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.load([event(1)], HERE)

    async def test_an_event_comes_back_with_every_field_as_it_was(self, store: EventStore) -> None:
        await store.open()
        sparse, full = event(1), everything()
        await store.load([sparse, full], HERE)
        assert (await store.search(Question(event_ids=(1,)))).events == [sparse]
        assert (await store.search(Question(types=(EventType.LIST_UNSUBSCRIBE,)))).events == [full]
        store.close()

    async def test_what_is_given_again_is_kept_once(self, store: EventStore) -> None:
        await store.open()
        first = [event(number) for number in range(5)]
        assert await store.load([*first, first[0]], HERE) == Loaded(5, 1)
        assert await store.load([*first[3:], event(5), event(5)], Position(1, 200)) == Loaded(1, 3)
        found = await store.search(Question())
        assert ids(found.events) == [5, 4, 3, 2, 1, 0]
        assert found.total_count == 6
        assert await store.position() == Position(1, 200)
        store.close()

    async def test_what_is_given_again_is_known_among_many_others(self, store: EventStore) -> None:
        await store.open()
        await store.load([event(number) for number in range(0, 200, 2)], HERE)
        assert await store.load([event(199), event(100), event(0), event(99), event(198)], HERE) == Loaded(2, 3)
        assert (await store.search(Question())).total_count == 102
        store.close()

    async def test_the_position_moves_without_events(self, store: EventStore) -> None:
        await store.open()
        assert await store.load([], Position(3, 7)) == Loaded(0, 0)
        assert await store.position() == Position(3, 7)
        store.close()

    async def test_events_of_one_time_are_in_one_order_over_all_pages(self, store: EventStore) -> None:
        await store.open()
        await store.load([event(number, timestamp=START) for number in (5, 2, 9, 1, 7)], HERE)
        assert [ids(page) for page in await pages(store, Question(per_page=2))] == [[9, 7], [5, 2], [1]]
        store.close()

    async def test_the_first_moment_is_in_and_the_last_is_out(self, store: EventStore) -> None:
        await store.open()
        await store.load([event(number) for number in range(4)], HERE)
        found = await store.search(Question(since=START + 1000, until=START + 3000))
        assert ids(found.events) == [2, 1]
        store.close()

    @pytest.mark.parametrize("far", [10**15, 1 << 63, 1 << 200])
    async def test_absurd_times_are_times(self, store: EventStore, far: int) -> None:
        await store.open()
        await store.load([event(number) for number in range(4)], HERE)
        assert (await store.search(Question(since=-far, until=far))).total_count == 4
        assert (await store.search(Question(since=far, until=-far))).total_count == 0
        store.close()

    async def test_events_that_come_while_pages_are_turned_do_not_show_and_hide_none(self, store: EventStore) -> None:
        await store.open()
        await store.load([event(number) for number in range(0, 20, 2)], HERE)
        page = await store.search(Question(per_page=4))
        seen, totals = ids(page.events), [page.total_count]
        while page.next_cursor:
            late = [event(number) for number in range(1, 20, 2)]  # between all the others
            await store.load([*late, event(100 + len(seen))], HERE)
            page = await store.search(Question(per_page=4, cursor=page.next_cursor))
            seen += ids(page.events)
            totals.append(page.total_count)
        assert seen == list(range(18, -1, -2))
        assert totals == [10, 10, 10]
        assert (await store.search(Question())).total_count == 22
        store.close()

    async def test_a_cursor_is_of_its_question_and_its_store(self, store: EventStore, new_store: EventStore) -> None:
        for each in (store, new_store):
            await each.open()
            await each.load([event(number) for number in range(3)], HERE)
        cursor = (await store.search(Question(per_page=1))).next_cursor
        with pytest.raises(QuestionError, match="other filters"):
            await store.search(Question(customers=("7",), cursor=cursor))
        with pytest.raises(QuestionError, match="rebuilt"):
            await new_store.search(Question(cursor=cursor))
        for each in (store, new_store):
            each.close()

    @pytest.mark.parametrize(
        "name",
        ["recipients", "recipient_domains", "campaigns", "messages", "customers", "tags", "subjects", "from_addresses"],
    )
    async def test_text_is_text_whatever_it_says(self, store: EventStore, name: str) -> None:
        await store.open()
        await store.load([event(number) for number in range(3)], HERE)
        attacks = (
            "' OR '1'='1",
            "x'; DROP TABLE events; --",
            "') UNION SELECT 1; --",
            "%",
            "bob@example.org' --",
            "$1",
        )
        for attack in attacks:
            asked: dict[str, Any] = {name: (attack, attack + "?")}
            assert (await store.search(Question(**asked))).total_count == 0
            assert (await store.search(Question(only_customer=attack))).total_count == 0
        assert (await store.search(Question())).total_count == 3
        store.close()

    async def test_one_persons_events_are_found_in_any_case_and_erased(self, store: EventStore) -> None:
        await store.open()
        mixed = [event(number, rcpt_to=("bob@example.org", "eve@example.org")[number % 2]) for number in range(10)]
        await store.load(mixed, HERE)
        found = [page async for page in store.events_of("Eve@Example.org", page=2)]
        assert [ids(page) for page in found] == [[9, 7], [5, 3], [1]]
        assert await store.erase(["EVE@example.org", "nobody@example.org"]) == 5
        assert await store.erase(["eve@example.org"]) == 0
        assert [page async for page in store.events_of("eve@example.org")] == []
        assert ids((await store.search(Question())).events) == [8, 6, 4, 2, 0]
        assert await store.position() == HERE
        assert not (await store.status()).rewrite_due
        store.close()

    async def test_one_persons_events_are_found_however_many_there_are(self, store: EventStore) -> None:
        await store.open()
        for start in (0, 600):
            many = [event(number, rcpt_to="eve@example.org") for number in range(start, start + 600)]
            await store.load([*many, event(5000 + start)], HERE)
            found = await pages(store, Question(recipients=("eve@example.org",), per_page=450))
            assert [number for page in found for number in ids(page)] == list(range(start + 599, -1, -1))
            asked = Question(recipients=("eve@example.org",), per_page=1)
            assert (await store.search(asked)).total_count == start + 600
        store.close()

    async def test_old_events_are_forgotten_by_their_own_time(self, store: EventStore) -> None:
        await store.open()
        await store.load([event(number) for number in (3, 1, 2)], HERE)
        assert await store.forget_before(START + 2000) == 1
        status = await store.status()
        assert (status.events, status.oldest, status.newest) == (2, START + 2000, START + 3000)
        assert await store.verify() == []
        store.close()

    async def test_a_page_can_be_ten_thousand_events(self, store: EventStore) -> None:
        await store.open()
        many = [event(number) for number in range(10_050)]
        for start in range(0, len(many), 5000):
            await store.load(many[start : start + 5000], HERE)
        found = await pages(store, Question(per_page=10_000))
        assert [len(page) for page in found] == [10_000, 50]
        assert [each for page in found for each in page] == many[::-1]
        store.close()

    async def test_searches_and_loads_at_once(self, store: EventStore) -> None:
        await store.open()

        async def load() -> None:
            for number in range(20):
                await store.load([event(number * 10 + each) for each in range(10)], Position(1, number))

        async def ask() -> None:
            for _ in range(20):
                found = await store.search(Question())
                assert found.total_count == len(found.events)
                assert found.total_count % 10 == 0  # a load is there with all its events, or with none

        await asyncio.gather(load(), ask(), ask(), ask())
        assert (await store.search(Question())).total_count == 200
        store.close()


async def compare(store: EventStore, batches: list[list[Event]], asked: list[Question]) -> None:
    """Load the same into this store and into a list, and hold the answers against each other."""
    reference = MemoryStore()
    for each in (store, reference):
        await each.open()
    try:
        for batch in batches:
            assert await store.load(batch, HERE) == await reference.load(batch, HERE)
            for question in asked:
                found = await store.search(question)
                assert found[:2] == (await reference.search(question))[:2]
        for question in asked:
            assert await pages(store, question) == await pages(reference, question)
    finally:
        store.close()
