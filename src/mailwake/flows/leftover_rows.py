"""What SQLite leaves of deleted rows in its files until their room is used again, and rows that name people besides.

The spool held their mail while it waited; the facts of messages hold an envelope sender, into which list managers put
the recipient. Mail that waits now stays: it is to be delivered.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.feed.people import People

BUSY_TIMEOUT = 5.0
"""Seconds to wait for others that use a file."""

LARGEST_REWRITTEN = 256 << 20
"""Octets of a spool that is written anew: writers wait meanwhile. A larger one is full of mail that uses its room."""


class LeftoverError(MailwakeError):
    """A file is in use just now, or the disk refuses: to be tried again."""


class SpoolRows:
    """The spool's file without what deleted entries have left in it."""

    def __init__(self, path: Path, *, patience: float = BUSY_TIMEOUT) -> None:
        self._path = path
        self._patience = patience

    def __call__(self, people: People) -> None:
        """Write it anew; LeftoverError when others keep it busy."""
        with _opened(self._path, self._patience) as database:
            pages, octets = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            if pages * octets <= LARGEST_REWRITTEN:
                database.execute("VACUUM")
            _empty_log(database, self._path)


class FactsRows:
    """What is remembered of messages, without those messages that name one of these people."""

    def __init__(self, path: Path, *, patience: float = BUSY_TIMEOUT) -> None:
        self._path = path
        self._patience = patience

    def __call__(self, people: People) -> None:
        """Forget them; later opens and clicks of those messages have no sender and subject."""
        with _opened(self._path, self._patience) as database:
            naming = [
                (number,)
                for number, facts in database.execute("SELECT transmission_id, facts FROM facts")
                if people.are_named_in(facts)
            ]
            database.execute("PRAGMA secure_delete=ON")
            with database:
                database.executemany("DELETE FROM facts WHERE transmission_id = ?", naming)
            _empty_log(database, self._path)


class _opened(closing[sqlite3.Connection]):  # noqa: N801  # used like a function
    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        super().__init__(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=patience))

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        if isinstance(raised[1], sqlite3.Error):
            raise LeftoverError(f"{self._path}: {raised[1]}; it is tried again") from None


def _empty_log(database: sqlite3.Connection, path: Path) -> None:
    busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise LeftoverError(f"{path}: others keep it busy; it is tried again")
