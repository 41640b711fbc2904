"""Counting events, as the vendor's clients do: `GET /api/v1/metrics/deliverability` and what is below it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mailwake.api import metrics_answers as answers
from mailwake.api.metrics_answers import DELIVERABILITY, GROUPINGS, LISTS, PREFIX, Grouping, link
from mailwake.api.metrics_parameters import COMMON, OF_LISTS, OF_ROWS, ROUNDED, SPANS, UNSUPPORTED
from mailwake.api.routes import Route
from mailwake.api.schemas import Schema, array, members, text, whole
from mailwake.control.api_keys import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINK = members({"href": text("Path and query."), "rel": text("What it is."), "method": text()})
_LINKS = array(_LINK, "Where to go on.")
_NUMBERS = ("count_accepted", "count_unique_confirmed_opened", "count_human_unique_clicked")
_EXAMPLE = dict(zip(_NUMBERS, (34_432, 12_077, 1_502), strict=True))
_CLICKS = {"count_clicked": 2_340, "count_human_unique_clicked": 1_502}
_EXAMPLES = {
    "campaign_id": "spring",
    "domain": "example.com",
    "sending_domain": "news.shop.example",
    "subaccount_id": "42",
    "customer_id": "42",
    "tag": "newsletter",
    "link_name": "banner",
    "link_url": "https://shop.example/spring",
}


def _row(fields: Iterable[str]) -> Schema:
    return members({name: text() for name in fields}, additionalProperties=whole("A metric that was asked for."))


def _grouped(word: str, grouping: Grouping) -> Route:
    numbers = _CLICKS if "link" in word else _EXAMPLE
    return Route(
        method="GET",
        path=f"{DELIVERABILITY}/{word}",
        summary=f"Metrics by {word.replace('-', ' ')}",
        details=f"One row for each {grouping.doc}. `total_count` is how many rows there are of all pages."
        + (" Clicks alone are counted for links." if "link" in word else ""),
        answer=partial(answers.rows, word=word),
        scope=Scope.READ,
        query=OF_ROWS,
        unsupported=UNSUPPORTED,
        result=members(
            {
                "results": array(_row(grouping.fields)),
                "total_count": whole("Rows of all pages."),
                "links": _LINKS,
            }
        ),
        result_example={
            "results": [{**{name: _EXAMPLES[name] for name in grouping.fields}, **numbers}],
            "total_count": 1,
            "links": [],
        },
    )


def _listed(word: str) -> Route:
    return Route(
        method="GET",
        path=f"{PREFIX}/{word}",
        summary=f"List {word.replace('-', ' ')}",
        details="Those that any event has, from A to Z.",
        answer=partial(answers.names, word=word),
        scope=Scope.READ,
        query=OF_LISTS,
        result=members({"results": members({word: array(text())})}),
        result_example={"results": {word: [_EXAMPLES[GROUPINGS[LISTS[word]].fields[0]]]}},
    )


METRICS_ROUTES = (
    Route(
        method="GET",
        path=PREFIX,
        summary="What there is of metrics",
        answer=answers.links_of_metrics,
        scope=Scope.READ,
        result=members({"results": members({}), "links": _LINKS}),
        result_example={"results": {}, "links": [link(DELIVERABILITY, "deliverability")]},
    ),
    Route(
        method="GET",
        path=DELIVERABILITY,
        summary="Metrics of everything together",
        details="One row. Counts are exact.",
        answer=answers.summary,
        scope=Scope.READ,
        query=(*COMMON, ROUNDED),
        unsupported=UNSUPPORTED,
        result=members({"results": array(_row(())), "links": _LINKS}),
        result_example={"results": [_EXAMPLE], "links": [link(f"{DELIVERABILITY}/campaign", "campaign")]},
    ),
    *(_grouped(word, grouping) for word, grouping in GROUPINGS.items()),
    Route(
        method="GET",
        path=f"{DELIVERABILITY}/time-series",
        summary="Metrics over time",
        details="Every span from `from` to `to` is there, those without events with zeros. The first and the last "
        "count what of them lies in that time. `ts` is the beginning of a span.",
        answer=answers.series,
        scope=Scope.READ,
        query=(*COMMON, SPANS),
        unsupported=UNSUPPORTED,
        result=members(
            {
                "results": array(
                    members({"ts": text("ISO 8601, with an offset.")}, additionalProperties=whole("A metric."))
                ),
                "precision": text("The length of the spans."),
            }
        ),
        result_example={"results": [{"ts": "2026-11-01T00:00:00-04:00", **_EXAMPLE}], "precision": "day"},
    ),
    *(_listed(word) for word in LISTS),
)
