"""Events on the wire: `{"msys": {"<group>": {…}}}` as webhooks carry it (2-tracking.md, section 3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.events.from_record import EventReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.events.from_record import LinkFacts
    from mailwake.events.model import Event

_encode = msgspec.json.Encoder().encode


def to_wire(event: Event) -> dict[str, Any]:
    """The event as webhooks carry it: numbers as text, booleans as they are, fields without a value left out."""
    fields: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is not None and value not in ("", (), {}):
            fields[name] = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    fields["type"] = event.type.wire_name
    fields["timestamp"] = str(event.timestamp // 1000)
    if event.injection_time is not None:
        fields["injection_time"] = iso_time(event.injection_time)
    if event.is_prefetched is not None:
        del fields["is_prefetched"]
        fields["user_agent_parsed"] = {"is_prefetched": event.is_prefetched}
    return {"msys": {event.type.group: fields}}


def iso_time(milliseconds: int) -> str:
    """Unix milliseconds as ISO 8601 in UTC with milliseconds: `2026-04-18T14:25:07.000Z`."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{thousandths:03d}Z"


class WireEncoder:
    """Makes lines of JSON out of the journal's payloads; `decode_link` is `links.token.decode_body`."""

    def __init__(self, decode_link: Callable[[bytes], LinkFacts]) -> None:
        self._reader = EventReader(decode_link)

    def event_json(self, payload: bytes) -> bytes:
        """One event as one line of JSON without its line end; RecordError when the payload cannot be read."""
        return _encode(to_wire(self._reader.read(payload)))
