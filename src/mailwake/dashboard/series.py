"""Counts over time, as pages show them: one question by hours, added up to days, weeks and hours of the week."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from mailwake.reports.over_time import TimePoint, time_series, week_hours
from mailwake.store.report_question import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from mailwake.store.contract import EventStore
    from mailwake.store.filters import Filters

MOST_HOURS = 9_600
"""400 days; of a longer time, days and the hours of the week are asked for separately."""

_HOURS_SHOWN = 3 * DAY
_DAYS_SHOWN = 120 * DAY
_WEEKS_SHOWN = 730 * DAY

METRICS = ("count_targeted", "count_accepted", "count_rendered", "count_clicked")
"""What is counted: all of it by events, so that hours can be added up."""

NAMES = ("Targeted", "Accepted", "Opens", "Clicks")
KINDS = ("targeted", "accepted", "opened", "clicked")
"""How each is drawn."""

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Series(NamedTuple):
    """Points in spans of one length, with the numbers of METRICS; and of each of the 168 hours of the week."""

    span: str
    """`hour`, `day`, `week` or `month`."""
    points: list[TimePoint]
    week: list[tuple[int, ...]]


async def ask_series(store: EventStore, where: Filters, zone: ZoneInfo, *, at_least_days: bool = False) -> Series:
    """Both, for all of the filters' time; spans are as long as fits a page, or days at least.

    A filter of links is about clicks only: what was sent and opened is counted without it.
    """
    whole = await _asked(store, replace(where, link_names=()), zone, at_least_days=at_least_days)
    if not where.link_names:
        return whole
    clicked = await _asked(store, where, zone, at_least_days=at_least_days)
    points = [
        TimePoint(begins, (*numbers[:-1], of_links[-1]))
        for (begins, numbers), (_, of_links) in zip(whole.points, clicked.points, strict=True)
    ]
    week = [(*numbers[:-1], of_links[-1]) for numbers, of_links in zip(whole.week, clicked.week, strict=True)]
    return Series(whole.span, points, week)


async def _asked(store: EventStore, where: Filters, zone: ZoneInfo, *, at_least_days: bool) -> Series:
    assert where.since is not None
    assert where.until is not None
    length = where.until - where.since
    if length > MOST_HOURS * HOUR:
        span = "week" if length <= _WEEKS_SHOWN else "month"
        points = await time_series(store, where, METRICS, span, zone)
        return Series(span, points, await week_hours(store, where, METRICS, zone))
    hours = await time_series(store, where, METRICS, "hour", zone)
    if length <= _HOURS_SHOWN and not at_least_days:
        return Series("hour", hours, _week_of(hours))
    return await asyncio.to_thread(_added_up, hours, length)


def _added_up(hours: list[TimePoint], length: int) -> Series:
    span = "day" if length <= _DAYS_SHOWN else "week"
    return Series(span, _joined(hours, span), _week_of(hours))


def _joined(hours: Sequence[TimePoint], span: str) -> list[TimePoint]:
    """The hours added up to local days, or weeks from Monday on."""
    sums: dict[datetime, list[int]] = {}
    for begins, numbers in hours:
        first = begins.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if span == "week":
            first -= timedelta(days=first.weekday())
        total = sums.setdefault(first, [0] * len(numbers))
        for place, number in enumerate(numbers):
            total[place] += number
    return [TimePoint(begins, tuple(total)) for begins, total in sums.items()]


def _week_of(hours: Sequence[TimePoint]) -> list[tuple[int, ...]]:
    week = [[0] * len(METRICS) for _ in range(168)]
    for begins, numbers in hours:
        cell = week[begins.weekday() * 24 + begins.hour]
        for place, number in enumerate(numbers):
            cell[place] += number
    return [tuple(cell) for cell in week]


def point_label(point: TimePoint, span: str) -> str:
    """The span for people."""
    begins = point.begins
    if span == "hour":
        return f"{begins:%a} {begins.day} {begins:%b %H:%M}"
    if span == "month":
        return f"{begins:%B %Y}"
    of_week = "week of " if span == "week" else f"{begins:%a} "
    return f"{of_week}{begins.day} {begins:%b %Y}"


class HeatRow(NamedTuple):
    """A day of the week: its name, and of each hour the number and its shade, 0 (nothing) to 7 (the most)."""

    day: str
    cells: list[tuple[int, int]]


class Heat(NamedTuple):
    """The hours of the week by one metric."""

    rows: list[HeatRow]
    best: str
    """The hour with most; "" where there is nothing."""


def heat_of(week: Sequence[Sequence[int]], place: int) -> Heat:
    """The map of METRICS[place]."""
    numbers = [cell[place] for cell in week]
    most = max(numbers)
    rows = [
        HeatRow(name, [(number, _shade(number, most)) for number in numbers[24 * day : 24 * day + 24]])
        for day, name in enumerate(DAY_NAMES)
    ]
    best = numbers.index(most)
    return Heat(rows, f"{DAY_NAMES[best // 24]}, {best % 24}:00 to {best % 24 + 1}:00" if most else "")


def _shade(number: int, most: int) -> int:
    return 0 if not number else max(1, min(7, -(-7 * number // most)))


def sparkline(numbers: Sequence[int], width: int = 120, height: int = 28) -> str:
    """The points of a polyline through the numbers, in a box of this size."""
    most = max(numbers, default=0) or 1
    step = width / max(1, len(numbers) - 1)
    return " ".join(
        f"{place * step:.1f},{height - 2 - (height - 4) * number / most:.1f}" for place, number in enumerate(numbers)
    )
