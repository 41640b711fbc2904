"""Tells of damage in the feed: once, however many consumers come upon it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.journal.frame import Damage
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics


class DamageReport:
    """What `LiveFeed` calls, in whatever thread reads."""

    def __init__(self, metrics: Metrics, log: Logger) -> None:
        self._count = metrics.counter("feed_damaged_octets_total")
        self._log = log
        self._told: set[tuple[str, int]] = set()

    def __call__(self, damage: Damage) -> None:
        """Count and log it, unless that was done already."""
        place = damage.segment, damage.offset
        if place in self._told:
            return
        self._told.add(place)
        self._count.inc(damage.octets)
        self._log.error("the feed is damaged, and read on behind the damage", error=str(damage))
