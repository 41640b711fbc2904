"""One recipient's copy of a message: what it was, and everything that is known to have happened to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mailwake.api.errors import ApiError, Fault
from mailwake.dashboard.message_list import MESSAGES, recipient_url
from mailwake.dashboard.pages import Page
from mailwake.dashboard.timelines import OUTCOMES, Copy, copies, story
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.events.model import Event

MOST_EVENTS = 1_000
"""Events of a message that are shown, the newest ones; only machines make so many."""


async def _message(visit: Visit) -> Response:
    message_id = visit.path["message"]
    found = await visit.store.search(visit.view.story(messages=(message_id,), per_page=MOST_EVENTS))
    if not found.events:
        raise ApiError(Fault.NOT_FOUND, "no event of such a message is kept; retention may have taken it")
    facts = facts_of(found.events)
    (copy,) = copies(found.events)
    transmission = str(facts["transmission_id"])
    return await visit.render(
        "message_page.html",
        message_id=message_id,
        facts=facts,
        metadata=_metadata(facts),
        tracked=_tracked(facts),
        copy=copy,
        outcomes=dict(OUTCOMES.values()),
        took=_took(found.events, copy),
        moments=story(found.events),
        total=found.total_count,
        injected=any(each.type is EventType.INJECTION for each in found.events),
        recipient=recipient_url(visit, facts["rcpt_to"]),
        of_transmission=visit.url(MESSAGES, transmission=transmission, range="12m"),
        of_campaign=visit.url(MESSAGES, campaign=facts["campaign_id"]) if facts["campaign_id"] else None,
    )


_FACTS = (
    *("subject", "friendly_from", "msg_from", "rcpt_to", "raw_rcpt_to", "rcpt_type", "customer_id", "campaign_id"),
    *("rcpt_tags", "rcpt_meta", "msg_size", "injection_time", "node_name", "pathway", "transmission_id"),
    *("open_tracking", "click_tracking", "initial_pixel", "amp_enabled", "transactional", "delv_method"),
)


def facts_of(events: Iterable[Event]) -> dict[str, Any]:
    """What is known of the message itself: from its injection, else from whichever event says it."""
    best = sorted(events, key=lambda event: (event.type is not EventType.INJECTION, event.timestamp))
    facts = {}
    for name in _FACTS:
        values = [getattr(event, name) for event in best]
        facts[name] = next((value for value in values if value not in (None, "", (), {})), values[0])
    return facts


def _metadata(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in facts["rcpt_meta"].items()
    ]


def _tracked(facts: dict[str, Any]) -> str:
    names = {"open_tracking": "opens", "initial_pixel": "initial opens", "click_tracking": "clicks"}
    names["amp_enabled"] = "its AMP part"
    on = [words for field, words in names.items() if facts[field]]
    if all(facts[field] is None for field in names):
        return ""
    return ", ".join(on) if on else "nothing"


def _took(events: Sequence[Event], copy: Copy) -> int | None:
    """Milliseconds from injection to delivery."""
    delivery = next((each for each in events if each.type is EventType.DELIVERY), None)
    if delivery is None:
        return None
    return delivery.queue_time if delivery.queue_time is not None else delivery.timestamp - copy.sent


MESSAGE_PAGES = (Page(path=f"{MESSAGES}/{{message:path}}", answer=_message, under="Messages"),)
