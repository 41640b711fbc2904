"""Series and week hours over a store, against counting by the clock on the wall; tests of a store are a subclass."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from tests.store.events import event
from tests.store.reference_report import report

from mailwake.feed.contract import Position
from mailwake.reports.local_time import PRECISIONS, local_time
from mailwake.reports.over_time import time_series, week_hours
from mailwake.store.filters import Filters
from mailwake.store.report_question import DAY, HOUR, By, ReportQuestion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mailwake.store.contract import EventStore

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Adelaide", "America/Santiago")


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


async def load(store: EventStore, *moments: int) -> None:
    await store.load([event(number, timestamp=moment) for number, moment in enumerate(moments)], Position(1, 1))


async def series(store: EventStore, since: str, until: str, precision: str) -> list[tuple[str, int]]:
    where = Filters(since=at(since), until=at(until))
    points = await time_series(store, where, ["count_clicked"], precision, BERLIN)
    return [(point.begins.isoformat(), point.numbers[0]) for point in points]


class OverTimeContract:
    """Give a fixture `make_store`, whose value makes new stores that are not open."""

    @pytest.fixture
    async def store(self, make_store: Callable[[], EventStore]) -> AsyncIterator[EventStore]:
        store = make_store()
        await store.open()
        yield store
        store.close()

    async def test_the_hour_that_is_there_twice_in_autumn_is_two_hours_of_one_day(self, store: EventStore) -> None:
        await load(
            store, at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+01:00"), at("2026-10-25T02:40:00+01:00")
        )
        assert await series(store, "2026-10-25T01:00", "2026-10-25T04:00", "hour") == [
            ("2026-10-25T01:00:00+02:00", 0),
            ("2026-10-25T02:00:00+02:00", 1),
            ("2026-10-25T02:00:00+01:00", 2),
            ("2026-10-25T03:00:00+01:00", 0),
        ]
        assert await series(store, "2026-10-24T00:00", "2026-10-27T00:00", "day") == [
            ("2026-10-24T00:00:00+02:00", 0),
            ("2026-10-25T00:00:00+02:00", 3),
            ("2026-10-26T00:00:00+01:00", 0),
        ]

    async def test_the_hour_that_is_left_out_in_spring_is_no_hour(self, store: EventStore) -> None:
        await load(store, at("2026-03-29T01:59:59"), at("2026-03-29T03:00:00"))
        assert await series(store, "2026-03-29T01:00", "2026-03-29T04:00", "hour") == [
            ("2026-03-29T01:00:00+01:00", 1),
            ("2026-03-29T03:00:00+02:00", 1),
        ]

    async def test_weeks_begin_on_monday_and_months_on_the_first(self, store: EventStore) -> None:
        await load(store, at("2026-11-01T23:59"), at("2026-11-02T00:00"), at("2026-10-31T23:59"))
        assert await series(store, "2026-10-29T12:00", "2026-11-03T00:00", "week") == [
            ("2026-10-26T00:00:00+01:00", 2),
            ("2026-11-02T00:00:00+01:00", 1),
        ]
        assert await series(store, "2026-10-29T12:00", "2026-11-03T00:00", "month") == [
            ("2026-10-01T00:00:00+02:00", 1),
            ("2026-11-01T00:00:00+01:00", 2),
        ]

    async def test_hours_of_the_week_are_those_of_the_wall(self, store: EventStore) -> None:
        await load(store, at("2026-10-19T09:30"), at("2026-10-26T09:30"), at("2026-11-01T23:59"))
        hours = await week_hours(
            store, Filters(since=at("2026-10-01"), until=at("2026-11-30")), ["count_clicked"], BERLIN
        )
        assert [(hour, numbers) for hour, numbers in enumerate(hours) if any(numbers)] == [(9, (2,)), (167, (1,))]
        assert len(hours) == 168


stories = st.fixed_dictionaries(
    {
        "moments": st.lists(
            st.one_of(
                st.integers(at("2026-03-28"), at("2026-04-06")),
                st.integers(at("2026-10-24"), at("2026-11-02")),
                st.integers(at("2026-01-01"), at("2026-12-31")),
            ),
            max_size=30,
        ),
        "zone": st.sampled_from(ZONES).map(ZoneInfo),
        "precision": st.sampled_from(sorted(set(PRECISIONS) - {"1min", "5min", "15min"})),
    }
)
"""What `check_story` takes besides a store."""


async def check_story(store: EventStore, moments: list[int], zone: ZoneInfo, precision: str) -> None:
    """Series and week hours of clicks at these moments are what one counts by hand."""
    example = (await store.position()).offset + 100  # one store for all examples: each is a customer of its own
    where = Filters(since=at("2026-03-20"), until=at("2026-11-10"), only_customer=str(example))
    assert where.since is not None
    assert where.until is not None
    events = [
        event(example * 100 + number, timestamp=moment, customer_id=str(example))
        for number, moment in enumerate(moments)
    ]
    await store.load(events, Position(1, example))
    points = await time_series(store, where, ["count_clicked"], precision, zone)
    hours = await week_hours(store, where, ["count_clicked"], zone)
    time = local_time(zone, where.since, where.until)
    spans = PRECISIONS[precision]
    question = ReportQuestion(where=where, metrics=("count_clicked",), by=By.TIME, spans=spans, local_time=time)
    by_hand = report(events, question, zone)
    assert [point.numbers for point in points if any(point.numbers)] == [row.numbers for row in by_hand.rows]
    begins = [point.begins.timestamp() for point in points]
    assert begins == sorted(set(begins))
    assert len(begins) >= (where.until - where.since) // (32 * DAY if spans.months else max(spans.width, HOUR))
    by_hand = report(events, ReportQuestion(where=where, metrics=("count_clicked",), by=By.WEEK_HOUR), zone)
    assert {(hour,): numbers for hour, numbers in enumerate(hours) if any(numbers)} == dict(by_hand.rows)
