"""Series and week hours of the embedded store, and what is refused before a store is asked."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.reports.over_time_contract import BERLIN, OverTimeContract, at, check_story, stories

from mailwake.config.store_settings import Store
from mailwake.reports.local_time import PRECISIONS, keys_between, local_time
from mailwake.store.duckdb_store import open_store
from mailwake.store.filters import QuestionError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mailwake.store.contract import EventStore


class TestDuckDb(OverTimeContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], EventStore]:
        return lambda: open_store(tmp_path / "store", Store())


def test_a_span_that_would_give_too_many_rows_is_refused_before_anything_is_asked() -> None:
    time = local_time(BERLIN, at("2026-01-01"), at("2026-12-31"))
    with pytest.raises(QuestionError, match=r"precision: spans of 1 minutes from 2025-12-31 to 2026-12-30 .* 10000"):
        keys_between(PRECISIONS["1min"], time, at("2026-01-01"), at("2026-12-31"))


def test_absurd_times_take_no_time_to_refuse_or_to_answer() -> None:
    far = local_time(BERLIN, 0, 1 << 62)
    assert len(far.offsets) < 500
    with pytest.raises(QuestionError):
        keys_between(PRECISIONS["month"], far, 0, 1 << 50)
    assert keys_between(PRECISIONS["day"], far, 5, 5) == []


@pytest.mark.parametrize("precision", ["12hr", "day"])
def test_a_time_that_begins_late_in_the_day_has_the_day_on_which_clocks_are_set_forward(precision: str) -> None:
    since, until = at("2026-03-28T23:45"), at("2026-03-30T11:00")
    keys = keys_between(PRECISIONS[precision], local_time(BERLIN, since, until), since, until)
    days = [datetime.fromtimestamp(key / 1000, tz=UTC).strftime("%d %H") for key in keys]
    twelve = ["28 12", "29 00", "29 12", "30 00"]
    assert days == (twelve if precision == "12hr" else ["28 00", "29 00", "30 00"])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    with closing(open_store(tmp_path / "store", Store())) as opened:
        await opened.open()
        yield opened


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
async def test_series_and_week_hours_are_what_one_counts_by_hand(store: EventStore, story: dict[str, Any]) -> None:
    await check_story(store, **story)
