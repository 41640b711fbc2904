"""What `mailwake report` is asked: options of the command line, made a question to the API of metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mailwake.api.metrics_answers import DELIVERABILITY, GROUPINGS
from mailwake.api.parameters import time, time_zone, unix_ms
from mailwake.config.durations import parse_duration
from mailwake.dashboard.periods import midnight
from mailwake.errors import MailwakeError
from mailwake.events.wire import iso_time
from mailwake.reports.uncounted import UNCOUNTED
from mailwake.store.filters import Cut, QuestionError
from mailwake.store.report_question import MAX_ROWS, check_metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

SHOWN_ROWS = 20
"""Rows of a table without --limit."""

_DAYS = re.compile(r"([0-9]{1,5})\s*([dw])")
_DELIMITERS = (",", "|", ";", "~", "||", "\N{SYMBOL FOR UNIT SEPARATOR}")


class ReportError(MailwakeError):
    """What cannot be asked so; one line names the option."""


class RowsBy(StrEnum):
    """What the rows of a report are."""

    LINK = "link"
    LINK_NAME = "link-name"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    DOMAIN = "domain"
    SENDING_DOMAIN = "sending-domain"
    TAG = "tag"
    CUSTOMER = "customer"
    CAMPAIGN = "campaign"

    @property
    def is_time(self) -> bool:
        """Whether rows are spans of time; their name is the precision then."""
        return self.value not in GROUPINGS

    @property
    def is_link(self) -> bool:
        """Whether rows are links, of which clicks alone are counted."""
        return self in (RowsBy.LINK, RowsBy.LINK_NAME)


class CutName(StrEnum):
    """Whose opens and clicks are counted."""

    ALL = "all"
    NONPREFETCHED = "nonprefetched"
    PEOPLE = "people"


CUTS = {CutName.ALL: Cut.ALL, CutName.NONPREFETCHED: Cut.NOT_PREFETCHED, CutName.PEOPLE: Cut.PEOPLE}


class Period(NamedTuple):
    """Unix milliseconds, the second behind the last."""

    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One report."""

    period: Period
    zone: ZoneInfo
    by: RowsBy | None = None
    cut: CutName = CutName.ALL
    metrics: tuple[str, ...] = ()
    """Empty: those that fit."""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by the API's parameters."""
    order_by: str = ""
    limit: int = MAX_ROWS

    def metric(self, name: str) -> str:
        """The name of a metric of engagement in this cut."""
        return f"count_{CUTS[self.cut].value}{name}"

    @property
    def opened(self) -> str:
        """Messages opened or clicked."""
        return self.metric("unique_confirmed_opened")

    @property
    def clicked(self) -> str:
        """Messages clicked."""
        return self.metric("unique_clicked")

    @property
    def is_of_links(self) -> bool:
        """Whether it is about links, which were clicked, and neither sent nor opened."""
        return (self.by is not None and self.by.is_link) or bool(self.filters.get("link_names"))

    @property
    def counted(self) -> tuple[str, ...]:
        """The metrics of each row."""
        if self.metrics:
            return self.metrics
        if self.is_of_links:
            return (self.metric("clicked"), self.clicked)
        usual = ("count_targeted", "count_accepted", self.opened, self.clicked, "count_bounce")
        more = () if self.by is not None else ("count_rejected", self.metric("rendered"), self.metric("clicked"))
        return (*usual, *more, self.metric("unsubscribe"))

    @property
    def path(self) -> str:
        """Where the API answers it."""
        if self.by is None:
            return DELIVERABILITY
        return f"{DELIVERABILITY}/{'time-series' if self.by.is_time else self.by.value}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the API."""
        asked = self.query_of(self.counted)
        if self.by is None:
            return asked
        if self.by.is_time:
            return {**asked, "precision": self.by.value}
        ordered = {"order_by": self.order_by} if self.order_by else {}
        return {**asked, **ordered, "limit": str(self.limit)}

    def query_of(self, metrics: Iterable[str]) -> dict[str, str]:
        """The same time and filters, with other metrics and all together."""
        delimiter = delimiter_for(self.filters.values())
        asked = {
            "from": iso_time(self.period.since),
            "to": iso_time(self.period.until),
            "timezone": self.zone.key,
            "metrics": delimiter.join(metrics),
            **{name: delimiter.join(values) for name, values in self.filters.items() if values},
        }
        return asked if delimiter == "," else {**asked, "delimiter": delimiter}


def delimiter_for(lists: Iterable[Sequence[str]]) -> str:
    """What the values of these lists can be told apart by in one parameter; ReportError when there is nothing."""
    text = "\n".join(value for values in lists for value in values)
    found = next((each for each in _DELIMITERS if each not in text), None)
    if found is None:
        raise ReportError(f"no value can be told from the next: they have each of {' '.join(_DELIMITERS)} in them")
    return found


def check_metrics(names: Iterable[str], option: str) -> tuple[str, ...]:
    """The names without repetition; ReportError for one that is not counted."""
    found = tuple(dict.fromkeys(name.strip() for each in names for name in each.split(",")))
    for name in found:
        if name in UNCOUNTED:
            raise ReportError(f"{option}: {name} is not counted: {UNCOUNTED[name]}")
        try:
            check_metric(name)
        except QuestionError as error:
            raise ReportError(f"{option}: {str(error).removeprefix('metrics: ')}") from None
    return found


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name; ReportError when there is none."""
    try:
        zone: ZoneInfo = time_zone().read(name)
    except ValueError:
        raise ReportError(f"--timezone: there is no {name!r}; it is a name like UTC or America/New_York") from None
    return zone


def period_of(since: str, until: str, zone: ZoneInfo, now: float) -> Period:
    """The time between two options; "" for `until` is now. ReportError when it is none."""
    behind = moment_of("--until", until, zone, now, end=True) if until else int(now * 1000)
    begins = moment_of("--since", since, zone, now, end=False)
    if begins >= behind:
        raise ReportError(f"--since ({_shown(begins, zone)}) must be before --until ({_shown(behind, zone)})")
    return Period(begins, behind)


def moment_of(option: str, text: str, zone: ZoneInfo, now: float, *, end: bool) -> int:
    """Unix milliseconds of what an option says; ReportError when it is no time.

    Days are whole: the first moment of one, or with `end` the one behind its last.
    """
    today = datetime.fromtimestamp(now, zone).date()
    after = timedelta(days=1 if end else 0)
    if text in ("today", "yesterday"):
        return midnight(today - timedelta(days=text == "yesterday") + after, zone)
    if days := _DAYS.fullmatch(text):
        number = int(days[1]) * (7 if days[2] == "w" else 1)
        if not 0 < number < 36_500:
            raise ReportError(f"{option}: cannot be {text!r}; days are from 1 to 36,499")
        return midnight(today - timedelta(days=number - 1), zone)
    try:
        if re.fullmatch(r"[0-9.]+\s*[smh]", text):
            return max(0, int((now - parse_duration(text)) * 1000))
        found = time().read(text)
    except ValueError:
        raise ReportError(
            f"{option}: cannot be {text[:60]!r}; it is a time like 7d, 36h, today, yesterday, 2026-11-01 or "
            "2026-11-01T08:00"
        ) from None
    if len(text) == len("2026-11-01"):
        return midnight(found.date() + after, zone)
    return unix_ms(found, zone)


def _shown(moment: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, zone):%Y-%m-%d %H:%M}"


def shown_period(asked: Asked) -> str:
    """The period for people."""
    return f"{_shown(asked.period.since, asked.zone)} to {_shown(asked.period.until, asked.zone)}, {asked.zone.key}"
