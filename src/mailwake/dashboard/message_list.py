"""Messages: the events that fit the filters, the newest first, each with its message and its recipient; as CSV, too."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.responses import StreamingResponse

from mailwake.api.parameters import Parameter, list_of, text, whole
from mailwake.api.parameters import choice as one_of
from mailwake.csv_text import csv_lines
from mailwake.dashboard.event_words import TYPES
from mailwake.dashboard.formats import iso
from mailwake.dashboard.pages import Page
from mailwake.store.filters import MAX_ID
from mailwake.store.question import MAX_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from zoneinfo import ZoneInfo

    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.events.model import Event
    from mailwake.links.token import LinkContext
    from mailwake.store.contract import SearchPage
    from mailwake.store.question import Question

MESSAGES = "/dashboard/messages"
MESSAGES_CSV = "/dashboard/messages.csv"
RECIPIENT = "/dashboard/recipient"

PER_PAGE = 50

MOST_IN_CSV = 100_000
"""Events of a CSV file; more are a question for the API or for `mailwake store export`."""


class Field(NamedTuple):
    """A field of the search form: what the store calls it, its label, and what stands in it when it is empty."""

    filter: str
    label: str
    placeholder: str


SEARCH_FIELDS = {
    "recipient": Field("recipients", "Recipient", "jane.doe@example.com"),
    "subject": Field("subjects", "Subject", "exactly as it was"),
    "message": Field("messages", "Message id", "20 characters"),
    "url": Field("link_urls", "Link target", "https://…"),
}
"""The parameters of the search beside those of every view."""

_TEXT = text(maximum=4096)
EVENTS = Parameter(name="events", kind=list_of(one_of(*TYPES)), doc="Types of events, by their names on the wire.")
SEARCH = (
    *(Parameter(name=name, kind=_TEXT, doc=f"{field.label}, exactly.") for name, field in SEARCH_FIELDS.items()),
    EVENTS,
    Parameter(name="transmission", kind=whole(0, MAX_ID >> 1), doc="The transmission that messages were sent with."),
)
CURSOR = Parameter(name="cursor", kind=text(maximum=500), doc="Where the list goes on.")


def names_of(visit: Visit, address: str) -> tuple[str, ...]:
    """The names under which a recipient may stand in events: the address, and its hash where they are hashed."""
    lower = address.strip().lower()
    hashing = visit.parts.hashing
    return (lower,) if hashing is None else tuple(dict.fromkeys((lower, hashing.hashed(lower))))


def recipient_url(visit: Visit, address: str) -> str | None:
    """The page of a recipient; None for nobody. The address stands in the query, which is never logged."""
    return f"{RECIPIENT}{_kept(visit, address=address)}" if address else None


def message_url(visit: Visit, of: Event | LinkContext) -> str | None:
    """The page of the message that an event or link is of; None where that is not known."""
    if not of.message_id or not of.transmission_id:
        return None
    return f"{MESSAGES}/{quote(of.message_id, safe='')}{_kept(visit)}"


def _kept(visit: Visit, **own: str) -> str:
    """What is kept of the view where period and filters mean nothing: the time zone."""
    kept = {**own, **{name: value for name, value in visit.view.pairs if name == "tz"}}
    return f"?{urlencode(kept)}" if kept else ""


async def _messages(visit: Visit) -> Response:
    page = await visit.store.search(_question(visit, PER_PAGE))
    empty = not page.events and not (await visit.store.status()).events
    return await visit.render(
        "message_list.html",
        empty=empty,
        events=page.events,
        total=page.total_count,
        fields=SEARCH_FIELDS,
        types=TYPES,
        own=[each.name for each in visit.page.query],
        searched=[each.name for each in SEARCH if each.name in visit.query],
        older=_older(visit, page),
        newest=visit.here(cursor=None) if "cursor" in visit.query else None,
        csv=visit.url(MESSAGES_CSV, **_own(visit)),
        most_in_csv=MOST_IN_CSV,
        recipient_url=recipient_url,
        message_url=message_url,
    )


def _question(visit: Visit, per_page: int) -> Question:
    query = visit.query
    named: dict[str, Any] = {
        field.filter: (query[name].strip(),) for name, field in SEARCH_FIELDS.items() if name in query
    }
    if "recipient" in query:
        named["recipients"] = names_of(visit, query["recipient"])
    if "transmission" in query:
        named["transmissions"] = (query["transmission"],)
    types = tuple(TYPES[name] for name in query.get("events", ()))
    return visit.view.question(**named, types=types, per_page=per_page, cursor=query.get("cursor", ""))


def _own(visit: Visit) -> dict[str, str | None]:
    return {each.name: visit.request.query_params.get(each.name) for each in SEARCH}


def _older(visit: Visit, page: SearchPage) -> str | None:
    """The next page. Its period is spelled out, as the last 24 hours, or today, would move on."""
    if not page.next_cursor:
        return None
    period, zone = visit.view.period, visit.view.zone
    return visit.here(from_=iso(period.since, zone), to=iso(period.until, zone), cursor=page.next_cursor)


_COLUMNS = (
    *("event_id", "message_id", "transmission_id", "rcpt_to", "customer_id", "campaign_id", "subject", "friendly_from"),
    *("target_link_name", "target_link_url", "reason", "error_code", "bounce_class", "ip_address", "user_agent"),
    *("agent_family", "os_family", "device_family", "country", "city", "is_prefetched", "is_bot", "bot_reason"),
    "bot_confidence",
)
_IDS = ("event_id", "transmission_id")
CSV_HEAD = ("time", "type", *_COLUMNS, "rcpt_tags")
"""The columns of the file, by the names that events have on the wire."""


async def _csv(visit: Visit) -> Response:
    question = _question(visit, MAX_PER_PAGE)
    first = await visit.store.search(question)  # what cannot be asked is answered as a page, not as a broken file
    name = f"{visit.view.first_day}-to-{visit.view.last_day}"
    return StreamingResponse(
        _csv_parts(visit, question, first),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="events-{re.sub("[^0-9a-z-]", "", name)}.csv"'},
    )


async def _csv_parts(visit: Visit, question: Question, page: SearchPage) -> AsyncIterator[bytes]:
    written = 0
    while True:
        events = page.events[: MOST_IN_CSV - written]
        yield await asyncio.to_thread(_csv_text, events, visit.view.zone, first=not written)
        written += len(events)
        if not page.next_cursor or written >= MOST_IN_CSV:
            return
        page = await visit.store.search(replace(question, cursor=page.next_cursor))


def _csv_text(events: list[Event], zone: ZoneInfo, *, first: bool) -> bytes:
    lines = csv_lines(CSV_HEAD, (_csv_row(each, zone) for each in events))
    # The mark tells spreadsheets the charset.
    return ("\ufeff" + "".join(lines) if first else "".join([*lines][1:])).encode("utf-8", "replace")


def _csv_row(event: Event, zone: ZoneInfo) -> list[object]:
    values = [getattr(event, name) for name in _COLUMNS]
    # Spreadsheets would round numbers of 18 digits.
    cells = [f"{value}" if name in _IDS else value for name, value in zip(_COLUMNS, values, strict=True)]
    return [iso(event.timestamp, zone), event.type.wire_name, *cells, " ".join(event.rcpt_tags)]


MESSAGE_LIST_PAGES = (
    Page(
        path=MESSAGES,
        answer=_messages,
        query=(*SEARCH, CURSOR),
        nav="Messages",
        group="Events",
        icon="messages",
    ),
    Page(path=MESSAGES_CSV, answer=_csv, query=SEARCH),
)
