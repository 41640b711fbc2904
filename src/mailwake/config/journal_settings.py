"""How long events stay on this node's disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Journal:
    """Events on this node's disk: they stay until every consumer has them, and then for a while."""

    keep: Annotated[
        float,
        Setting(
            "How long events are kept for export, and for consumers that begin anew.",
            kinds.duration(0, 10 * 365 * 86400),
        ),
    ] = 30 * 86400
    max_size: Annotated[
        int,
        Setting(
            "Room that they may take: beyond it the oldest go before their time; 0 means no limit.",
            kinds.size(0, 1 << 50),
        ),
    ] = 10 << 30
