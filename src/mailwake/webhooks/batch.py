"""A batch: the events for one webhook between two positions of the feed, which no retry and no restart changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mailwake.events.wire import to_wire

if TYPE_CHECKING:
    from mailwake.feed.contract import EventFeed, Position
    from mailwake.webhooks.webhook import EventFilter

TEST_BODY = b'[{"msys":{}}]'
"""What a target is asked with when its webhook is made: a batch with an event that has nothing in it."""

PAGE_EVENTS = 1_000
"""Events that are read at once, so that no webhook holds many of them in memory."""

_encode = msgspec.json.Encoder().encode


class Batch(NamedTuple):
    """What is kept of a batch; the events themselves stand in the feed only."""

    batch_id: str
    start: Position
    end: Position
    filter: EventFilter
    events: int
    due: float
    """When it could be sent for the first time, Unix seconds."""
    moves: bool = True
    """Whether its webhook has come to `end` with it; a dead letter that is sent again does not move it."""
    attempts: int = 0


class Limits(NamedTuple):
    """How large a batch may be."""

    events: int
    octets: int


ANY_SIZE = 1 << 62
"""Octets: no limit, for a batch that was made before."""


class Content(NamedTuple):
    """The body of a batch, how many events are in it, and the position behind the last one."""

    body: bytes
    events: int
    end: Position


def gather(
    feed: EventFeed, start: Position, wanted: EventFilter, limits: Limits, until: Position | None = None
) -> Content:
    """The events behind `start` for this filter, as many as fit, none behind `until`. FeedError.

    There is at least one event in it if there is any, however large it is. Where all fit, the end is behind
    everything that was looked at.
    """
    parts: list[bytes] = []
    octets = 2
    position = start
    while True:
        page = feed.read(position, max_events=PAGE_EVENTS, until=until)
        for each in page.events:
            if wanted.wants(each.event):
                part = _encode(to_wire(each.event))
                if parts and octets + len(part) + 1 > limits.octets:
                    return _content(parts, position)
                parts.append(part)
                octets += len(part) + 1
            position = each.position
            if len(parts) == limits.events:
                return _content(parts, position)
        position = page.position
        if not page.more:
            return _content(parts, position)


def _content(parts: list[bytes], end: Position) -> Content:
    return Content(b"[" + b",".join(parts) + b"]", len(parts), end)


class Waiting(NamedTuple):
    """Events that wait to be a batch: how many, the time of the first one (Unix milliseconds), up to where."""

    events: int
    first_ms: int
    position: Position
    more: bool = False
    """Whether there is more to read at once."""


def count(feed: EventFeed, after: Waiting, wanted: EventFilter, most: int) -> Waiting:
    """`after` and the next page of the feed; nothing is kept of the events but their number."""
    page = feed.read(after.position, max_events=PAGE_EVENTS)
    events, first_ms = after.events, after.first_ms
    for each in page.events:
        if wanted.wants(each.event):
            first_ms = first_ms if events else each.event.timestamp
            events += 1
            if events == most:
                return Waiting(events, first_ms, each.position)
    return Waiting(events, first_ms, page.position, page.more)
