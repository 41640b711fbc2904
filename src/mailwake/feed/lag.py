"""How far consumers are behind the end of the feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.reader import FeedReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mailwake.feed.contract import Position
    from mailwake.feed.retention import StoredSegment


class Lag(NamedTuple):
    """What a consumer has not read: octets of the feed, and the age of the first such event; 0 when there is none."""

    octets: int
    seconds: float


def lags(
    directory: Path, segments: Sequence[StoredSegment], positions: Mapping[str, Position], now_ms: int
) -> dict[str, Lag]:
    """Each consumer's lag; FeedError when the feed cannot be read."""
    reader = FeedReader(directory)
    behind = {}
    for consumer, position in positions.items():
        page = reader.read(position, max_events=1)
        if page.events:
            seconds = max(0, now_ms - page.events[0].event.timestamp) / 1000
            behind[consumer] = Lag(octets_behind(segments, position), seconds)
        else:
            behind[consumer] = Lag(0, 0.0)
    return behind


def octets_behind(segments: Sequence[StoredSegment], position: Position) -> int:
    """The octets behind `position`, zeros written ahead among them."""
    return sum(
        max(0, segment.octets - (position.offset if segment.number == position.segment else 0))
        for segment in segments
        if segment.number >= position.segment
    )
