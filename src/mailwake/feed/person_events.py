"""All events of one person, out of the feed and out of what of the journal is not in the feed yet: for export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.feed.everything import all_events
from mailwake.feed.people import People
from mailwake.links.token import decode_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailwake.events.model import Event
    from mailwake.events.privacy import RecipientHash


class PersonEvents:
    """Reads a data directory's feed and journal from their beginnings, whether the service runs or not."""

    def __init__(self, feed: Path, journal: Path, hashing: RecipientHash) -> None:
        self._feed = feed
        self._journal = journal
        self._hashing = hashing

    def of(self, address: str) -> Iterator[Event]:
        """The events of an address, or of what it becomes where recipients are hashed, each once.

        Every segment is read for it, some 15 seconds for a million events. FeedError, JournalError for what cannot be
        read.
        """
        people = People([address], self._hashing)
        known: set[int] = set()
        for event in all_events(self._journal, self._feed, decode_body):
            if people.are_of(event) and event.event_id not in known:
                known.add(event.event_id)  # a crash may have left a record in the journal twice
                yield event
