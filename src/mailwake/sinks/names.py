"""Names of topics and subjects: patterns with fields of the event in braces, as `config.sink_settings` allows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.events.model import Event

_UNUSABLE = re.compile(r"[^A-Za-z0-9_-]")


def name_for(pattern: str, event: Event) -> str:
    """The name that `pattern` gives for an event; of a customer's id only what every such name may have is kept."""
    if "{" not in pattern:
        return pattern
    customer = _UNUSABLE.sub("_", event.customer_id) or "_"
    return pattern.format(type=event.type.wire_name, group=event.type.group, customer=customer)
