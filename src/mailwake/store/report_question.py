"""A report: what is counted, of which events, and by what it is told apart."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mailwake.store.filters import Filters, QuestionError
from mailwake.store.measures import MEASURES

MAX_ROWS = 10_000
"""Rows that one report may have."""

MAX_METRICS = 60

MINUTE, HOUR, DAY, WEEK = 60_000, 3_600_000, 86_400_000, 604_800_000


class By(Enum):
    """What the rows of a report are."""

    NOTHING = ()
    """One row: everything together."""
    CAMPAIGN = ("campaign_id",)
    DOMAIN = ("recipient_domain",)
    SENDING_DOMAIN = ("sending_domain",)
    CUSTOMER = ("customer_id",)
    TAG = ("tag",)
    """A message with several tags counts for each of them; one without any, for none."""
    LINK_NAME = ("target_link_name",)
    LINK = ("target_link_name", "target_link_url")
    TIME = ("time",)
    """The beginning of a span of time; `TimeSpans` says in which milliseconds."""
    WEEK_HOUR = ("week_hour",)
    """An hour of the local week: 0 is Monday from 0 to 1 o'clock, 167 the last hour of Sunday."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The parts of a row's key."""
        parts: tuple[str, ...] = self.value
        return parts


_OF_LINKS = (By.LINK_NAME, By.LINK)
OF_TIME = (By.TIME, By.WEEK_HOUR)


class Offset(NamedTuple):
    """From this moment on (Unix milliseconds), local time is ahead of UTC by so many milliseconds."""

    since: int
    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """What local time is: offsets in the order of time, of which the first also holds for all that is earlier."""

    offsets: tuple[Offset, ...] = (Offset(0, 0),)

    def __post_init__(self) -> None:
        if not self.offsets or list(self.offsets) != sorted(self.offsets):
            raise QuestionError("offsets: must be in the order of time, and at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpans:
    """How time is divided: spans of so many milliseconds of local time, or of a calendar month (`months`).

    A span's key is the *local* time of its beginning, as Unix milliseconds would have it if local time were UTC, for
    spans of half a day and longer: they begin at local noon or midnight, weeks on Monday. Shorter ones have the moment
    of their beginning itself, as a local time can be there twice when clocks are set back.
    """

    width: int = DAY
    months: bool = False

    def __post_init__(self) -> None:
        if not self.months and (self.width < MINUTE or WEEK % self.width):
            raise QuestionError("width: must divide a week, and be a minute or more")

    @property
    def is_local(self) -> bool:
        """Whether keys are local times."""
        return self.months or self.width > HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestion:
    """Counts of events; QuestionError for what cannot be counted so.

    `where` must name both ends of its time. Rows are ordered by `order_by` (one of `metrics`; "" is by key) and then by
    key; `limit` and `offset` choose among them.
    """

    where: Filters
    metrics: tuple[str, ...]
    by: By = By.NOTHING
    order_by: str = ""
    descending: bool = True
    """Whether the largest come first; by key, rows always ascend."""
    limit: int = MAX_ROWS
    offset: int = 0
    local_time: LocalTime = field(default_factory=LocalTime)
    spans: TimeSpans = field(default_factory=TimeSpans)

    def __post_init__(self) -> None:
        if self.where.since is None or self.where.until is None:
            raise QuestionError("where: must name both ends of its time")
        if not 1 <= len(self.metrics) <= MAX_METRICS or len(set(self.metrics)) != len(self.metrics):
            raise QuestionError(f"metrics: name from 1 to {MAX_METRICS}, each once")
        for name in self.metrics:
            check_metric(name)
            if self.by in _OF_LINKS and not MEASURES[name].is_of_links:
                raise QuestionError(f"metrics: {name} is not counted for each link; clicks are")
        if self.order_by and self.order_by not in self.metrics:
            raise QuestionError(f"order_by: {self.order_by} is not among the metrics asked for")
        if not 1 <= self.limit <= MAX_ROWS:
            raise QuestionError(f"limit: must be from 1 to {MAX_ROWS}")
        if not 0 <= self.offset <= 1 << 40:
            raise QuestionError("offset: is out of range")


def check_metric(name: str) -> None:
    """QuestionError, with the nearest name, when there is no such metric."""
    if name not in MEASURES:
        near = difflib.get_close_matches(name[:100], MEASURES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(MEASURES)}"
        raise QuestionError(f"metrics: there is no {name[:60]!r}; {hint}")


class ReportRow(NamedTuple):
    """A row: what it is about (see `By`), and a number for each metric."""

    key: tuple[str | int, ...]
    numbers: tuple[int, ...]


class ReportTable(NamedTuple):
    """The rows asked for; `groups` is how many there are without limit and offset."""

    rows: list[ReportRow]
    groups: int
