"""Whose events these are: recognising people in records and events, and what is left of those once they are erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError
from mailwake.events.record import EngagementRecord, ErasedRecord, ObservationRecord, decode_record
from mailwake.events.record import erased as erased_record
from mailwake.feed.payload import decode_event, is_event
from mailwake.feed.payload import erased as erased_event
from mailwake.links.token import decode_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailwake.events.model import Event
    from mailwake.events.privacy import RecipientHash


class People:
    """Some recipients, each known by the address and by its hash: the settings may have changed in between."""

    def __init__(self, addresses: Iterable[str], hashing: RecipientHash) -> None:
        lower = {address.lower() for address in addresses}
        self.names = frozenset(lower | {hashing.hashed(address) for address in lower})
        """What stands for them in events."""
        # Looked for before anything is decoded; nothing but ASCII keeps its octets when cases change.
        self._octets = tuple(name.encode() for name in self.names) if all(map(str.isascii, self.names)) else None

    def are_of(self, event: Event) -> bool:
        """Whether it is an event of one of them."""
        return event.rcpt_to.lower() in self.names

    def in_feed(self, payload: bytes) -> Event | None:
        """The event in a payload of the feed, if it is one of theirs."""
        if not is_event(payload) or not self.may_be_in(payload):
            return None
        event = decode_event(payload)
        return event if self.are_of(event) else None

    def erased_in_feed(self, payload: bytes) -> bytes | None:
        """What is left of a payload of the feed that is one of theirs; None for others."""
        try:
            return None if self.in_feed(payload) is None else erased_event(payload)
        except MailwakeError:  # of another release: it is passed over by whoever reads it, too
            return None

    def erased_in_journal(self, payload: bytes) -> bytes | None:
        """The same for the journal."""
        if not self.may_be_in(payload):
            return None
        try:
            record = decode_record(payload)
            if isinstance(record, ErasedRecord):
                return None
            if isinstance(record, (EngagementRecord, ObservationRecord)):
                recipient = decode_body(record.raw_body).context.recipient
            else:
                recipient = record.recipient
        except MailwakeError:
            return None
        return erased_record(record, len(payload)) if recipient.lower() in self.names else None

    def are_named_in(self, octets: bytes) -> bool:
        """Whether a text names one of them, as an address or inside a sender's (`ann=example.org`)."""
        lower = octets.lower()
        return any(name.encode() in lower or name.replace("@", "=").encode() in lower for name in self.names)

    def may_be_in(self, payload: bytes) -> bool:
        """Whether it is worth decoding: cheap, and never wrong when it says no."""
        if self._octets is None:
            return True
        lower = payload.lower()
        return any(name in lower for name in self._octets)
