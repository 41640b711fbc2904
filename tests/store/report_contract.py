"""What every store must count: the tests of an implementation are a subclass of this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.store.events import START, event
from tests.store.memory_store import fulfils
from tests.store.reference_report import report

from mailwake.events.model import Event, EventType
from mailwake.feed.contract import Position
from mailwake.store.filters import Cut, Filters
from mailwake.store.measures import MEASURES
from mailwake.store.question import Question
from mailwake.store.report_question import DAY, HOUR, MINUTE, WEEK, By, ReportQuestion, TimeSpans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mailwake.store.contract import EventStore

HERE = Position(1, 100)
ALL = Filters(since=START - WEEK, until=START + 10 * WEEK)


def mail(number: int, kind: EventType, message: int, **fields: Any) -> Event:
    """An event of a message with an id of our form."""
    transmission = 1000 + message // 3
    return event(
        number,
        type=kind,
        transmission_id=transmission,
        message_id=f"{transmission:016x}{message % 3:04x}",
        rcpt_to=f"person{message % 4}@example.org",
        campaign_id=("spring", "autumn")[message % 2],
        customer_id=str(message % 3),
        rcpt_tags=((), ("a",), ("a", "b", "a"))[message % 3],
        timestamp=START + number * 7_000_000,
        **fields,
    )


def story() -> list[Event]:
    """Some hundred events of thirty messages: each way to be counted occurs."""
    made: list[Event] = []
    for message in range(30):
        for place, kind in enumerate(EventType):
            number = message * len(EventType) + place
            if (message + place) % 4 or kind is EventType.INJECTION:
                made.append(
                    mail(
                        number,
                        kind,
                        message,
                        is_bot=(None, True, False)[number % 3],
                        is_prefetched=(None, False, True, False)[number % 4],
                        target_link_name=("", "offer")[number % 2] if "CLICK" in kind.name else "",
                        target_link_url=f"https://x.example/{number % 3}" if "CLICK" in kind.name else "",
                        bounce_class=(10, 25, 50, 70, None, 1, 99)[message % 7],
                        num_retries=(None, 0, 2)[number % 3],
                        queue_time=number,
                        msg_size=(None, 1000)[number % 2],
                    )
                )
    return made


class ReportContract:
    """Give a fixture `make_store`, whose value makes new stores that are not open."""

    @pytest.fixture
    async def store(self, make_store: Callable[[], EventStore]) -> AsyncIterator[EventStore]:
        store = make_store()
        await store.open()
        await store.load(story(), HERE)
        yield store
        store.close()

    @pytest.mark.parametrize("by", [each for each in By if each not in (By.LINK, By.LINK_NAME)])
    async def test_every_metric_is_what_one_counts_by_hand(self, store: EventStore, by: By) -> None:
        question = ReportQuestion(where=ALL, metrics=tuple(MEASURES), by=by)
        expected = report(story(), question)
        assert all(any(row.numbers[place] for row in expected.rows) for place in range(len(MEASURES)))
        assert await store.report(question) == expected

    @pytest.mark.parametrize("by", [By.LINK, By.LINK_NAME])
    async def test_links_are_counted_by_hand(self, store: EventStore, by: By) -> None:
        names = tuple(name for name, each in MEASURES.items() if each.is_of_links)
        question = ReportQuestion(where=ALL, metrics=names, by=by, order_by="count_clicked")
        expected = report(story(), question)
        assert len(names) == 9
        assert len(expected.rows) > 1
        assert await store.report(question) == expected

    @pytest.mark.parametrize(
        "spans",
        [TimeSpans(width=width) for width in (MINUTE, 15 * MINUTE, HOUR, 12 * HOUR, DAY, WEEK)]
        + [TimeSpans(months=True)],
        ids=str,
    )
    async def test_every_span_of_time_is_counted_by_hand(self, store: EventStore, spans: TimeSpans) -> None:
        question = ReportQuestion(
            where=ALL, metrics=("count_injected", "count_unique_clicked"), by=By.TIME, spans=spans
        )
        assert await store.report(question) == report(story(), question)

    @pytest.mark.parametrize(
        "filters",
        [
            {"only_customer": "1"},
            {"only_customer": "1", "customers": ("2",)},
            {"campaigns": ("spring",), "tags": ("b",)},
            {"recipients": ("Person1@example.org",)},
            {"link_names": ("offer",)},
            {"link_urls": ("https://x.example/1",), "cut": Cut.PEOPLE},
            {"cut": Cut.NOT_PREFETCHED},
            {"messages": (f"{1000:016x}0001", f"{1001:016x}0000")},
            {"since": START, "until": START},
        ],
        ids=str,
    )
    async def test_filters_hold_for_reports_and_searches(self, store: EventStore, filters: dict[str, Any]) -> None:
        given = {"since": ALL.since, "until": ALL.until, **filters}
        question = ReportQuestion(where=Filters(**given), metrics=("count_targeted", "count_unique_confirmed_opened"))
        assert await store.report(question) == report(story(), question)
        found = await store.search(Question(**given))
        assert {each.event_id for each in found.events} == {
            each.event_id for each in story() if fulfils(each, question.where)
        }

    async def test_rows_are_ordered_and_chosen_by_the_engine(self, store: EventStore) -> None:
        for descending in (True, False):
            for offset in (0, 1, 2, 10_000):
                question = ReportQuestion(
                    where=ALL,
                    metrics=("count_injected", "count_clicked"),
                    by=By.TIME,
                    order_by="count_clicked",
                    descending=descending,
                    limit=3,
                    offset=offset,
                )
                assert await store.report(question) == report(story(), question)

    async def test_an_anonymous_event_is_counted_but_never_as_one_of_somebody(self, store: EventStore) -> None:
        nobody = [
            event(10_000 + place, transmission_id=id_, message_id=f"{id_:016x}ffff", rcpt_to="", target_link_name="x")
            for place, id_ in enumerate((0, 1000, 7777, 7777))
        ]
        metrics = ("count_clicked", "count_unique_clicked", "count_unique_confirmed_opened", "count_raw_clicked")
        question = ReportQuestion(where=ALL, metrics=metrics)
        before = (await store.report(question)).rows[0].numbers
        await store.load(nobody, Position(1, 200))
        after = (await store.report(question)).rows[0].numbers
        assert [new - old for new, old in zip(after, before, strict=True)] == [4, 0, 0, 0]
