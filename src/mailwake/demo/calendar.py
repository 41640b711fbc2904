"""What is going to happen: events that wait for their time, in buckets of some minutes, given in order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mailwake.events.unique_ids import UniqueIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.events.model import Event

BUCKET_MS = 600_000
"""Milliseconds of a bucket: sorting some thousand events at once costs less than a heap of all that wait."""

_TRACKER_SLOT = 64


class Calendar:
    """Events to come; what would happen at `end_ms` or later is left out."""

    def __init__(self, end_ms: int, node: int = 1) -> None:
        self._end_ms = end_ms
        self._buckets: defaultdict[int, list[tuple[int, int, Event, Mapping[str, Any]]]] = defaultdict(list)
        self._added = 0
        self._now = 0.0
        self._message_ids = self._ids(node, 1)
        self._engagement_ids = self._ids(node, _TRACKER_SLOT)
        self._transmissions = self._ids(node, 0)

    def _ids(self, node: int, slot: int) -> UniqueIds:
        return UniqueIds(node, slot, lambda: self._now, lambda ms: None)

    def transmission(self, time_ms: int) -> int:
        """The id of a message that is injected then; times must not go back."""
        self._now = time_ms / 1000
        return self._transmissions.next()

    def add(self, time_ms: int, like: Event, changes: Mapping[str, Any]) -> None:
        """At this time the event `like` will happen, with these `changes`: its `type` at least."""
        if time_ms < self._end_ms:
            self._added += 1
            self._buckets[time_ms // BUCKET_MS].append((time_ms, self._added, like, changes))

    def happen(self, bucket: int) -> Iterator[Event]:
        """The events of a bucket, in order, each with its id; no more can be added to it."""
        for time_ms, _, like, changes in sorted(self._buckets.pop(bucket, ())):
            self._now = time_ms / 1000
            ids = self._message_ids if changes["type"] > 16 else self._engagement_ids  # as for workers
            yield replace(like, event_id=ids.next(), timestamp=time_ms, **changes)
