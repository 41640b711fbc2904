"""How values look on a page: numbers, shares, times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mailwake.dashboard.event_words import judgements, place, program
from mailwake.dashboard.series import point_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any
    from zoneinfo import ZoneInfo

    from mailwake.reports.over_time import TimePoint

THIN_SPACE = "\u202f"
NONE = "–"
"""What stands where there is no number."""


def number(value: int | None) -> str:
    """A whole number, its thousands apart: 1 234 567, with spaces that do not break."""
    return NONE if value is None else f"{value:,}".replace(",", THIN_SPACE)


def short_number(value: float) -> str:
    """The same in at most four characters, for axes and small places: 1.2k, 34M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            scaled = value / limit
            return f"{scaled:.0f}{unit}" if abs(scaled) >= 10 else f"{scaled:.1f}{unit}"
    return f"{value:.0f}"


def share(part: int, whole: int, digits: int = 1) -> str:
    """A part of a whole in per cent; no number where there is no whole."""
    if not whole:
        return NONE
    value = 100 * part / whole
    shown = f"{value:.{digits}f}"
    # What is not all is not shown as all, nor what is there as nothing.
    if part < whole and float(shown) == 100:
        shown = f"{100 - 10**-digits:.{digits}f}"
    if part > 0 and float(shown) == 0:
        return f"<{10**-digits:.{digits}f}{THIN_SPACE}%"
    return f"{shown}{THIN_SPACE}%"


def moment(milliseconds: int | None, zone: ZoneInfo) -> str:
    """A time of the events: 2026-11-26 21:40:05."""
    return NONE if milliseconds is None else f"{datetime.fromtimestamp(milliseconds / 1000, zone):%Y-%m-%d %H:%M:%S}"


def iso(milliseconds: int, zone: ZoneInfo) -> str:
    """The same for machines, with its offset."""
    return datetime.fromtimestamp(milliseconds / 1000, zone).isoformat(timespec="milliseconds")


def ago(milliseconds: int, now: float) -> str:
    """How long ago it was, roughly: 5 min."""
    seconds = max(0, int(now - milliseconds / 1000))
    for limit, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= limit:
            return f"{seconds // limit}{THIN_SPACE}{unit}"
    return f"{seconds}{THIN_SPACE}s"


def octets(value: int) -> str:
    """A size: 1.4 GB."""
    scaled = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if scaled < 1000:
            return f"{scaled:.0f}{THIN_SPACE}{unit}" if unit == "B" else f"{scaled:.1f}{THIN_SPACE}{unit}"
        scaled /= 1000
    return f"{scaled:.1f}{THIN_SPACE}TB"


def seconds_long(seconds: float) -> str:
    """A length of time in words: 5 minutes."""
    for limit, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        count = int(seconds // limit)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a second"


def clock_time(milliseconds: int, zone: ZoneInfo) -> str:
    """The time of the day: 21:40:05."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, zone):%H:%M:%S}"


def sum_of(points: Iterable[TimePoint], place: int) -> int:
    """All numbers of one metric of a series."""
    return sum(point.numbers[place] for point in points)


def later(milliseconds: int) -> str:
    """The time between two events: `2 d 4 h later`, its two largest units; "" where nobody would notice it."""
    if milliseconds < 1000:
        return ""
    left = milliseconds // 1000
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{THIN_SPACE}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) + " later"


def openable(url: str) -> bool:
    """Whether a target may be a link on our pages: of the web, and nothing that a browser would run."""
    return url.lower().startswith(("http://", "https://")) and url.isprintable()


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "short_number": short_number,
    "share": share,
    "moment": moment,
    "iso": iso,
    "ago": ago,
    "octets": octets,
    "seconds_long": seconds_long,
    "clock_time": clock_time,
    "sum_of": sum_of,
    "point_label": point_label,
    "later": later,
    "openable": openable,
    "judgements": judgements,
    "program": program,
    "place": place,
}
"""What templates may use behind a `|`."""
