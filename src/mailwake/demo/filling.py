"""Fills a store, and the feed before it, as if mailwake had run for a while."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from mailwake.demo.records import facts_of
from mailwake.events.model import EventType
from mailwake.feed.payload import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mailwake.enrichment.message_facts import MessageFactsFile
    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.feed.writer import FeedWriter
    from mailwake.store.contract import EventStore

BATCH_EVENTS = 20_000
FACTS_MS = 7 * 86_400_000


async def fill(
    store: EventStore,
    feed: FeedWriter,
    facts: MessageFactsFile,
    events: Iterable[Event],
    *,
    in_feed_since: int,
    progress: Callable[[Event, int], None],
) -> int:
    """Load the events, which come in the order of their times; how many there were.

    Those since `in_feed_since` (Unix milliseconds) stand in the feed as well, and the store's position is behind them:
    whatever reads the feed finds what retention might have left there. `facts` gets what is known of the messages of a
    week before that and since, as they may still be read. `progress` is told of the last event loaded, and how many
    there are.
    """
    loaded = 0
    under_way: asyncio.Task[object] | None = None
    batches = iter(events)
    while batch := await asyncio.to_thread(_next, batches):
        if under_way is not None:
            await under_way
        for event in batch:
            if event.type is EventType.INJECTION and event.timestamp >= in_feed_since - FACTS_MS:
                facts.keep(facts_of(event))
        facts.commit()
        position = _append(feed, [event for event in batch if event.timestamp >= in_feed_since])
        under_way = asyncio.create_task(_load(store, batch, position))
        loaded += len(batch)
        progress(batch[-1], loaded)
    if under_way is not None:
        await under_way
    return loaded


def _next(events: Iterator[Event]) -> list[Event]:
    return list(islice(events, BATCH_EVENTS))


async def _load(store: EventStore, batch: list[Event], position: Position) -> None:
    await store.load(batch, position)


def _append(feed: FeedWriter, events: list[Event]) -> Position:
    """The feed's end behind these events; nothing of the journal was merged into it."""
    return feed.append([encode_event(event) for event in events], {}) if events else feed.end
