"""One person: their messages, what they did with them, and the newest of it as a story."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, text
from mailwake.dashboard.event_words import ENGAGEMENT, place, program
from mailwake.dashboard.message_list import MESSAGES, RECIPIENT, message_url, names_of
from mailwake.dashboard.pages import Page
from mailwake.dashboard.timelines import OUTCOMES, copies, is_persons, story

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.dashboard.timelines import Copy
    from mailwake.events.model import Event

MOST_EVENTS = 500
"""Of a person's events, the newest that are looked at; it is what one look at the store finds (`store/search.py`)."""

_STORY = 100
_MESSAGES = 50


class Summary(NamedTuple):
    """Numbers of messages, and what is known of the person's habits."""

    messages: int
    delivered: int
    opened: int
    opened_by_person: int
    clicked: int
    clicked_by_person: int
    left: int
    last_seen: int | None
    """When they last did something themselves, Unix milliseconds."""
    program: str
    place: str
    """Most often."""


def summary(events: Sequence[Event], messages: Sequence[Copy]) -> Summary:
    """What follows from a person's events."""
    own = [each for each in events if each.type in ENGAGEMENT and is_persons(each)]
    return Summary(
        messages=len(messages),
        delivered=sum(each.outcome == "Delivered" for each in messages),
        opened=sum(each.opened for each in messages),
        opened_by_person=sum(each.opened_by_person for each in messages),
        clicked=sum(each.clicks > 0 for each in messages),
        clicked_by_person=sum(each.clicked_by_person for each in messages),
        left=sum(each.left for each in messages),
        last_seen=max((each.timestamp for each in own), default=None),
        program=_most([program(each) for each in own]),
        place=_most([place(each) for each in own]),
    )


def _most(words: Sequence[str]) -> str:
    counted = Counter(filter(None, words)).most_common(1)
    return counted[0][0] if counted else ""


async def _recipient(visit: Visit) -> Response:
    address = visit.query["address"].strip()
    names = names_of(visit, address)
    if not names[0]:
        raise ApiError(Fault.NOT_FOUND, "anonymous events say of nobody who it was")
    found = await visit.store.search(visit.view.story(recipients=names, per_page=MOST_EVENTS))
    messages = copies(found.events)
    shown, hashing = found.events[0].rcpt_to if found.events else address, visit.parts.hashing
    return await visit.render(
        "recipient_page.html",
        address=shown,
        asked=address,
        # The service has the hash always, its events only where it is told to; a hash is the hash of itself.
        hashed=hashing is not None and hashing.hashed(shown) == shown,
        total=found.total_count,
        seen=len(found.events),
        summary=summary(found.events, messages),
        messages=messages[:_MESSAGES],
        more_messages=len(messages) > _MESSAGES,
        moments=story(found.events)[: -_STORY - 1 : -1],
        outcomes=dict(OUTCOMES.values()),
        all_events=visit.url(MESSAGES, recipient=address, range="12m"),
        message_url=message_url,
        bound=visit.viewer.customer is not None,
        quoted=shlex.quote(names[0]),
    )


_ADDRESS = Parameter(name="address", kind=text(maximum=320), doc="Whose, in any case.", required=True)

RECIPIENT_PAGES = (Page(path=RECIPIENT, answer=_recipient, query=(_ADDRESS,), under="Messages"),)
