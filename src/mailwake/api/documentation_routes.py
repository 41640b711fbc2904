"""Routes that describe events, in the vendor's two shapes: as webhooks carry them, and as searches find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.api.parameters import Parameter, choice, list_of
from mailwake.api.routes import Route
from mailwake.api.schemas import array, members, reference, results, text
from mailwake.events.describe import FIELDS, MEANINGS
from mailwake.events.model import EVENT_GROUPS, NESTED_FIELDS, EventType
from mailwake.events.samples import sample
from mailwake.events.wire import to_wire, wire_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mailwake.api.routes import Call

GROUPS = {
    "message_event": ("Message Events", "The life of a message: injection, and what became of each copy."),
    "track_event": (
        "Engagement Events",
        "What the recipient did with a message, or a machine in the recipient's place.",
    ),
    "unsubscribe_event": ("Unsubscribe Events", "A recipient who does not want further messages."),
}
"""The name and meaning of each group of events."""

TYPES = tuple(kind.wire_name for kind in EventType)
"""Every type of event by its name."""

_OUTER = {field: name for name, fields in NESTED_FIELDS.items() for field in fields}
_WHICH = Parameter(name="events", kind=list_of(choice(*TYPES)), doc="The types to show; without it, all of them.")
_FIELD = members({"description": text(), "sampleValue": {}})


async def _of_webhooks(call: Call) -> dict[str, Any]:
    return {
        group: {
            "display_name": name,
            "description": meaning,
            "events": {kind.wire_name: _described(kind) for kind, its in EVENT_GROUPS.items() if its == group},
        }
        for group, (name, meaning) in GROUPS.items()
    }


def _described(kind: EventType) -> dict[str, Any]:
    (wire,) = to_wire(sample(kind))["msys"].values()
    return {
        "display_name": kind.wire_name.replace("_", " ").capitalize(),
        "description": MEANINGS[kind],
        "event": dict(_fields(kind, wire)),
    }


def _fields(kind: EventType, wire: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that an event of this type can have; those in an object stand there by `object.field`."""
    for name, field in FIELDS.items():
        if kind in field.carriers:
            outer = _OUTER.get(name)
            value = wire.get(name) if outer is None else wire.get(outer, {}).get(name)
            yield (name if outer is None else f"{outer}.{name}"), {"description": field.meaning, "sampleValue": value}


def _asked(call: Call) -> Iterable[EventType]:
    return [kind for kind in EventType if kind.wire_name in call.query.get("events", TYPES)]


async def _samples_of_webhooks(call: Call) -> list[dict[str, Any]]:
    return [to_wire(sample(kind)) for kind in _asked(call)]


async def _of_searches(call: Call) -> list[dict[str, Any]]:
    return [dict(_fields(kind, wire_fields(sample(kind)))) for kind in EventType]


async def _samples_of_searches(call: Call) -> list[dict[str, Any]]:
    return [wire_fields(sample(kind)) for kind in _asked(call)]


_DESCRIBED = {
    "type": {"description": FIELDS["type"].meaning, "sampleValue": "bounce"},
    "event_id": {"description": FIELDS["event_id"].meaning, "sampleValue": "987654321098765432"},
}

DOCUMENTATION_ROUTES = (
    Route(
        method="GET",
        path="/api/v1/webhooks/events/documentation",
        summary="Every type of event and its fields, as webhooks carry them",
        answer=_of_webhooks,
        result=results({"type": "object", "additionalProperties": {"type": "object"}}),
        result_example={
            "results": {
                "message_event": {
                    "display_name": "Message Events",
                    "description": GROUPS["message_event"][1],
                    "events": {
                        "bounce": {
                            "display_name": "Bounce",
                            "description": MEANINGS[EventType.BOUNCE],
                            "event": _DESCRIBED,
                        }
                    },
                }
            }
        },
    ),
    Route(
        method="GET",
        path="/api/v1/webhooks/events/samples",
        summary="An event of each type, as webhooks carry it",
        answer=_samples_of_webhooks,
        query=(_WHICH,),
        result=results(array(members({"msys": {"type": "object", "additionalProperties": {"type": "object"}}}))),
        result_example={"results": [to_wire(sample(EventType.LIST_UNSUBSCRIBE))]},
    ),
    Route(
        method="GET",
        path="/api/v1/events/message/documentation",
        summary="The fields of each type of event, as searches find them",
        answer=_of_searches,
        result=results(array({"type": "object", "additionalProperties": _FIELD})),
        result_example={"results": [_DESCRIBED]},
    ),
    Route(
        method="GET",
        path="/api/v1/events/message/samples",
        summary="An event of each type, as searches find it",
        answer=_samples_of_searches,
        query=(_WHICH,),
        result=results(array(reference("Event"))),
        result_example={"results": [wire_fields(sample(EventType.CLICK))]},
    ),
)
