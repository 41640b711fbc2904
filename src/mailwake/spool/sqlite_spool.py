"""The spool as one SQLite file that all worker processes of a node open."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mailwake.durable_names import sync_directory
from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import DEFAULT_CLAIM_OCTETS, ListedEntry, NewEntry, Spool, SpooledCopy, SpoolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_VERSION = 2

# The content has a table of its own: a row's update rewrites the whole row, and every attempt updates it.
_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    smtputf8 INTEGER NOT NULL,
    body TEXT NOT NULL,
    transmission_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    first_reply TEXT NOT NULL,
    queued_at REAL NOT NULL,
    next_attempt REAL NOT NULL,
    attempts INTEGER NOT NULL,
    last_reply TEXT NOT NULL,
    event_facts BLOB NOT NULL,
    is_bounce INTEGER NOT NULL,
    notify TEXT NOT NULL DEFAULT '',
    original_recipient TEXT NOT NULL DEFAULT '',
    returned TEXT NOT NULL DEFAULT '',
    envelope_id TEXT NOT NULL DEFAULT '',
    route TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL,
    lease_owner TEXT NOT NULL DEFAULT '',
    leased_until REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX entries_by_next_attempt ON entries (next_attempt, id);
CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
"""

# Format 1 knew of the body only whether it was 8BITMIME, and neither reports asked for nor routes.
_SET_ASIDE = "ALTER TABLE entries RENAME TO entries_1; DROP INDEX entries_by_next_attempt"
_TAKE_OVER = """
INSERT INTO entries (id, sender, recipient, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_bounce, size, lease_owner, leased_until)
SELECT id, sender, recipient, smtputf8, iif(eight_bit, '8BITMIME', '7BIT'), transmission_id, message_id, first_reply,
    queued_at, next_attempt, attempts, last_reply, event_facts, is_bounce, size, lease_owner, leased_until
FROM entries_1;
DROP TABLE entries_1
"""

# The transmission id is text: it may use all 64 bits, and SQLite's integers are signed.
_INSERT = """
INSERT INTO entries (sender, recipient, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_bounce, notify, original_recipient, returned, envelope_id,
    route, size)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_DUE = "SELECT id, size FROM entries WHERE next_attempt <= ? AND leased_until <= ? ORDER BY next_attempt, id LIMIT ?"

_CLAIMED = """
SELECT sender, recipient, content, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_bounce, notify, original_recipient, returned, envelope_id,
    route, id
