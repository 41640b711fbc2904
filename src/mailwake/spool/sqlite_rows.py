"""Entries as rows of the spool's tables, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import KeptEvents, ListedEntry, NewEntry, SpooledCopy, SpoolError
from mailwake.spool.shared_content import Base, difference, joined
from mailwake.spool.sqlite_schema import IN_HAND

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_MOST_BASES = 8

# The transmission id is text: it may use all 64 bits, and SQLite's integers are signed.
_INSERT = """
INSERT INTO entries (sender, recipient, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_report, notify, original_recipient, returned, envelope_id,
    route, customer, size, content_id, own, state, owner)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_COPY = """
SELECT sender, recipient, content, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_report, notify, original_recipient, returned, envelope_id,
    route, customer, entries.id, delay_told, own
FROM entries JOIN contents ON contents.id = content_id WHERE entries.id = ?
"""

LISTED = """
SELECT id, sender, recipient, size, message_id, queued_at, next_attempt, attempts, last_reply, is_report,
    state = 1, held_since > 0, customer, route, first_reply
FROM entries
"""

_encode_payloads = msgspec.msgpack.Encoder().encode
_decode_payloads = msgspec.msgpack.Decoder(list[bytes]).decode


class EntryWriter:
    """Inserts the entries of one `put` or `stage`, all in one state and of one owner."""

    def __init__(self, database: sqlite3.Connection, state: int, owner: str) -> None:
        self._database = database
        self._state = state
        self._owner = owner
        self._bases: dict[int, Base] = {}

    def insert(self, entry: NewEntry) -> int:
        """Insert one; its id."""
        content_id, own = self._content(entry)
        values = (
            entry.sender,
            entry.recipient,
            entry.smtputf8,
            entry.body,
            str(entry.transmission_id),
            entry.message_id,
            entry.first_reply,
            entry.queued_at,
            entry.next_attempt,
            entry.attempts,
            entry.last_reply,
            entry.event_facts,
            entry.is_report,
            entry.dsn.notify,
            entry.dsn.original_recipient,
            entry.dsn.returned,
            entry.dsn.envelope_id,
            entry.route,
            entry.customer,
            sum(map(len, entry.pieces)) if entry.pieces else len(entry.content),
            content_id,
            own,
            self._state,
            self._owner,
        )
        entry_id = self._database.execute(_INSERT, values).lastrowid
        assert entry_id is not None
        return entry_id

    def _content(self, entry: NewEntry) -> tuple[int, bytes | None]:
        """The id of the stored content, and how this entry's differs from it; None when it does not."""
        base = self._bases.get(len(entry.pieces))
        if base is not None:
            own = difference(base.pieces, entry.pieces)
            if own is not None:
                return base.content_id, own
        content_id = self._database.execute("INSERT INTO contents (content) VALUES (?)", (entry.whole,)).lastrowid
        assert content_id is not None
        if entry.pieces and len(self._bases) < _MOST_BASES:
            self._bases.setdefault(len(entry.pieces), Base(content_id, entry.pieces))
        return content_id, None


def delete(database: sqlite3.Connection, entry_id: int) -> bool:
    """Delete an entry, and its content if no other shares it; False if there is no such entry."""
    found = database.execute("DELETE FROM entries WHERE id = ? RETURNING content_id", (entry_id,)).fetchall()
    for (content_id,) in found:
        database.execute(
            "DELETE FROM contents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM entries WHERE content_id = ?1)",
            (content_id,),
        )
    return bool(found)


def read_copy(database: sqlite3.Connection, entry_id: int) -> SpooledCopy | None:
    """The entry with its content; None if there is no such entry, SpoolError if it is damaged."""
    row = database.execute(_COPY, (entry_id,)).fetchone()
    try:
        return _spooled_copy(row) if row is not None else None
    except (ValueError, TypeError, msgspec.MsgspecError):
        raise SpoolError(f"entry {entry_id} of the spool is damaged on disk and cannot be read") from None


def _spooled_copy(row: Sequence[Any]) -> SpooledCopy:
    *facts, is_report, notify, original_recipient, returned, envelope_id = row[:18]
    route, customer, entry_id, delay_told, own = row[18:]
    values: dict[str, Any] = dict(zip(_PLAIN_FIELDS, facts, strict=True))
    values["smtputf8"] = bool(values["smtputf8"])
    values["transmission_id"] = int(values["transmission_id"])
    if own is not None:
        values["content"] = joined(values["content"], own)
    return SpooledCopy(
        **values,
        is_report=bool(is_report),
        dsn=DsnRequest(notify, original_recipient, returned, envelope_id),
        route=route,
        customer=customer,
        id=entry_id,
        delay_told=bool(delay_told),
    )


def listed_entry(row: Sequence[Any]) -> ListedEntry:
    """The entry of a row of LISTED."""
    return ListedEntry(*(*row[:9], *map(bool, row[9:12]), *row[12:]))


def keep_events(database: sqlite3.Connection, events: KeptEvents, owner: str) -> None:
    """Put events beside the entries, for `owner` to write to its journal."""
    if events.payloads:
        packed = _encode_payloads(list(events.payloads))
        database.execute("INSERT INTO outbox (key, payloads, owner) VALUES (?, ?, ?)", (events.key, packed, owner))


def kept_events(key: str, packed: bytes) -> KeptEvents:
    """Events of a row of the outbox."""
    return KeptEvents(key, _decode_payloads(packed))


IN_HAND_OF = f"state = {IN_HAND} AND owner = ?"
"""The condition that an owner has an entry in hand."""

_PLAIN_FIELDS = tuple(SpooledCopy.__dataclass_fields__)[:13]
"""Those that stand in a column each, as they are, in the order of _COPY."""
