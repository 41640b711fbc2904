"""Events for stores: a few by hand, and any that there can be by hypothesis."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from mailwake.events.model import Event, EventType
from mailwake.store.question import Question

START = 1_790_689_600_000


def event(number: int, **fields: Any) -> Event:
    """A click, a second after the one before it."""
    return msgspec.structs.replace(
        Event(
            type=EventType.CLICK,
            event_id=number,
            timestamp=START + 1000 * number,
            message_id=f"{number:020x}",
            transmission_id=number,
            rcpt_to="bob@example.org",
            recipient_domain="example.org",
        ),
        **fields,
    )


def everything() -> Event:
    """An event with a value in every field, none of them a default, and text that is not plain."""
    values: dict[str, Any] = {}
    for position, (name, kind) in enumerate(Event.__annotations__.items()):
        if "dict" in kind:
            values[name] = {
                "plan": "gold ' \" \\ \u20ac",
                "n": 1,
                "big": 1 << 62,
                "f": 0.1,
                "deep": {"a": [1, None, True]},
            }
        elif "tuple" in kind:
            values[name] = ("a,b", "', '", "\u20ac")
        elif "str" in kind:
            values[name] = f"{name} \u20ac '\"\\\n\r\t\0 $1 {{}}"
        elif "bool" in kind:
            values[name] = True
        elif "float" in kind:
            values[name] = position + 0.1
        elif "int" in kind:
            values[name] = position + 1
    return Event(
        **{
            **values,
            "type": EventType.LIST_UNSUBSCRIBE,
            "event_id": (1 << 64) - 1,
            "transmission_id": 1 << 63,
            "timestamp": START,
        }
    )


RECIPIENTS = ("bob@example.org", "eve@example.org", "eve@example.net", "")
TIMES = st.integers(START, START + 5)  # so few that many are equal
TEXTS = st.sampled_from(("", "spring", "autumn", "' OR 1=1 --"))


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Different events: ids without an order, equal and late times."""
    ids = draw(st.lists(st.integers(0, 1 << 40), unique=True, max_size=40))
    return [draw(_event(each)) for each in ids]


@st.composite
def _event(draw: st.DrawFn, event_id: int) -> Event:
    recipient = draw(st.sampled_from(RECIPIENTS))
    return Event(
        type=draw(st.sampled_from((EventType.CLICK, EventType.OPEN, EventType.BOUNCE))),
        event_id=event_id,
        timestamp=draw(TIMES),
        message_id=draw(st.sampled_from(("00a0", "00a1", "00a2"))),
        transmission_id=draw(st.integers(0, 3)),
        customer_id=draw(st.sampled_from(("", "1", "2"))),
        campaign_id=draw(TEXTS),
        rcpt_to=recipient,
        recipient_domain=recipient.partition("@")[2],
        rcpt_tags=draw(st.sampled_from(((), ("a",), ("b", "c"), ("a", "c")))),
        rcpt_meta=draw(st.sampled_from(({}, {"n": 1.5}))),
        subject=draw(TEXTS),
        bounce_class=draw(st.sampled_from((None, 0, 10))),
    )


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.one_of(st.just(()), st.lists(values, max_size=3).map(tuple))


def _question(fields: dict[str, Any]) -> Question:
    return Question(**fields)


questions: st.SearchStrategy[Question] = st.fixed_dictionaries(
    {"per_page": st.integers(4, 15)},
    optional={
        "since": TIMES,
        "until": TIMES,
        "types": _some(st.sampled_from((EventType.CLICK, EventType.BOUNCE))),
        "recipients": _some(st.sampled_from((*RECIPIENTS, "BOB@Example.org"))),
        "recipient_domains": _some(st.sampled_from(("example.org", "EXAMPLE.net"))),
        "campaigns": _some(TEXTS),
        "messages": _some(st.sampled_from(("00a0", "00A0", "00a2"))),
        "transmissions": _some(st.integers(0, 3)),
        "customers": _some(st.sampled_from(("", "1"))),
        "only_customer": st.sampled_from((None, "", "1")),
        "tags": _some(st.sampled_from(("a", "c", "x"))),
        "subjects": _some(TEXTS),
        "bounce_classes": _some(st.sampled_from((0, 10))),
    },
).map(_question)
