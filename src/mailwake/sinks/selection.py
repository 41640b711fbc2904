"""Which events a sink gets, and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.events.model import Event, EventType
from mailwake.events.wire import to_wire, wire_fields
from mailwake.sinks.contract import OutgoingEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailwake.config.sink_settings import Sink

_encode = msgspec.json.Encoder().encode


class Selection:
    """The filter and the form of one sink."""

    def __init__(self, settings: Sink) -> None:
        self._types = frozenset(each for each in EventType if each.wire_name in settings.events)
        self._customers = frozenset(settings.customers)
        self._form: Callable[[Event], dict[str, Any]] = to_wire if settings.form == "webhook" else wire_fields

    def outgoing(self, events: Iterable[Event]) -> list[OutgoingEvent]:
        """Those that the sink gets, ready to leave."""
        return [OutgoingEvent(event, _encode(self._form(event))) for event in events if self._wants(event)]

    def _wants(self, event: Event) -> bool:
        return (not self._types or event.type in self._types) and (
            not self._customers or event.customer_id in self._customers
        )
