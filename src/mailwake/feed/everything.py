"""All events of a node, also those that are still on their way into the feed; from any process, at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError
from mailwake.events.from_record import ErasedError, EventReader
from mailwake.events.record import record_time
from mailwake.feed.contract import BEGINNING
from mailwake.feed.last_state import last_state
from mailwake.feed.reader import FeedReader
from mailwake.journal.reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailwake.events.from_record import LinkFacts
    from mailwake.events.model import Event
    from mailwake.journal.reader import Cursor


def all_events(
    journal: Path,
    feed: Path,
    decode_link: Callable[[bytes], LinkFacts],
    *,
    since_ms: int = 0,
    on_trouble: Callable[[str], None] = lambda text: None,
) -> Iterator[Event]:
    """The feed's events in its order, then those that only the journal has, by time and as they were recorded.

    Each once, also while the collector moves them from one to the other. `since_ms` spares reading what came earlier;
    a few earlier ones may be among them. `on_trouble` is told of what cannot be read. FeedError, JournalError.
    """
    state = last_state(feed)  # before the feed is read: what is merged meanwhile is known again by its id
    seen: set[int] = set()
    reader = FeedReader(feed)
    position = reader.seek(since_ms) if since_ms else BEGINNING
    while True:
        page = reader.read(position)
        for damage in page.damages:
            on_trouble(str(damage))
        for each in page.events:
            if each.position.segment >= state.segment:
                seen.add(each.event.event_id)
            yield each.event
        position = page.position
        if not page.more:
            break
    yield from _not_merged(journal, decode_link, state.cursor, seen | state.unclaimed, on_trouble)


def _not_merged(
    directory: Path,
    decode_link: Callable[[bytes], LinkFacts],
    cursor: Cursor,
    seen: set[int],
    on_trouble: Callable[[str], None],
) -> Iterator[Event]:
    read = EventReader(decode_link).read
    for batch in JournalReader(directory, time_of=record_time).follow(cursor, wait=lambda seconds: True):
        for damage in batch.damages:
            on_trouble(str(damage))
        for record in batch.records:
            try:
                event = read(record.payload)
            except ErasedError:
                continue
            except MailwakeError as error:
                on_trouble(f"{record.segment}: at {record.start}: {error}")
                continue
            if event is not None and event.event_id not in seen:
                yield event
