"""What a page is about: the period, the filters and the way of counting, which stand in its URL; and what may be seen.

This is the only place where a page's question to the store is made, so that nobody's data gets to anybody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, choice, query_pairs, read_pairs, repeated, text, time, time_zone
from mailwake.dashboard.periods import RANGES, Period, named_period, own_period, shown_period
from mailwake.store.filters import Cut, Filters
from mailwake.store.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mailwake.dashboard.viewer import Viewer

CUTS = {
    "all": ("All", "All opens and clicks, machines and prefetching mail programs among them"),
    "nonprefetched": ("No prefetch", "Without what mail programs and proxies fetched before anybody looked"),
    "human": ("People only", "Without prefetching, and without what machines did"),
}
"""The three ways of counting: the name in URLs, on the page, and what it means."""

_CUTS = {"all": Cut.ALL, "nonprefetched": Cut.NOT_PREFETCHED, "human": Cut.PEOPLE}

FILTERS = {
    "campaign": ("campaigns", "Campaign"),
    "domain": ("recipient_domains", "Domain"),
    "tag": ("tags", "Tag"),
    "customer": ("customers", "Customer"),
    "link": ("link_names", "Link"),
}
"""Parameters that narrow a page: what the store calls them, and what people do."""

MOST_VALUES = 20
"""Values of one filter: more than fit a page are a question for the API."""

VIEW_PARAMETERS = (
    Parameter(name="range", kind=choice(*RANGES), doc="The period by its name."),
    Parameter(name="from", kind=time(), doc="The first moment of another period."),
    Parameter(name="to", kind=time(), doc="Its end: a day, which is in it, or a moment."),
    Parameter(name="tz", kind=time_zone(), doc="The time zone of days and hours."),
    Parameter(name="cut", kind=choice(*CUTS), doc="What is counted."),
    *(
        Parameter(name=name, kind=repeated(text(maximum=255)), doc=f"{label}: any of those given.")
        for name, (_, label) in FILTERS.items()
    ),
)
"""The parameters that every page has."""

VIEW_NAMES = frozenset(each.name for each in VIEW_PARAMETERS)
"""Their names."""

_PERIOD = ("range", "from", "to")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Period, filters and cut of one request, checked."""

    period: Period
    zone: ZoneInfo
    cut: str
    filters: Mapping[str, tuple[str, ...]]
    """The values by the names of FILTERS; those without any are not in it."""
    only_customer: str | None
    pairs: Pairs
    """The parameters as they were given: what keeps the view in links to other pages."""
    now: float = field(default=0.0)

    @property
    def title(self) -> str:
        """The period's name."""
        return RANGES.get(self.period.range) or shown_period(self.period, self.zone)

    @property
    def dates(self) -> str:
        """The period's days."""
        return shown_period(self.period, self.zone)

    @property
    def first_day(self) -> str:
        """The day that it begins with, 2026-11-01."""
        return f"{datetime.fromtimestamp(self.period.since / 1000, self.zone):%Y-%m-%d}"

    @property
    def last_day(self) -> str:
        """The day that it ends with."""
        return f"{datetime.fromtimestamp((self.period.until - 1) / 1000, self.zone):%Y-%m-%d}"

    @property
    def file_suffix(self) -> str:
        """The days, for the names of files."""
        return self.first_day if self.first_day == self.last_day else f"{self.first_day}-to-{self.last_day}"

    @property
    def chips(self) -> list[tuple[str, str, str]]:
        """Every value that narrows the view: parameter, its name for people, value."""
        return [(name, label, value) for name, (_, label) in FILTERS.items() for value in self.filters.get(name, ())]

    def fields(self) -> dict[str, Any]:
        """What the store is asked to keep to, for `Filters` and, with paging, for `Question`."""
        named: dict[str, Any] = {FILTERS[name][0]: values for name, values in self.filters.items()}
        named["recipient_domains"] = tuple(each.lower() for each in named.get("recipient_domains", ()))
        return {
            **named,
            "since": self.period.since,
            "until": self.period.until,
            "only_customer": self.only_customer,
            "cut": _CUTS[self.cut],
        }

    def where(self, **changes: Any) -> Filters:
        """The events that the page is about; QuestionError, which is shown as 400, for what no event can have."""
        return Filters(**{**self.fields(), **changes, "only_customer": self.only_customer})

    def question(self, **changes: Any) -> Question:
        """A page of the same events, newest first; QuestionError as for `where`."""
        return Question(**{**self.fields(), **changes, "only_customer": self.only_customer})

    def story(self, **of: Any) -> Question:
        """All events of a message or person, whatever period, filters and cut the view has; of whom is in `of`."""
        return Question(**{**of, "only_customer": self.only_customer})

    def query(self, changes: Mapping[str, str | None] | None = None, *, without: tuple[str, str] | None = None) -> str:
        """The view as the query of a URL, with `?`: changed, or without one value of a filter."""
        changes = changes or {}
        gone = {*changes, *(_PERIOD if any(name in changes for name in _PERIOD) else ())}
        kept = [pair for pair in self.pairs if pair[0] not in gone and pair != without]
        kept += [(name, value) for name, value in changes.items() if value]
        return f"?{urlencode(kept)}" if kept else ""

    def query_with(self, name: str, value: str) -> str:
        """The view narrowed to this value of a filter."""
        return self.query({name: value})


def given_pairs(query: bytes) -> list[tuple[str, str]]:
    """What the URL says, without the fields that a form has sent empty."""
    return [(name, value.strip()) for name, value in query_pairs(query) if value.strip()]


def read_values(parameters: Sequence[Parameter], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values of the view and of a page's own parameters; ApiError names what cannot be read."""
    values = read_pairs((*VIEW_PARAMETERS, *parameters), pairs)
    for name, (_, label) in FILTERS.items():
        if len(values.get(name, ())) > MOST_VALUES:
            raise ApiError(Fault.BAD_PARAMETER, f"{label}: at most {MOST_VALUES} values at once")
    return values


def make_view(
    values: Mapping[str, Any],
    pairs: Sequence[tuple[str, str]],
    viewer: Viewer,
    *,
    now: float,
    usual_range: str,
    usual_zone: str,
) -> View:
    """The view of a request; ApiError when its period is none."""
    zone = values.get("tz") or ZoneInfo(usual_zone)
    return View(
        period=_period(values, dict(pairs), now, zone, usual_range),
        zone=zone,
        cut=values.get("cut", "all"),
        filters={name: tuple(dict.fromkeys(values[name])) for name in FILTERS if values.get(name)},
        only_customer=viewer.customer,
        pairs=tuple(dict.fromkeys((name, value) for name, value in pairs if name in VIEW_NAMES)),
        now=now,
    )


def _period(
    values: Mapping[str, Any], texts: Mapping[str, str], now: float, zone: ZoneInfo, usual_range: str
) -> Period:
    own = {name: values[name] for name in ("from", "to") if name in values}
    if own and "range" in values:
        raise ApiError(Fault.BAD_PARAMETER, "parameter 'range' cannot stand beside 'from' and 'to'; give one of them")
    if own:
        return own_period(own, texts, now, zone)
    return named_period(values.get("range", usual_range), now, zone)
