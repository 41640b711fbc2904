"""Who asked for their events to be erased: a durable list that the collector works off, and that forgets names then."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from mailwake.errors import MailwakeError
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, requested INTEGER NOT NULL, recipient TEXT,
    records INTEGER NOT NULL DEFAULT 0, finished INTEGER
)
"""
_ALL = "SELECT number, requested, coalesce(recipient, ''), records, finished FROM erasures"


class ErasuresError(MailwakeError):
    """The list cannot be read or written; one line says what to do."""


class Erasure(NamedTuple):
    """A request; times are Unix milliseconds, `recipient` is "" once it is finished.

    `records` counts what was erased so far, in journal, feed and store: an event may stand in all three. A kill may
    make it too low.
    """

    number: int
    requested_ms: int
    recipient: str
    records: int
    finished_ms: int | None


class Erasures:
    """The list in the SQLite file `path`, which is opened for each call: they are few, and several processes call.

    Without a write-ahead log and with `secure_delete`, so that a name is in no file once it is forgotten.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(self, recipient: str, now_ms: int) -> Erasure:
        """Put a recipient on the list, durably; one that waits there already is not put there twice."""
        lower = recipient.lower()

        def put(database: sqlite3.Connection) -> Erasure:
            found = database.execute(_ALL + " WHERE recipient = ?", (lower,)).fetchone()
            if found is not None:
                return Erasure(*found)
            added = database.execute("INSERT INTO erasures (requested, recipient) VALUES (?, ?)", (now_ms, lower))
            return Erasure(added.lastrowid or 0, now_ms, lower, 0, None)

        return self._ask(put)

    def pending(self) -> list[Erasure]:
        """Those that are not finished, in the order of their requests."""
        if not self._path.exists():
            return []
        return [each for each in self.all() if each.finished_ms is None]

    def all(self) -> list[Erasure]:
        """Every request there ever was; the finished ones without their names."""
        return self._ask(lambda database: [Erasure(*row) for row in database.execute(_ALL + " ORDER BY number")])

    def count(self, number: int, records: int) -> None:
        """Add to what was erased for a request."""
        self._ask(
            lambda db: db.execute("UPDATE erasures SET records = records + ? WHERE number = ?", (records, number))
        )

    def finish(self, number: int, now_ms: int) -> None:
        """All is erased: forget the name."""
        self._ask(
            lambda db: db.execute(
                "UPDATE erasures SET recipient = NULL, finished = ? WHERE number = ?", (now_ms, number)
            )
        )

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(open_private(self._path, timeout=BUSY_TIMEOUT)) as database:
                database.execute("PRAGMA secure_delete=ON")
                database.execute(_SCHEMA)
                database.execute("BEGIN IMMEDIATE")
                answer = question(database)
                database.execute("COMMIT")
                return answer
        except (sqlite3.Error, OSError) as error:
            raise ErasuresError(
                f"{self._path}: {error}; free space or mend the rights, or move the file away"
            ) from None
