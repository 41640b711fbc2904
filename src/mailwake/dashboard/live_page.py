"""Events as they happen: the newest ones, and by a stream those that come; a viewer's own customer's only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, text
from mailwake.dashboard.event_stream import MEDIA_TYPE, EventStream, SealedPosition
from mailwake.dashboard.event_words import TYPES
from mailwake.dashboard.message_list import EVENTS, MESSAGES, message_url, recipient_url
from mailwake.dashboard.pages import Page
from mailwake.feed.contract import Position
from mailwake.store.filters import Cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.dashboard.event_stream import Beat
    from mailwake.dashboard.pages import Visit
    from mailwake.events.model import Event
    from mailwake.feed.contract import EventFeed
    from mailwake.store.filters import Filters

LIVE = "/dashboard/live"
STREAM = f"{LIVE}/events"

AT_FIRST = 25
"""Events that are there before any comes."""

MOST_SHOWN = 50
"""Events of a beat that are shown; of more only the number is told."""

DAY_MS = 86_400_000
_PURPOSE = "live"


def fits(filters: Filters) -> Callable[[Event], bool]:
    """Whether an event is one of those that the store would find, whatever the period."""
    of = {
        "type": frozenset(filters.types),
        "campaign_id": frozenset(filters.campaigns),
        "recipient_domain": frozenset(filters.recipient_domains),
        "customer_id": frozenset(filters.customers),
        "target_link_name": frozenset(filters.link_names),
    }
    wanted = [(name, values) for name, values in of.items() if values]
    tags, cut, only = frozenset(filters.tags), filters.cut, filters.only_customer

    def fit(event: Event) -> bool:
        return (
            (only is None or event.customer_id == only)
            and all(getattr(event, name) in values for name, values in wanted)
            and (not tags or not tags.isdisjoint(event.rcpt_tags))
            and (cut is Cut.ALL or not event.is_prefetched)
            and (cut is not Cut.PEOPLE or not event.is_bot)
        )

    return fit


def _feed(visit: Visit) -> EventFeed:
    if visit.parts.feed is None:
        raise ApiError(Fault.BUSY, "the feed of events is not ready yet; try again", headers={"retry-after": "5"})
    return visit.parts.feed


def _types(visit: Visit) -> dict[str, object]:
    return {"types": tuple(TYPES[name] for name in visit.query.get("events", ()))}


async def _live(visit: Visit) -> Response:
    events: list[Event] = []
    if visit.parts.store is None:
        position = _feed(visit).end()
    else:
        position = await visit.store.position()  # before the search: what comes between is there twice, not never
        since = int(visit.view.now * 1000) - DAY_MS
        question = visit.view.question(**_types(visit), since=since, until=None, per_page=AT_FIRST)
        events = (await visit.store.search(question)).events
    own = {"events": visit.request.query_params.get("events")}
    return await visit.render(
        "live.html",
        events=events,
        types=TYPES,
        stream=visit.url(STREAM, **own),
        after=_seal(visit, position),
        list_url=visit.url(MESSAGES, **own, range="24h"),
        message_url=message_url,
        recipient_url=recipient_url,
    )


def _seal(visit: Visit, position: Position) -> str:
    return visit.site.sealer.seal(_PURPOSE, SealedPosition(*position))


def _after(visit: Visit, feed: EventFeed) -> Position:
    """Where the browser was; from now on, where it does not say so or says what we never told it."""
    text = visit.request.headers.get("last-event-id") or visit.query.get("after", "")
    sealed = visit.site.sealer.open(_PURPOSE, text, SealedPosition)
    return feed.end() if sealed is None else Position(sealed.segment, sealed.offset)


async def _stream(visit: Visit) -> Response:
    if visit.request.method == "HEAD":
        return Response(media_type=MEDIA_TYPE)
    feed = _feed(visit)

    def show(beat: Beat) -> str:
        newest_first = beat.events[::-1]
        rows = visit.site.templates.render(
            "live_rows.html",
            visit=visit,
            view=visit.view,
            events=newest_first[:MOST_SHOWN],
            message_url=message_url,
            recipient_url=recipient_url,
        )
        return json.dumps({"rows": rows, "count": len(newest_first), "skipped": beat.skipped})

    return EventStream(
        feed,
        visit.site.streams,
        visit.viewer.identity,
        after=_after(visit, feed),
        fits=fits(visit.view.where(**_types(visit))),
        show=show,
        seal=lambda position: _seal(visit, position),
    )


_AFTER = Parameter(name="after", kind=text(maximum=200), doc="The place in the feed that the browser has come to.")

LIVE_PAGES = (
    Page(path=LIVE, answer=_live, query=(EVENTS,), nav="Live", group="Events", icon="live"),
    Page(path=STREAM, answer=_stream, query=(EVENTS, _AFTER), under="Live"),
)
