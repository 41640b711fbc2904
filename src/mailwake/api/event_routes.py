"""Searching events, as the vendor's clients do: `GET /api/v1/events/message`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import DELIMITER, Parameter, choice, list_of, text, time, time_zone, unix_ms, whole
from mailwake.api.routes import Reply, Route
from mailwake.api.schemas import array, members, reference
from mailwake.api.schemas import text as words
from mailwake.api.schemas import whole as number
from mailwake.control.api_keys import Scope
from mailwake.events.model import EventType
from mailwake.events.samples import sample
from mailwake.events.wire import iso_time, wire_fields
from mailwake.store.question import DEFAULT_PER_PAGE, INITIAL_CURSOR, MAX_PER_PAGE, Question, QuestionError
from mailwake.webhooks.webhook import VENDOR_EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailwake.api.routes import Call
    from mailwake.events.model import Event
    from mailwake.store.contract import EventStore

PATH = "/api/v1/events/message"

DAY_MS = 86_400_000
MOST_RECIPIENTS = 500
"""Recipients that one search may name: each may stand for two, itself and its hash."""

_TYPES = {kind.wire_name: kind for kind in EventType}
_ID = whole(0, (1 << 63) - 1)
_NO_WILDCARD = "Compared exactly: there are no wildcards."

QUERY = (
    Parameter(name="from", kind=time(), doc="The first moment. Without it: 24 hours before `to`."),
    Parameter(name="to", kind=time(), doc="The moment behind the last. Without it: now."),
    Parameter(name="timezone", kind=time_zone(), doc="Of `from` and `to` where they have no offset; without it UTC."),
    Parameter(
        name="events",
        kind=list_of(choice(*_TYPES, *sorted(VENDOR_EVENT_TYPES))),
        doc="Types of events; those that mailwake does not record are taken, and never found.",
    ),
    Parameter(
        name="recipients", kind=list_of(text(maximum=320)), doc=f"At most {MOST_RECIPIENTS} addresses, any case."
    ),
    Parameter(name="recipient_domains", kind=list_of(text(maximum=255)), doc="Domains of recipients, any case."),
    Parameter(name="campaigns", kind=list_of(text()), doc=f"Campaigns. {_NO_WILDCARD}"),
    Parameter(name="messages", kind=list_of(text(maximum=100)), doc="Message ids.", aliases=("message_ids",)),
    Parameter(name="transmissions", kind=list_of(_ID), doc="Transmission ids.", aliases=("transmission_ids",)),
    Parameter(name="subaccounts", kind=list_of(text(maximum=255)), doc="Customers.", aliases=("customers",)),
    Parameter(name="event_ids", kind=list_of(_ID), doc="Events by their own ids."),
    Parameter(name="tags", kind=list_of(text()), doc=f"Tags. {_NO_WILDCARD}"),
    Parameter(name="subjects", kind=list_of(text()), doc=f"Subjects. {_NO_WILDCARD}", aliases=("subject",)),
    Parameter(name="from_addresses", kind=list_of(text()), doc="What `friendly_from` says."),
    Parameter(name="sending_domains", kind=list_of(text(maximum=255)), doc=f"Domains of senders. {_NO_WILDCARD}"),
    Parameter(name="bounce_classes", kind=list_of(whole(0, 1000)), doc="Classes of bounces."),
    DELIMITER,
    Parameter(name="cursor", kind=text(maximum=500), doc="Where to go on, from `links.next`.", default=INITIAL_CURSOR),
    Parameter(name="per_page", kind=whole(1, MAX_PER_PAGE), doc="Events of an answer.", default=DEFAULT_PER_PAGE),
)
"""The parameters of a search."""

UNSUPPORTED = {
    **dict.fromkeys(("templates", "template_ids"), "mail has no templates here"),
    **dict.fromkeys(("ab_tests", "ab_test_versions", "ab_test_version"), "there are no A/B tests here"),
    **dict.fromkeys(("ip_pools", "sending_ips"), "the next hop chooses the address that mail is sent from"),
    **dict.fromkeys(("mailbox_providers", "mailbox_provider_regions"), "providers are not told apart; use domains"),
    "reason": "reasons are not searched; use bounce_classes",
    "page": "pages have cursors, see links.next",
}
"""Parameters of the vendor's that would change what is found, and cannot be followed."""

