"""What of the feed may be deleted: decided from its segments, the consumers' positions, and what it may keep."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.feed.contract import Position


class StoredSegment(NamedTuple):
    """A segment of the feed: its number, when it was begun (Unix milliseconds), and how long it is."""

    number: int
    begun_ms: int
    octets: int


class Limits(NamedTuple):
    """How long events are kept, in seconds, and how many octets the feed may take; 0 octets is no limit."""

    keep_seconds: float
    max_octets: int = 0


class Verdict(NamedTuple):
    """`delete`: numbers of segments, oldest first. `held`: consumer → octets that are due but which it has not read."""

    delete: list[int]
    held: dict[str, int]


def decide(
    segments: Sequence[StoredSegment],
    positions: Mapping[str, Position],
    limits: Limits,
    now_ms: int,
    *,
    octets_wanted: int = 0,
) -> Verdict:
    """What may go, and who holds what. `octets_wanted` is room that is needed whatever the limits say.

    Always the oldest segments, without a gap; never one that a consumer has not read to its end; never the last one,
    which may be in use and holds how far the journal was merged. A segment is as old as the event that came last into
    it, and the next one was begun after that.
    """
    total = sum(segment.octets for segment in segments)
    free = 0
    verdict = Verdict([], {})
    for segment, following in pairwise(segments):
        old = following.begun_ms <= now_ms - limits.keep_seconds * 1000
        too_much = bool(limits.max_octets) and total > limits.max_octets
        if not (old or too_much or free < octets_wanted):
            break
        holders = [name for name, position in positions.items() if not _is_past(position, segment)]
        for name in holders:
            verdict.held[name] = verdict.held.get(name, 0) + segment.octets
        total -= segment.octets
        free += segment.octets
        if not verdict.held:
            verdict.delete.append(segment.number)
    return verdict


def _is_past(position: Position, segment: StoredSegment) -> bool:
    return position >= (segment.number, segment.octets)
