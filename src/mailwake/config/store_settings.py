"""The store: events where they can be searched, kept by the collector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Where events can be searched; a site that only wants webhooks can do without."""

    enabled: Annotated[
        bool, Setting("Whether events are kept where they can be searched; without it, searches get 503.", kinds.flag())
    ] = True
    keep: Annotated[
        float,
        Setting(
            "How long events can be searched, by their own time; 0 means for ever.", kinds.duration(0, 36500 * 86400)
        ),
    ] = 400 * 86400
    memory_limit: Annotated[
        int,
        Setting(
            "Memory that the store may use in the collector; what needs more goes to the disk.",
            kinds.size(128 << 20, 1 << 40),
        ),
    ] = 512 << 20
    threads: Annotated[
        int, Setting("Threads that loading and searching may use; 0 means one for each CPU.", kinds.integer(0, 1024))
    ] = 0
    search_timeout: Annotated[
        float, Setting("How long one search may take before it is given up.", kinds.duration(0.1, 3600))
    ] = 30
