"""Stretches of time as people name them: today, the last 30 days, from one day to another; in a time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from mailwake.api.errors import ApiError, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

MOST_DAYS = 3660
"""Ten years; what is longer is a slip of the keyboard."""

RANGES = {
    "today": "Today",
    "yesterday": "Yesterday",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "14d": "Last 14 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "last-month": "Last month",
    "12m": "Last 12 months",
}
"""The names of ranges in URLs, and for people."""

_LAST_DAYS = {"today": 1, "7d": 7, "14d": 14, "30d": 30, "90d": 90}
_DAY = timedelta(days=1)
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


class Period(NamedTuple):
    """Unix milliseconds, the second behind the last; and which range it is, "" for one of the viewer's own."""

    since: int
    until: int
    range: str


def named_period(name: str, now: float, zone: ZoneInfo) -> Period:
    """One of RANGES, by the clock of the time zone: whole days, the one that has begun among them."""
    today = datetime.fromtimestamp(now, zone).date()
    if name == "24h":
        until = (int(now * 1000) // _MINUTE_MS + 1) * _MINUTE_MS
        return Period(until - _DAY_MS, until, name)
    if name in _LAST_DAYS:
        first, behind = today - (_LAST_DAYS[name] - 1) * _DAY, today + _DAY
    elif name == "yesterday":
        first, behind = today - _DAY, today
    elif name == "month":
        first, behind = today.replace(day=1), today + _DAY
    elif name == "last-month":
        behind = today.replace(day=1)
        first = (behind - _DAY).replace(day=1)
    else:
        first, behind = _months_before(today + _DAY, 12), today + _DAY
    return Period(midnight(first, zone), midnight(behind, zone), name)


def own_period(given: Mapping[str, datetime], texts: Mapping[str, str], now: float, zone: ZoneInfo) -> Period:
    """From `from` to `to`, either of which may be missing; a `to` that is a day is in it. ApiError if it is none."""
    until = _edge(given["to"], zone, day_after=len(texts["to"]) == len("2026-03-01")) if "to" in given else None
    if until is None:
        until = named_period("today", now, zone).until
    since = _edge(given["from"], zone) if "from" in given else until - 30 * _DAY_MS
    if since >= until:
        raise ApiError(Fault.BAD_PARAMETER, "parameter 'from' must be before 'to'")
    if until - since > MOST_DAYS * _DAY_MS:
        raise ApiError(Fault.BAD_PARAMETER, f"'from' and 'to' may be {MOST_DAYS} days apart at most")
    return Period(since, until, "")


def midnight(day: date, zone: ZoneInfo) -> int:
    """When the day begins there, Unix milliseconds."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def shown_period(period: Period, zone: ZoneInfo) -> str:
    """The period for people: `1–30 Nov 2026`, with hours where it does not end with a day."""
    first = datetime.fromtimestamp(period.since / 1000, zone)
    last = datetime.fromtimestamp(period.until / 1000, zone)
    if _is_midnight(first) and _is_midnight(last):
        last -= _DAY / 2
        if first.date() == last.date():
            return f"{first:%a} {first.day} {first:%b %Y}"
        if first.year == last.year:
            month = "" if first.month == last.month else f" {first:%b}"
            return f"{first.day}{month} – {last.day} {last:%b %Y}"
        return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"
    return f"{first.day} {first:%b %Y %H:%M} – {last.day} {last:%b %Y %H:%M}"


def _is_midnight(moment: datetime) -> bool:
    return not (moment.hour or moment.minute or moment.second or moment.microsecond)


def _edge(moment: datetime, zone: ZoneInfo, *, day_after: bool = False) -> int:
    if day_after:
        return midnight(moment.date() + _DAY, zone)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


def _months_before(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


class Comparison(NamedTuple):
    """A period up to now, and an earlier one of the same length; with what they are called."""

    since: int
    until: int
    earlier_since: int
    earlier_until: int
    title: str
    earlier_title: str


def comparison(period: Period, now: float, zone: ZoneInfo) -> Comparison:
    """The period so far, beside the same hours of the same weekday a week ago, or the days before it.

    Both are moved by the clock on the wall: the day that clocks change has 23 or 25 hours, but the same time of day.
    """
    until = max(period.since + 1, min(period.until, int(now * 1000)))
    days = max(1, round((period.until - period.since) / _DAY_MS))
    back = 7 if days <= 7 else days
    title = RANGES.get(period.range) or shown_period(period, zone)
    if days == 1:
        so_far = " until this time" if until < period.until and period.range != "24h" else ""
        weekday = datetime.fromtimestamp(period.since / 1000, zone)
        earlier = f"last {weekday:%A}{so_far}" if period.range == "today" else f"the same a week before{so_far}"
    else:
        earlier = "the week before" if back == 7 else f"the {back} days before"
    return Comparison(
        period.since, until, _earlier(period.since, back, zone), _earlier(until, back, zone), title, earlier
    )


def _earlier(moment: int, days: int, zone: ZoneInfo) -> int:
    clock = datetime.fromtimestamp(moment / 1000, zone).replace(tzinfo=None) - timedelta(days=days)
    return round(clock.replace(tzinfo=zone).timestamp() * 1000)
