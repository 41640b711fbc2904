"""Searching events, as the vendor's clients do: `GET /api/v1/events/message`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.api.event_filters import (
    FILTERS,
    ID,
    TIME_ZONE,
    bad_questions,
    filters_of,
    same_question,
    span_of,
    store_of,
)
from mailwake.api.event_filters import UNSUPPORTED as UNSUPPORTED_FILTERS
from mailwake.api.parameters import DELIMITER, Parameter, choice, list_of, text, time, whole
from mailwake.api.routes import Reply, Route
from mailwake.api.schemas import array, members, reference
from mailwake.api.schemas import text as words
from mailwake.api.schemas import whole as number
from mailwake.control.api_keys import Scope
from mailwake.events.model import EventType
from mailwake.events.samples import sample
from mailwake.events.wire import wire_fields
from mailwake.store.question import DEFAULT_PER_PAGE, INITIAL_CURSOR, MAX_PER_PAGE, Question
from mailwake.webhooks.webhook import VENDOR_EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailwake.api.routes import Call
    from mailwake.events.model import Event

PATH = "/api/v1/events/message"

DAY_MS = 86_400_000

_TYPES = {kind.wire_name: kind for kind in EventType}

QUERY = (
    Parameter(name="from", kind=time(), doc="The first moment. Without it: 24 hours before `to`."),
    Parameter(name="to", kind=time(), doc="The moment behind the last. Without it: now."),
    TIME_ZONE,
    Parameter(
        name="events",
        kind=list_of(choice(*_TYPES, *sorted(VENDOR_EVENT_TYPES))),
        doc="Types of events; those that mailwake does not record are taken, and never found.",
    ),
    *FILTERS,
    Parameter(name="event_ids", kind=list_of(ID), doc="Events by their own ids."),
    Parameter(name="bounce_classes", kind=list_of(whole(0, 1000)), doc="Classes of bounces."),
    DELIMITER,
    Parameter(name="cursor", kind=text(maximum=500), doc="Where to go on, from `links.next`.", default=INITIAL_CURSOR),
    Parameter(name="per_page", kind=whole(1, MAX_PER_PAGE), doc="Events of an answer.", default=DEFAULT_PER_PAGE),
)
"""The parameters of a search."""

UNSUPPORTED = {
    **UNSUPPORTED_FILTERS,
    "reason": "reasons are not searched; use bounce_classes",
    "page": "pages have cursors, see links.next",
}
"""Parameters of the vendor's that would change what is found, and cannot be followed."""


async def _search(call: Call) -> Reply:
    span = span_of(call, before=DAY_MS)
    query = call.query
    types = tuple(_TYPES[name] for name in query.get("events", ()) if name in _TYPES)
    if "events" in query and not types:
        return Reply(msgspec.json.encode({"results": [], "total_count": 0, "links": {}}))
    filters = filters_of(call, span)
    with bad_questions():
        page = await store_of(call).search(
            Question(**filters, types=types, per_page=query["per_page"], cursor=query["cursor"])
        )
    links = {"next": same_question(call, PATH, QUERY, span, {"cursor": page.next_cursor})} if page.next_cursor else {}
    return Reply(await asyncio.to_thread(_encoded, page.events, page.total_count, links))


def _encoded(events: Iterable[Event], total: int, links: Mapping[str, str]) -> bytes:
    return msgspec.json.encode({"results": [*map(wire_fields, events)], "total_count": total, "links": links})


_EXAMPLE: dict[str, Any] = {
    "results": [wire_fields(sample(EventType.CLICK))],
    "total_count": 20_000,
    "links": {"next": f"{PATH}?from=2026-09-29T00:00:00.000Z&to=2026-09-30T00:00:00.000Z&per_page=1&cursor=lc4B"},
}

EVENT_ROUTES = (
    Route(
        method="GET",
        path=PATH,
        summary="Search events",
        details="The newest come first. `total_count` is exact. Follow `links.next` to the next page; the last has "
        "none. Every event that was there at the first page comes once, whatever arrives meanwhile.",
        answer=_search,
        scope=Scope.READ,
        query=QUERY,
        unsupported=UNSUPPORTED,
        result=members(
            {
                "results": array(reference("Event")),
                "total_count": number("Events that fit, of all pages."),
                "links": members({"next": words("Path and query of the next page.")}, required=()),
            }
        ),
        result_example=_EXAMPLE,
    ),
)
