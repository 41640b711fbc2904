"""A time made longer to whole spans: nothing of it is lost, and no span more is begun."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailwake.reports.local_time import PRECISIONS, keys_between, local_time, moment_of, usual_precision, whole_spans
from mailwake.store.report_question import DAY, HOUR

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago")
YEAR = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
BERLINS_DOUBLE_HOUR = round(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp() * 1000)


@given(
    since=st.integers(YEAR, YEAR + 365 * DAY),
    length=st.one_of(st.integers(1, 3 * HOUR), st.integers(1, 60 * DAY)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    precision=st.sampled_from(("hour", "12hr", "day", "week", "month")),
)
@example(since=BERLINS_DOUBLE_HOUR, length=1, zone=ZoneInfo("Europe/Berlin"), precision="hour")
@example(since=BERLINS_DOUBLE_HOUR - 1, length=2, zone=ZoneInfo("Europe/Berlin"), precision="day")
def test_it_has_the_same_spans_and_all_of_each(since: int, length: int, zone: ZoneInfo, precision: str) -> None:
    spans, until = PRECISIONS[precision], since + length
    begin, end = whole_spans(spans, zone, since, until)
    assert begin <= since < until <= end
    keys = keys_between(spans, local_time(zone, since, until), since, until)
    assert round(moment_of(keys[0], spans, zone).timestamp() * 1000) == begin
    assert keys_between(spans, local_time(zone, begin, end), begin, end) == keys
    assert whole_spans(spans, zone, begin, end) == (begin, end)


@pytest.mark.parametrize(("days", "name"), [(1 / 24, "1min"), (1, "15min"), (7, "day"), (120, "day"), (4000, "month")])
def test_what_nobody_chose_is_as_fine_as_one_can_look_at(days: float, name: str) -> None:
    assert usual_precision(YEAR, YEAR + round(days * DAY)) == name
