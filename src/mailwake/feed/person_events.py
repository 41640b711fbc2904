"""All events of one person, out of the feed and out of what of the journal is not in the feed yet: for export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.events.from_record import EventReader
from mailwake.events.record import RecordError
from mailwake.feed.contract import BEGINNING
from mailwake.feed.people import People
from mailwake.feed.reader import FeedReader
from mailwake.journal.reader import JournalReader
from mailwake.links.token import BadToken, decode_body

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

        Every segment is read for it: minutes for some hundred million events. FeedError and JournalError when a file
        cannot be read.
        """
        people = People([address], self._hashing)
        known: set[int] = set()
        for event in self._in_feed(people):
            known.add(event.event_id)
            yield event
        for event in self._in_journal(people):
            if event.event_id not in known:
                known.add(event.event_id)  # a crash may have left a record there twice
                yield event

    def _in_feed(self, people: People) -> Iterator[Event]:
        reader, position, more = FeedReader(self._feed), BEGINNING, True
        while more:
            page = reader.read(position)
            yield from (each.event for each in page.events if people.are_of(each.event))
            position, more = page.position, page.more

    def _in_journal(self, people: People) -> Iterator[Event]:
        reader, read = JournalReader(self._journal), EventReader(decode_body).read
        batch = reader.read()
        while batch.records or batch.more:
            for record in batch.records:
                if people.may_be_in(record.payload):
                    try:
                        event = read(record.payload)
                    except (RecordError, BadToken):  # erased, or of a later release: no event for anybody
                        continue
                    if event is not None and people.are_of(event):
                        yield event
            batch = reader.read(batch.cursor)
