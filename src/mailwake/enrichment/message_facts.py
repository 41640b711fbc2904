"""What the injection event said of each message, kept for the opens and clicks that come later (2-tracking.md, §3).

A link carries no subject, sender or size: every octet of it counts. They are kept here once a message, by its
transmission id, which grows with time, so that the file is written at its end and forgotten from its beginning.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from mailwake.errors import MailwakeError
from mailwake.events.record import MessageFacts
from mailwake.events.unique_ids import EPOCH
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REMEMBERED = 4096
"""Messages that are kept in memory, too: most engagement is with those of the last hours."""

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process: one that erases."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS facts (transmission_id INTEGER PRIMARY KEY, facts BLOB NOT NULL)"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(MessageFacts).decode


class MessageFactsError(MailwakeError):
    """The file of messages' facts cannot be used; one line says what to do."""


class MessageFactsFile:
    """The facts in the SQLite file `path`; one process, one thread.

    `keep` gathers, `commit` makes durable what was gathered: together with the position that was read up to, or before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gathered: dict[int, MessageFacts] = {}
        self._recent: dict[int, MessageFacts | None] = {}
        try:
            self._database = open_private(path, timeout=BUSY_TIMEOUT)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from None

    def keep(self, facts: MessageFacts) -> None:
        """Remember the facts of a message; the same message again costs next to nothing."""
        if self._recent.get(facts.transmission_id) is None:
            self._gathered[facts.transmission_id] = facts
            self._remember(facts.transmission_id, facts)

    def commit(self) -> None:
        """Make durable what was kept; MessageFactsError when the disk refuses, and it stays gathered."""
        if not self._gathered:
            return
        rows = [(number, _pack(facts)) for number, facts in self._gathered.items()]
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._error(error) from None
        self._gathered.clear()

    def load(self, transmission_ids: Iterable[int]) -> None:
        """Have the facts of these messages ready for `of`, in one look at the file."""
        wanted = [(number,) for number in set(transmission_ids) if number not in self._recent]
        try:
            for (number,) in wanted:
                row = self._database.execute("SELECT facts FROM facts WHERE transmission_id = ?", (number,)).fetchone()
                self._remember(number, None if row is None else _unpack(row[0]))
        except sqlite3.Error as error:
            raise self._error(error) from None

    def of(self, transmission_id: int) -> MessageFacts | None:
        """The facts of a message; None when its injection was never seen here, or is forgotten."""
        if transmission_id not in self._recent:
            self.load((transmission_id,))
        return self._recent[transmission_id]

    def forget_before(self, time_ms: int) -> int:
        """Forget messages injected before this time (Unix milliseconds); how many."""
        oldest = max(0, time_ms - EPOCH * 1000) << 22
        try:
            return self._database.execute("DELETE FROM facts WHERE transmission_id < ?", (oldest,)).rowcount
        except sqlite3.Error as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Close the file; what was not committed is not kept."""
        self._database.close()

    def _remember(self, number: int, facts: MessageFacts | None) -> None:
        if len(self._recent) >= REMEMBERED:
            for old in list(self._recent)[: REMEMBERED // 4]:
                del self._recent[old]
        self._recent[number] = facts

    def _error(self, error: sqlite3.Error | OSError) -> MessageFactsError:
        return MessageFactsError(f"{self._path}: {error}; free space or mend the rights, or move the file away")
