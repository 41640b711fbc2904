"""Time of a zone as the store counts by it: offsets, spans of the vendor's precisions, and their beginnings.

Changes of clocks: an hour that is there twice in autumn is two hours of a series; the day that it belongs to has 25.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mailwake.store.filters import QuestionError
from mailwake.store.report_question import DAY, HOUR, MAX_ROWS, MINUTE, WEEK, LocalTime, Offset, TimeSpans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

PRECISIONS: dict[str, TimeSpans] = {
    "1min": TimeSpans(width=MINUTE),
    "5min": TimeSpans(width=5 * MINUTE),
    "15min": TimeSpans(width=15 * MINUTE),
    "hour": TimeSpans(width=HOUR),
    "12hr": TimeSpans(width=12 * HOUR),
    "day": TimeSpans(width=DAY),
    "week": TimeSpans(width=WEEK),
    "month": TimeSpans(months=True),
}
"""How fine a series is, by the vendor's names. Weeks begin on Monday."""

_USUAL = ("1min", "5min", "15min", "hour", "day", "week")
_USUAL_SPANS = 125

_EPOCH = datetime(1970, 1, 1)
_LONGEST_MONTH = 31 * DAY
_NO_LATER = 7_258_118_400_000
"""2200: no event is younger, and rules of today say nothing about so late a time."""

_STEP = 7 * DAY
"""No zone changes its clock twice in a week."""


def local_time(zone: ZoneInfo, since: int, until: int) -> LocalTime:
    """The zone's offsets between two moments (Unix milliseconds)."""
    since, until = max(0, min(since, _NO_LATER)), max(0, min(until, _NO_LATER))
    found = [Offset(since, _ahead(zone, since))]
    at = since
    while at < until:
        following = min(at + _STEP, until)
        if _ahead(zone, following) != found[-1].ahead:
            change = _change(zone, at, following)
            found.append(Offset(change, _ahead(zone, change)))
        at = following
    return LocalTime(offsets=tuple(found))


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first moment (a whole second) with the offset of `after`."""
    low, high = before // 1000, after // 1000
    old = _ahead(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _ahead(zone, middle * 1000) == old else (low, middle)
    return high * 1000


def _ahead(zone: ZoneInfo, moment: int) -> int:
    offset = datetime.fromtimestamp(moment / 1000, tz=zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1000)


def keys_between(spans: TimeSpans, time: LocalTime, since: int, until: int) -> list[int]:
    """The keys of all spans that have a part of this time, in order; QuestionError when they are too many."""
    width = _LONGEST_MONTH if spans.months else spans.width
    if (until - since) // width > MAX_ROWS - 2:
        raise QuestionError(
            f"precision: spans of {_said(width)} from {_day(since)} to {_day(until)} are more than {MAX_ROWS}; "
            "take longer ones, or a shorter time"
        )
    return list(_keys(spans, time, since, until))


def usual_precision(since: int, until: int) -> str:
    """The finest precision that gives no more spans than one can look at: minutes of two hours, days of four months."""
    fitting = (name for name in _USUAL if until - since <= _USUAL_SPANS * PRECISIONS[name].width)
    return next(fitting, "month")


def whole_spans(spans: TimeSpans, zone: ZoneInfo, since: int, until: int) -> tuple[int, int]:
    """The same time (Unix milliseconds) made longer at both ends, so that it has whole spans only."""
    time = local_time(zone, max(0, since - _LONGEST_MONTH), until + _LONGEST_MONTH)
    first, last = _key(spans, time, since), _key(spans, time, until - 1)
    behind = _key(spans, LocalTime(), last + _LONGEST_MONTH) if spans.months else last + spans.width
    begin, end = (round(moment_of(key, spans, zone).timestamp() * 1000) for key in (first, behind))
    return begin, end


def _keys(spans: TimeSpans, time: LocalTime, since: int, until: int) -> Iterator[int]:
    # Half of a span, as those that clocks are set forward in are shorter than the others.
    step = min(spans.width, DAY) // 2 if spans.is_local else min(spans.width, 15 * MINUTE)
    last = None
    moments = [*range(since, until, step)]
    if until > since:
        moments.append(until - 1)
    for moment in moments:
        key = _key(spans, time, moment)
        if last is None or key > last:
            yield key
            last = key


def _key(spans: TimeSpans, time: LocalTime, moment: int) -> int:
    local = moment + _ahead_at(time, moment)
    if spans.months:
        clock = _EPOCH + timedelta(milliseconds=local)
        return _milliseconds(clock.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    monday = 3 * DAY if spans.width == WEEK else 0
    past = (local + monday) % spans.width
    return (local if spans.is_local else moment) - past


def _ahead_at(time: LocalTime, moment: int) -> int:
    place = bisect_right(time.offsets, moment, key=lambda offset: offset.since)
    return time.offsets[max(place - 1, 0)].ahead


def moment_of(key: int, spans: TimeSpans, zone: ZoneInfo) -> datetime:
    """When a span begins, in the time of the zone; a midnight that clocks leave out is the moment of the change."""
    if not spans.is_local:
        return datetime.fromtimestamp(key / 1000, tz=zone)
    clock = (_EPOCH + timedelta(milliseconds=key)).replace(tzinfo=zone)
    return clock.astimezone(UTC).astimezone(zone)


def _milliseconds(clock: datetime) -> int:
    return round((clock - _EPOCH) / timedelta(milliseconds=1))


def _said(width: int) -> str:
    return f"{width // DAY} days" if width > DAY else f"{width // MINUTE} minutes"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(max(0, min(moment, _NO_LATER)) / 1000, tz=UTC).strftime("%Y-%m-%d")
