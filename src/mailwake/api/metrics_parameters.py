"""The parameters of metrics: which numbers, of which time, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.api.errors import ApiError, Fault
from mailwake.api.event_filters import FILTERS_OF_METRICS, TIME_ZONE, Span, span_of
from mailwake.api.event_filters import UNSUPPORTED as UNSUPPORTED_FILTERS
from mailwake.api.parameters import DELIMITER, Kind, Parameter, choice, list_of, text, time, whole
from mailwake.reports.local_time import PRECISIONS
from mailwake.reports.uncounted import UNCOUNTED
from mailwake.store.filters import QuestionError
from mailwake.store.measures import MEASURES
from mailwake.store.report_question import DAY, MAX_ROWS, check_metric

if TYPE_CHECKING:
    from mailwake.api.routes import Call

DEFAULT_LIMIT = 1000

LONGEST_YEARS = 100
"""A longer time is a slip of the keyboard."""

FROM = Parameter(name="from", kind=time(), doc="The first moment.", required=True)
TO = Parameter(name="to", kind=time(), doc="The moment behind the last. Without it: now.")


def _metric(value: str) -> str:
    if value in UNCOUNTED:
        raise ApiError(Fault.BAD_PARAMETER, f"parameter 'metrics': {value} is not counted: {UNCOUNTED[value]}")
    try:
        check_metric(value)
    except QuestionError as error:
        raise ApiError(Fault.BAD_PARAMETER, f"parameter {error}") from None
    return value


METRICS = Parameter(
    name="metrics",
    kind=list_of(Kind("the name of a metric", _metric, {"type": "string", "enum": [*MEASURES]})),
    doc="What is counted; each name says of what and how.",
    required=True,
)

COMMON = (FROM, TO, TIME_ZONE, METRICS, *FILTERS_OF_METRICS, DELIMITER)
"""What all metrics have."""

ROUNDED = Parameter(
    name="precision",
    kind=choice(*PRECISIONS),
    doc="Makes the time longer at both ends, to whole spans of this length in `timezone`. Without it: as it is given.",
)
SPANS = Parameter(
    name="precision",
    kind=choice(*PRECISIONS),
    doc="The length of the spans, in `timezone`; weeks begin on Monday. Without it: the finest with at most 125 spans.",
)

ORDER_BY = Parameter(
    name="order_by",
    kind=text(maximum=100),
    doc="A metric, or the name of what the rows are told apart by. Without it: the first of `metrics`.",
)
ORDER = Parameter(
    name="order",
    kind=choice("asc", "desc"),
    doc="Whether the smallest come first, or the largest. Without it: the largest, and names from A to Z.",
)
LIMIT = Parameter(name="limit", kind=whole(1, MAX_ROWS), doc="Rows at most.", default=DEFAULT_LIMIT)
OFFSET = Parameter(name="offset", kind=whole(0, 1 << 32), doc="Rows to pass over, of that order.", default=0)

OF_ROWS = (*COMMON, ROUNDED, ORDER_BY, ORDER, LIMIT, OFFSET)

MATCH = Parameter(name="match", kind=text(), doc="Only those with this text in them, any case.")
OF_LISTS = (
    Parameter(name="from", kind=time(), doc="The first moment. Without it: all that there is."),
    TO,
    TIME_ZONE,
    MATCH,
    LIMIT,
)

UNSUPPORTED = {
    **UNSUPPORTED_FILTERS,
    "query_filters": "there are no filters in JSON; name what you want by domains, campaigns and the others",
    "subject_campaigns": "use subjects",
    **dict.fromkeys(("nodes", "protocols", "sandbox"), "events do not say it"),
    **dict.fromkeys(("bindings", "binding_groups"), "the next hop chooses the address that mail is sent from"),
}
"""Parameters of the vendor's that would change what is counted, and cannot be followed."""


def span_of_metrics(call: Call) -> Span:
    """The time that is asked for; ApiError for one that nobody can mean."""
    span = span_of(call, before=LONGEST_YEARS * 365 * DAY)
    if span.until - span.since > LONGEST_YEARS * 366 * DAY:
        raise ApiError(
            Fault.BAD_PARAMETER, f"from 'from' to 'to' are more than {LONGEST_YEARS} years; take a shorter time"
        )
    return span