_DIRECTLY = ("campaigns", "messages", "transmissions", "event_ids", "tags", "subjects", "from_addresses")
_WITHOUT_WILDCARDS = ("campaigns", "recipient_domains", "subjects", "sending_domains")


@dataclass(frozen=True, slots=True)
class _Span:
    since: int
    until: int


def store_of(call: Call) -> EventStore:
    """The store; ApiError where there is none."""
    if call.parts.store is None:
        raise ApiError(Fault.BUSY, "events are not kept for searching here: store.enabled is false")
    return call.parts.store


async def _search(call: Call) -> Reply:
    span = _span(call)
    query = call.query
    types = tuple(_TYPES[name] for name in query.get("events", ()) if name in _TYPES)
    if "events" in query and not types:
        return Reply(msgspec.json.encode({"results": [], "total_count": 0, "links": {}}))
    try:
        page = await store_of(call).search(_question(call, span, types))
    except QuestionError as error:
        raise ApiError(Fault.BAD_PARAMETER, str(error)) from None
    links = {"next": _next(call, span, page.next_cursor)} if page.next_cursor else {}
    return Reply(await asyncio.to_thread(_encoded, page.events, page.total_count, links))


def _encoded(events: Iterable[Event], total: int, links: Mapping[str, str]) -> bytes:
    return msgspec.json.encode({"results": [*map(wire_fields, events)], "total_count": total, "links": links})


def _span(call: Call) -> _Span:
    zone = call.query.get("timezone")
    given = {name: unix_ms(call.query[name], zone) for name in ("from", "to") if name in call.query}
    until = given.get("to", int(call.parts.clock.now() * 1000))
    since = given.get("from", until - DAY_MS)
    if since >= until:
        raise ApiError(
            Fault.BAD_PARAMETER, f"parameter 'from' ({iso_time(since)}) must be before 'to' ({iso_time(until)})"
        )
    return _Span(since, until)


def _question(call: Call, span: _Span, types: tuple[EventType, ...]) -> Question:
    query = call.query
    for name in _WITHOUT_WILDCARDS:
        if any("*" in value for value in query.get(name, ())):
            raise ApiError(Fault.BAD_PARAMETER, f"parameter '{name}': there are no wildcards; name all of them")
    return Question(
        since=span.since,
        until=span.until,
        types=types,
        recipients=_recipients(call),
        recipient_domains=tuple(each.lower() for each in query.get("recipient_domains", ())),
        sending_domains=tuple(each.lower() for each in query.get("sending_domains", ())),
        customers=query.get("subaccounts", ()),
        only_customer=call.customer,
        bounce_classes=query.get("bounce_classes", ()),
        per_page=query["per_page"],
        cursor=query["cursor"],
        **{name: query[name] for name in _DIRECTLY if name in query},
    )


def _recipients(call: Call) -> tuple[str, ...]:
    asked = [each.lower() for each in call.query.get("recipients", ())]
    if len(asked) > MOST_RECIPIENTS:
        problem = f"parameter 'recipients' has {len(asked)} items, and may have {MOST_RECIPIENTS}"
        raise ApiError(Fault.BAD_PARAMETER, problem)
    hashing = call.parts.hashing
    hashed = [] if hashing is None else [hashing.hashed(each) for each in asked]
    return tuple(dict.fromkeys([*asked, *hashed]))


def _next(call: Call, span: _Span, cursor: str) -> str:
    """The same question, its times spelled out, as those that are left out would move on."""
    times = {"from": iso_time(span.since), "to": iso_time(span.until)}
    lists = {each.name for each in QUERY if each.kind.many}
    delimiter = call.query.get(DELIMITER.name, ",")
    kept = {
        name: delimiter.join(map(str, value)) if name in lists else value
        for name, value in call.query.items()
        if name not in ("from", "to", "timezone", "cursor")
    }
    return f"{PATH}?{urlencode({**times, **kept, 'cursor': cursor}, safe=':,@')}"


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
