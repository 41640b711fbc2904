"""The tables of the spool's SQLite file, and how an older file becomes one of this format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

VERSION = 2

WAITING, IN_HAND, STAGED = 0, 1, 2
"""The states of an entry; an operator's hold is apart from them."""

# The content has a table of its own: a row's update rewrites the whole row, and every attempt updates it. Several
# entries may share one, and have in `own` how they differ from it. The index of what may be claimed holds all that
# choosing needs, so that ten thousand entries of a route that is down are passed over without a look at their rows.
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
    is_report INTEGER NOT NULL,
    notify TEXT NOT NULL DEFAULT '',
    original_recipient TEXT NOT NULL DEFAULT '',
    returned TEXT NOT NULL DEFAULT '',
    envelope_id TEXT NOT NULL DEFAULT '',
    route TEXT NOT NULL DEFAULT '',
    customer TEXT NOT NULL DEFAULT '',
    delay_told INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    own BLOB,
    state INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    held_since REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX entries_to_claim ON entries (next_attempt, id, queued_at, route, size) WHERE state = 0 AND held_since = 0;
CREATE INDEX entries_owned ON entries (owner) WHERE state <> 0;
CREATE INDEX entries_by_content ON entries (content_id);
CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE outbox (key TEXT PRIMARY KEY, payloads BLOB NOT NULL, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE timeline (boot TEXT NOT NULL, base REAL NOT NULL, seen REAL NOT NULL) STRICT;
"""

# Format 1 knew of the body only whether it was 8BITMIME, each entry's content by the entry's own id, leases that ended
# at a time, and neither reports asked for nor routes nor holds.
_SET_ASIDE = "ALTER TABLE entries RENAME TO entries_1; DROP INDEX entries_by_next_attempt"
_TAKE_OVER = """
INSERT INTO entries (id, sender, recipient, smtputf8, body, transmission_id, message_id, first_reply, queued_at,
    next_attempt, attempts, last_reply, event_facts, is_report, size, content_id)
SELECT id, sender, recipient, smtputf8, iif(eight_bit, '8BITMIME', '7BIT'), transmission_id, message_id, first_reply,
    queued_at, next_attempt, attempts, last_reply, event_facts, is_bounce, size, id
FROM entries_1;
DROP TABLE entries_1
"""


def make_or_take_over(database: sqlite3.Connection, path: Path) -> None:
    """Inside a transaction: make the tables, or bring those of an older format to this one; SpoolError for a later."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise SpoolError(
            f"the spool {path} has format {version}, and this version of mailwake knows {VERSION} at most: "
            "install a later one"
        )
    if version == VERSION:
        return
    if version == 1:
        _run(database, _SET_ASIDE)
    _run(database, _SCHEMA)
    if version == 1:
        _run(database, _TAKE_OVER)
    database.execute(f"PRAGMA user_version={VERSION}")


def _run(database: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):  # executescript would end the transaction
        database.execute(statement)