FROM entries JOIN contents USING (id) WHERE id = ?
"""

_LISTED = """
SELECT id, sender, recipient, size, message_id, queued_at, next_attempt, attempts, last_reply, is_bounce, leased_until
FROM entries ORDER BY next_attempt, id LIMIT ?
"""


class SqliteSpool(Spool):
    """A `Spool` in an SQLite file (WAL, `synchronous=FULL`: a commit is on disk before it returns).

    Each object is an owner of leases of its own; several threads may share it. Open it after the process has forked.
    """

    def __init__(self, path: Path, *, busy_seconds: float = 30.0) -> None:
        self._path = path
        self._owner = os.urandom(12).hex()
        self._lock = threading.Lock()
        try:
            self._database = self._open(busy_seconds)
        except sqlite3.Error as error:
            raise SpoolError(f"cannot open the spool {path}: {error}; is it a spool, and may it be written?") from error

    def _open(self, busy_seconds: float) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            self._create(database)
            self._path.chmod(0o600)  # it holds other people's mail
            sync_directory(self._path.parent)
        except BaseException:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")  # workers start together: one creates, the others wait and see
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 1:
            for statement in _SET_ASIDE.split(";"):
                database.execute(statement)
        if version < _VERSION:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
        if version == 1:
            for statement in _TAKE_OVER.split(";"):
                database.execute(statement)
        database.execute(f"PRAGMA user_version={max(version, _VERSION)}")
        database.execute("COMMIT")
        if version > _VERSION:
            raise SpoolError(f"the spool {self._path} has format {version}, this version knows {_VERSION}: upgrade")

    def put(self, entries: Sequence[NewEntry]) -> list[int]:
        """Keep all of these or none, and give their ids: when it returns, the copies survive power loss."""
        with self._transaction() as database:
            return [_insert(database, entry) for entry in entries]

    def claim_due(
        self, now: float, limit: int, lease_seconds: float, max_octets: int = DEFAULT_CLAIM_OCTETS
    ) -> list[SpooledCopy]:
        """Take up to `limit` entries that are due, for this instance alone until the lease ends."""
        with self._lock, self._errors():
            if self._database.execute(_DUE, (now, now, 1)).fetchone() is None:
                return []  # an idle spool costs no lock and no sync
        with self._transaction() as database:
            due = _within(database.execute(_DUE, (now, now, limit)).fetchall(), max_octets)
            database.executemany(
                "UPDATE entries SET lease_owner = ?, leased_until = ? WHERE id = ?",
                [(self._owner, now + lease_seconds, entry_id) for entry_id in due],
            )
            rows = [database.execute(_CLAIMED, (entry_id,)).fetchone() for entry_id in due]
        return [_spooled_copy(row) for row in rows]

    def renew(self, ids: Sequence[int], until: float) -> None:
        """Prolong this instance's leases to `until`; those it has lost stay lost."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE entries SET leased_until = ? WHERE id = ? AND lease_owner = ?",
                [(until, entry_id, self._owner) for entry_id in ids],
            )

    def delivered(self, entry_id: int) -> None:
        """Forget a copy that the next hop has taken, whoever holds its lease; no error if it is gone."""
        self.remove(entry_id)

    def defer(self, entry_id: int, next_attempt: float, reply_text: str, attempts: int) -> None:
        """End this instance's lease and set the next attempt; nothing happens if the lease is another's by now."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET lease_owner = '', leased_until = 0, next_attempt = ?, last_reply = ?, attempts = ?"
                " WHERE id = ? AND lease_owner = ?",
                (next_attempt, reply_text, attempts, entry_id, self._owner),
            )

    def replace(self, entry_id: int, report: NewEntry) -> int | None:
        """Put the bounce `report` and remove the failed copy in one step.

        None, and nothing done, if the copy is gone or another instance has it in hand by now.
        """
        with self._transaction() as database:
            (mine,) = database.execute(
                "SELECT count(*) FROM entries WHERE id = ? AND lease_owner IN (?, '')", (entry_id, self._owner)
            ).fetchone()
            return _insert(database, report) if mine and _delete(database, entry_id) else None

    def remove(self, entry_id: int) -> bool:
        """Forget a copy without delivering it; False if there is no such entry."""
        with self._transaction() as database:
            return _delete(database, entry_id)

    def count(self) -> int:
        """How many entries there are."""
        with self._lock, self._errors():
            (number,) = self._database.execute("SELECT count(*) FROM entries").fetchone()
        return int(number)

    def close(self) -> None:
        """Let go of the file; the entries stay."""
        with self._lock:
            self._database.close()

    def list(self, limit: int = 1000) -> Sequence[ListedEntry]:
        """The entries by next attempt, without their content."""
        with self._lock, self._errors():
            rows = self._database.execute(_LISTED, (limit,)).fetchall()
        return [ListedEntry(*(*row[:9], bool(row[9]), row[10])) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed and synced at the end, undone by any exception."""
        with self._lock, self._errors():
            # IMMEDIATE: a transaction that starts by reading could not wait for another writer's end.
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolError(f"spool {self._path}: {error}; look at the disk") from error


def _insert(database: sqlite3.Connection, entry: NewEntry) -> int:
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
        entry.is_bounce,
        entry.dsn.notify,
        entry.dsn.original_recipient,
        entry.dsn.returned,
        entry.dsn.envelope_id,
        entry.route,
        len(entry.content),
    )
    entry_id = database.execute(_INSERT, values).lastrowid
    assert entry_id is not None
    database.execute("INSERT INTO contents (id, content) VALUES (?, ?)", (entry_id, entry.content))
    return entry_id


def _delete(database: sqlite3.Connection, entry_id: int) -> bool:
    database.execute("DELETE FROM contents WHERE id = ?", (entry_id,))
    return database.execute("DELETE FROM entries WHERE id = ?", (entry_id,)).rowcount > 0


def _within(due: Sequence[tuple[int, int]], max_octets: int) -> list[int]:
    """The ids from the start of `due` whose sizes fit in `max_octets`; at least one."""
    chosen: list[int] = []
    for entry_id, size in due:
        max_octets -= size
        if chosen and max_octets < 0:
            break
        chosen.append(entry_id)
    return chosen


def _spooled_copy(row: Sequence[Any]) -> SpooledCopy:
    *facts, is_bounce, notify, original_recipient, returned, envelope_id, route, entry_id = row
    values: dict[str, Any] = dict(zip(_PLAIN_FIELDS, facts, strict=True))
    values["smtputf8"] = bool(values["smtputf8"])
    values["transmission_id"] = int(values["transmission_id"])
    dsn = DsnRequest(notify, original_recipient, returned, envelope_id)
    return SpooledCopy(**values, is_bounce=bool(is_bounce), dsn=dsn, route=route, id=entry_id)


_PLAIN_FIELDS = tuple(SpooledCopy.__dataclass_fields__)[:13]
"""Those that stand in a column each, as they are, in the order of _CLAIMED."""
