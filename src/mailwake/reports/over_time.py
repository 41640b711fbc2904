"""Counts over time, and over the hours of the week: each span is there, those without events with zeros."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from mailwake.reports.local_time import PRECISIONS, keys_between, local_time, moment_of
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from mailwake.store.contract import EventStore
    from mailwake.store.filters import Filters
    from mailwake.store.report_question import LocalTime, TimeSpans

WEEK_HOURS = 168


class TimePoint(NamedTuple):
    """One span of a series."""

    begins: datetime
    """In the zone that was asked for."""
    numbers: tuple[int, ...]
    """One for each metric."""


async def time_series(
    store: EventStore, where: Filters, metrics: Sequence[str], precision: str, zone: ZoneInfo
) -> list[TimePoint]:
    """The metrics in spans of a precision (a name of PRECISIONS) over all of the filters' time, in order.

    The first and the last span count what of them lies within that time. QuestionError for spans that are too many.
    """
    spans = PRECISIONS[precision]
    # Some thousand spans take long enough to hold up whatever else the loop has to do.
    time, keys = await asyncio.to_thread(_spans_of, where, spans, zone)
    question = ReportQuestion(where=where, metrics=tuple(metrics), by=By.TIME, local_time=time, spans=spans)
    found = {row.key[0]: row.numbers for row in (await store.report(question)).rows}
    return await asyncio.to_thread(_points, keys, spans, zone, found, (0,) * len(metrics))


def _spans_of(where: Filters, spans: TimeSpans, zone: ZoneInfo) -> tuple[LocalTime, list[int]]:
    since, until = _ends(where)
    time = local_time(zone, since, until)
    return time, keys_between(spans, time, since, until)


def _points(
    keys: Sequence[int],
    spans: TimeSpans,
    zone: ZoneInfo,
    found: Mapping[str | int, tuple[int, ...]],
    nothing: tuple[int, ...],
) -> list[TimePoint]:
    return [TimePoint(moment_of(key, spans, zone), found.get(key, nothing)) for key in keys]


async def week_hours(
    store: EventStore, where: Filters, metrics: Sequence[str], zone: ZoneInfo
) -> list[tuple[int, ...]]:
    """The metrics of each hour of the local week, 168 from Monday, 0 o'clock, on."""
    time = local_time(zone, *_ends(where))
    question = ReportQuestion(where=where, metrics=tuple(metrics), by=By.WEEK_HOUR, local_time=time)
    found = {row.key[0]: row.numbers for row in (await store.report(question)).rows}
    nothing = (0,) * len(metrics)
    return [found.get(hour, nothing) for hour in range(WEEK_HOURS)]


def _ends(where: Filters) -> tuple[int, int]:
    assert where.since is not None
    assert where.until is not None
    return where.since, where.until
