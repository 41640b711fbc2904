"""Consumers' positions in a SQLite file of their own: small, durable, and readable by the command line meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from mailwake.feed.contract import FeedError, Position
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS positions (
    consumer TEXT PRIMARY KEY, segment INTEGER NOT NULL, place INTEGER NOT NULL,
    kept REAL NOT NULL DEFAULT (unixepoch())
) WITHOUT ROWID
"""


class PositionsFile:
    """The positions in the SQLite file `path` (WAL, synchronous=FULL); any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._database = open_private(path, timeout=BUSY_TIMEOUT)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise FeedError(f"{path}: {error}; free space or mend the rights, or move the file away") from None

    def get(self, consumer: str) -> Position | None:
        """Its position, None when it has never kept one."""
        return self.all().get(consumer)

    def keep(self, consumer: str, position: Position) -> None:
        """Keep it durably."""
        self._ask(
            lambda database: database.execute(
                "INSERT OR REPLACE INTO positions (consumer, segment, place) VALUES (?, ?, ?)", (consumer, *position)
            )
        )

    def forget(self, consumer: str) -> None:
        """It is no consumer any more."""
        self._ask(lambda database: database.execute("DELETE FROM positions WHERE consumer = ?", (consumer,)))

    def all(self) -> dict[str, Position]:
        """Every consumer's position."""
        rows = self._ask(lambda db: db.execute("SELECT consumer, segment, place FROM positions").fetchall())
        return {consumer: Position(segment, place) for consumer, segment, place in rows}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return question(self._database)
            except sqlite3.Error as error:
                raise FeedError(f"{self._path}: {error}; free space or mend the rights") from None
