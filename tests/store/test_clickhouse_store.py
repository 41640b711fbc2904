"""ClickHouse keeps the contract, and counts what one counts by hand: its SQL, run by chDB behind an HTTP front."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reports.over_time_contract import OverTimeContract, check_story, stories
from tests.store.events import events, questions
from tests.store.report_contract import ReportContract
from tests.store.store_contract import StoreContract, compare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mailwake.store.contract import EventStore

    MakeStore = Callable[[], EventStore]


class TestContract(StoreContract):
    @pytest.fixture
    def make_store(self, make_clickhouse_store: MakeStore) -> MakeStore:
        return make_clickhouse_store


class TestReports(ReportContract):
    @pytest.fixture
    def make_store(self, make_clickhouse_store: MakeStore) -> MakeStore:
        return make_clickhouse_store


class TestOverTime(OverTimeContract):
    @pytest.fixture
    def make_store(self, make_clickhouse_store: MakeStore) -> MakeStore:
        return make_clickhouse_store


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_clickhouse_finds_what_an_obvious_filter_finds(make_clickhouse_store: MakeStore, data: st.DataObject) -> None:
    known = data.draw(events(), label="events")
    batch = st.lists(st.sampled_from(known), max_size=20) if known else st.just([])
    batches = data.draw(st.lists(batch, max_size=3), label="batches")
    asked = data.draw(st.lists(questions, min_size=1, max_size=4), label="questions")
    asyncio.run(compare(make_clickhouse_store(), [*batches, known], asked))


@pytest.fixture
async def store(make_clickhouse_store: MakeStore) -> AsyncIterator[EventStore]:
    with closing(make_clickhouse_store()) as opened:
        await opened.open()
        yield opened


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
async def test_series_and_week_hours_are_what_one_counts_by_hand(store: EventStore, story: dict[str, Any]) -> None:
    await check_story(store, **story)
