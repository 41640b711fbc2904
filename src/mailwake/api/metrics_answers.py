"""What metrics answer: from a request to the store's question, and from its rows to the vendor's shapes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from mailwake.api.errors import ApiError, Fault
from mailwake.api.event_filters import bad_questions, filters_of, same_question, store_of
from mailwake.api.metrics_parameters import METRICS, OF_ROWS, ROUNDED, SPANS, span_of_metrics
from mailwake.api.routes import Reply
from mailwake.reports.local_time import PRECISIONS, usual_precision, whole_spans
from mailwake.reports.over_time import time_series
from mailwake.store.filters import Filters
from mailwake.store.report_question import MAX_ROWS, By, ReportQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailwake.api.event_filters import Span
    from mailwake.api.routes import Call
    from mailwake.reports.over_time import TimePoint
    from mailwake.store.report_question import ReportRow

PREFIX = "/api/v1/metrics"
DELIVERABILITY = f"{PREFIX}/deliverability"
UTC = ZoneInfo("UTC")
_ANY = ("count_injected",)


class Grouping(NamedTuple):
    """One way to tell rows apart: the last word of its path, and the fields of a row that say which it is."""

    by: By
    fields: tuple[str, ...]
    doc: str


GROUPINGS = {
    "campaign": Grouping(By.CAMPAIGN, ("campaign_id",), "campaign; an empty one is mail without a campaign"),
    "domain": Grouping(By.DOMAIN, ("domain",), "recipient's domain"),
    "sending-domain": Grouping(By.SENDING_DOMAIN, ("sending_domain",), "sender's domain"),
    "subaccount": Grouping(By.CUSTOMER, ("subaccount_id",), "customer, by the vendor's name"),
    "customer": Grouping(By.CUSTOMER, ("customer_id",), "customer"),
    "tag": Grouping(By.TAG, ("tag",), "tag; mail with several counts for each, and mail without any for none"),
    "link-name": Grouping(By.LINK_NAME, ("link_name",), "link's name; `Raw URL` is all links without one"),
    "link": Grouping(By.LINK, ("link_name", "link_url"), "link, by name and URL"),
}

LISTS = {
    "campaigns": "campaign",
    "domains": "domain",
    "sending-domains": "sending-domain",
    "tags": "tag",
    "customers": "customer",
}
"""What can be listed: the word of its path and of its answer, and the grouping whose keys it has."""


def link(path: str, rel: str) -> dict[str, str]:
    """A link as the vendor writes it."""
    return {"href": path, "rel": rel, "method": "GET"}


async def links_of_metrics(call: Call) -> Reply:
    """What is below the root, as the vendor has it."""
    links = [link(f"{PREFIX}/", ""), link(DELIVERABILITY, "deliverability")]
    links += [link(f"{PREFIX}/{name}", name) for name in LISTS]
    return Reply(msgspec.json.encode({"results": {}, "links": links}))


async def summary(call: Call) -> Reply:
    """Everything together: one row."""
    metrics = _metrics(call)
    with bad_questions():
        table = await store_of(call).report(ReportQuestion(where=_where(call), metrics=metrics))
    links = [link(DELIVERABILITY, "deliverability")]
    links += [link(f"{DELIVERABILITY}/{name}", name) for name in (*GROUPINGS, "time-series")]
    return Reply(msgspec.json.encode({"results": [*_objects((), metrics, table.rows)], "links": links}))


async def rows(call: Call, word: str) -> Reply:
    """A row for each campaign, domain … (a word of GROUPINGS)."""
    grouping, metrics, span = GROUPINGS[word], _metrics(call), span_of_metrics(call)
    order_by, descending = _order(call, grouping, metrics)
    counted = metrics if not order_by or order_by in metrics else (*metrics, order_by)
    limit, offset = call.query["limit"], call.query["offset"]
    with bad_questions():
        question = ReportQuestion(
            where=_where(call),
            metrics=counted,
            by=grouping.by,
            order_by=order_by,
            descending=descending,
            limit=limit,
            offset=offset,
        )
        table = await store_of(call).report(question)
    links = []
    if offset + len(table.rows) < table.groups and table.rows:
        path = f"{DELIVERABILITY}/{word}"
        links.append(link(same_question(call, path, OF_ROWS, span, {"offset": offset + limit}), "next"))
    return Reply(await asyncio.to_thread(_encoded, grouping, metrics, table.rows, table.groups, links))


def _encoded(
    grouping: Grouping, metrics: tuple[str, ...], rows: Iterable[ReportRow], total: int, links: list[dict[str, str]]
) -> bytes:
    results = [*_objects(grouping.fields, metrics, rows)]
    return msgspec.json.encode({"results": results, "total_count": total, "links": links})


def _objects(fields: tuple[str, ...], metrics: tuple[str, ...], rows: Iterable[ReportRow]) -> Iterator[dict[str, Any]]:
    # A metric that only gives the order has no name among `metrics`, and is left out.
    for row in rows:
        yield {**dict(zip(fields, row.key, strict=True)), **dict(zip(metrics, row.numbers, strict=False))}


def _order(call: Call, grouping: Grouping, metrics: tuple[str, ...]) -> tuple[str, bool]:
    """By which metric ("" for the key), and whether the largest come first."""
    order, order_by = call.query.get("order", "desc"), call.query.get("order_by", metrics[0])
    if order_by in grouping.fields:
        if call.query.get("order") == "desc":
            raise ApiError(Fault.BAD_PARAMETER, f"parameter 'order': rows by {order_by} go from A to Z; leave it out")
        return "", False
    return str(METRICS.kind.read(order_by)), order == "desc"


async def series(call: Call) -> Reply:
    """A row for each span of time."""
    metrics, span = _metrics(call), span_of_metrics(call)
    precision = call.query.get(SPANS.name) or usual_precision(*span)
    with bad_questions():
        points = await time_series(
            store_of(call), Filters(**filters_of(call, span)), metrics, precision, call.query.get("timezone", UTC)
        )
    return Reply(await asyncio.to_thread(_encoded_series, metrics, points, precision))


def _encoded_series(metrics: tuple[str, ...], points: Iterable[TimePoint], precision: str) -> bytes:
    results = [{"ts": each.begins.isoformat(), **dict(zip(metrics, each.numbers, strict=True))} for each in points]
    return msgspec.json.encode({"results": results, "precision": precision})


async def names(call: Call, word: str) -> dict[str, list[str]]:
    """The keys of a grouping that any event has."""
    by, limit = GROUPINGS[LISTS[word]].by, call.query["limit"]
    match = call.query.get("match", "").casefold()
    found: list[str] = []
    offset, groups = 0, 1
    while offset < groups and len(found) < limit:
        with bad_questions():
            question = ReportQuestion(where=_where(call), metrics=_ANY, by=by, offset=offset)
        rows, groups = await store_of(call).report(question)
        found += [key for key in (str(row.key[0]) for row in rows) if key and match in key.casefold()]
        offset += MAX_ROWS
    return {word: found[:limit]}


def _metrics(call: Call) -> tuple[str, ...]:
    return tuple(dict.fromkeys(call.query["metrics"]))


def _where(call: Call) -> Filters:
    span: Span = span_of_metrics(call)
    if ROUNDED.name in call.query:
        spans, zone = PRECISIONS[call.query[ROUNDED.name]], call.query.get("timezone", UTC)
        span = span._replace(**dict(zip(span._fields, whole_spans(spans, zone, *span), strict=True)))
    return Filters(**filters_of(call, span))
