"""JSON schemas of what the API answers, made from the tables of events and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.events.describe import FIELDS, json_type
from mailwake.events.model import NESTED_FIELDS, EventType

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]

_OF_WORDS = {"boolean": "boolean", "array of texts": "array", "object": "object"}
_OUTER = {field: name for name, fields in NESTED_FIELDS.items() for field in fields}


def text(description: str = "", **more: Any) -> Schema:
    """A text."""
    return {"type": "string", **({"description": description} if description else {}), **more}


def whole(description: str = "") -> Schema:
    """A whole number."""
    return {"type": "integer", **({"description": description} if description else {})}


def flag(description: str = "") -> Schema:
    """True or false."""
    return {"type": "boolean", **({"description": description} if description else {})}


def array(items: Schema, description: str = "") -> Schema:
    """A list."""
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def members(properties: Mapping[str, Schema], *, required: tuple[str, ...] | None = None, **more: Any) -> Schema:
    """An object; all its members are required, unless some are named."""
    needed = list(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), **({"required": needed} if needed else {}), **more}


def results(of: Schema) -> Schema:
    """What almost every answer is."""
    return members({"results": of})


def reference(name: str) -> Schema:
    """The schema of this name among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def event_schema() -> Schema:
    """An event as searches give it: the form of webhooks, its timestamp in ISO 8601."""
    properties: dict[str, Schema] = {}
    for name, field in FIELDS.items():
        place = properties
        if name in _OUTER:
            place = properties.setdefault(_OUTER[name], members({}, required=()))["properties"]
        place[name] = {"type": _OF_WORDS.get(json_type(name), "string"), "description": field.meaning}
    properties["type"]["enum"] = [kind.wire_name for kind in EventType]
    properties["timestamp"] |= {"format": "date-time", "description": "When it happened."}
    properties["rcpt_tags"]["items"] = text()
    needed = ("type", "event_id", "timestamp")  # of anonymous mail there may be no more
    return members(properties, required=needed, additionalProperties=False)


def errors_schema() -> Schema:
    """What is answered instead."""
    error = members(
        {
            "message": text("What kind of error it is."),
            "description": text("What was wrong with this request, and what to do."),
            "code": text("The vendor's number for it, where there is one."),
            "response": {"type": "object", "description": "What a webhook's target answered, where that is the error."},
        },
        required=("message", "description"),
    )
    return members({"errors": {"type": "array", "items": error, "minItems": 1}})


def components() -> dict[str, Schema]:
    """The schemas that several answers share."""
    return {"Event": event_schema(), "Errors": errors_schema()}
