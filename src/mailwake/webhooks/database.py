"""The SQLite file of webhooks: subscriptions, how far each has come, and its batches. It holds secrets."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = 1
"""Of the tables; kept in the file, so that no earlier release misunderstands those of a later one."""

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes: the command line beside the service."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY, definition BLOB NOT NULL, created REAL NOT NULL, revision INTEGER NOT NULL DEFAULT 1,
    segment INTEGER NOT NULL, place INTEGER NOT NULL,
    last_successful REAL, last_failure REAL, failing_since REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY, webhook TEXT NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    batch_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, moves INTEGER NOT NULL, filter BLOB NOT NULL,
    from_segment INTEGER NOT NULL, from_place INTEGER NOT NULL, to_segment INTEGER NOT NULL, to_place INTEGER NOT NULL,
    events INTEGER NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, attempted REAL,
    response_code INTEGER NOT NULL DEFAULT 0, failure_code TEXT NOT NULL DEFAULT '', latency REAL
);
CREATE INDEX IF NOT EXISTS batches_by_state ON batches (webhook, state, number);
"""


class WebhooksFileError(MailwakeError):
    """The file of webhooks cannot be read or written; one line says what to do."""


class WebhooksDatabase:
    """The open file (WAL, synchronous=FULL: what is committed survives power loss); any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._database = open_private(path, timeout=BUSY_TIMEOUT)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA foreign_keys=ON")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise WebhooksFileError(f"{path}: is of a later release of mailwake; use that one")
            self._database.executescript(f"{_SCHEMA}; PRAGMA user_version={_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for questions; WebhooksFileError when they fail."""
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise self._error(error) from None

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: durable at its end, undone by any exception."""
        with self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _error(self, error: sqlite3.Error | OSError) -> WebhooksFileError:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        return WebhooksFileError(f"{self._path}: {reason}; free space or mend the rights, or try again")
