"""Events on the wire: `{"msys": {"<group>": {…}}}` as webhooks carry it (2-tracking.md, section 3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.events.model import NESTED_FIELDS

if TYPE_CHECKING:
    from mailwake.events.model import Event

_encode = msgspec.json.Encoder().encode
_OBJECT_OF = {field: name for name, fields in NESTED_FIELDS.items() for field in fields}


def to_wire(event: Event) -> dict[str, Any]:
    """The event as webhooks carry it: numbers as text, booleans as they are, fields without a value left out."""
    fields = wire_fields(event)
    fields["timestamp"] = str(event.timestamp // 1000)
    return {"msys": {event.type.group: fields}}


def wire_fields(event: Event) -> dict[str, Any]:
    """The fields of an event as JSON values, its `timestamp` in ISO 8601."""
    fields: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(event).items():  # those at their defaults are not among them
        kind = type(value)
        if kind is int or kind is float:
            value = str(value)
        elif not value and kind is not bool:
            continue
        outer = _OBJECT_OF.get(name)
        if outer is None:
            fields[name] = value
        else:
            fields.setdefault(outer, {})[name] = value
    if not event.transmission_id:  # somebody left the list of an anonymous message
        del fields["transmission_id"]
    fields["type"] = event.type.wire_name
    fields["timestamp"] = iso_time(event.timestamp)
    if event.injection_time is not None:
        fields["injection_time"] = iso_time(event.injection_time)
    return fields


def iso_time(milliseconds: int) -> str:
    """Unix milliseconds as ISO 8601 in UTC with milliseconds: `2026-04-18T14:25:07.000Z`."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{thousandths:03d}Z"


def wire_json(event: Event) -> bytes:
    """The event as webhooks carry it, as one line of JSON without its line end."""
    return _encode(to_wire(event))
