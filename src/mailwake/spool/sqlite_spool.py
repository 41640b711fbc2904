"""The spool as one SQLite file that all worker processes of a node open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.spool.contract import (
    AT_ONCE,
    DEFAULT_CLAIM_OCTETS,
    NO_EVENTS,
    KeptEvents,
    ListedEntry,
    NewEntry,
    Settlement,
    Spool,
    SpooledCopy,
    SpoolError,
)
from mailwake.spool.owners import Owner, forget_dead, is_alive
from mailwake.spool.sqlite_file import SqliteFile
from mailwake.spool.sqlite_rows import (
    IN_HAND_OF,
    LISTED,
    EntryWriter,
    delete,
    keep_events,
    kept_events,
    listed_entry,
    read_copy,
)
from mailwake.spool.sqlite_schema import IN_HAND, STAGED, WAITING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mailwake.clock import Clock

_OWNERS = """
SELECT DISTINCT owner FROM entries WHERE state <> 0
UNION SELECT DISTINCT owner FROM outbox WHERE owner <> ''
"""


class SqliteSpool(SqliteFile, Spool):
    """A `Spool` in an SQLite file; what each object has in hand is its own, and several threads may share it.

    Open it after the process has forked. A directory beside the file, `NAME.owners`, tells which objects are alive.
    """

    def __init__(
        self, path: Path, *, busy_seconds: float = 30.0, clock: Clock | None = None, boot_id: str | None = None
    ) -> None:
        super().__init__(path, busy_seconds=busy_seconds, clock=clock, boot_id=boot_id)
        self._owners = path.with_name(path.name + ".owners")
        self._made_owner: Owner | None = None

    @property
    def _owner(self) -> str:
        # Made when something is to be owned: who only looks at a spool leaves no file. Callers hold the lock.
        if self._made_owner is None:
            self._made_owner = Owner(self._owners)
        return self._made_owner.name

    def put(
        self,
        entries: Sequence[NewEntry],
        *,
        events: KeptEvents = NO_EVENTS,
        staged: Sequence[int] = (),
        in_hand: bool = False,
    ) -> list[int]:
        """Keep all of these or none, with their events, and what was staged with these ids; give the entries' ids."""
        with self._transaction() as database:
            owner = self._owner if in_hand or events.payloads or staged else ""
            writer = EntryWriter(database, IN_HAND if in_hand else WAITING, owner if in_hand else "")
            ids = [writer.insert(entry) for entry in entries]
            database.executemany(
                "UPDATE entries SET state = 0, owner = '' WHERE id = ?", [(entry_id,) for entry_id in staged]
            )
            keep_events(database, events, owner)
            return ids

    def stage(self, entries: Sequence[NewEntry]) -> list[int]:
        """Bring a part of a large `put` to the disk; nobody sees it before that, and it goes with this instance."""
        with self._transaction() as database:
            writer = EntryWriter(database, STAGED, self._owner)
            return [writer.insert(entry) for entry in entries]

    def unstage(self, ids: Sequence[int]) -> None:
        """Forget what was staged."""
        with self._transaction() as database:
            for entry_id in ids:
                delete(database, entry_id)

    def claim_due(
        self,
        now: float,
        limit: int,
        max_octets: int = DEFAULT_CLAIM_OCTETS,
        *,
        except_routes: Collection[str] = (),
        queued_by: float = 0.0,
        only_route: str | None = None,
    ) -> list[SpooledCopy]:
        """Take up to `limit` entries that are due in hand, for this instance alone."""
        query, values = _due(now, except_routes, queued_by, only_route)
        with self._reading() as database:
            if database.execute(query, (*values, 1)).fetchone() is None:
                return []  # an idle spool costs no lock and no sync
        with self._transaction() as database:
            due = _within(database.execute(query, (*values, limit)).fetchall(), max_octets)
            database.executemany(
                "UPDATE entries SET state = ?, owner = ? WHERE id = ?",
                [(IN_HAND, self._owner, entry_id) for entry_id in due],
            )
            return [copy for entry_id in due if (copy := self._read_or_hold(database, entry_id)) is not None]

    def _read_or_hold(self, database: sqlite3.Connection, entry_id: int) -> SpooledCopy | None:
        """One that is damaged waits for the operator, and does not keep the others from being tried."""
        try:
            return read_copy(database, entry_id)
        except SpoolError as error:
            database.execute(
                "UPDATE entries SET state = 0, owner = '', held_since = ?, last_reply = ? WHERE id = ?",
                (self.now(), str(error), entry_id),
            )
            return None

    def give_back(self, ids: Sequence[int]) -> None:
        """Let go of entries that this instance has in hand; they are as due as before."""
        with self._transaction() as database:
            database.executemany(
                f"UPDATE entries SET state = 0, owner = '' WHERE id = ? AND {IN_HAND_OF}",  # noqa: S608  # a constant
                [(entry_id, self._owner) for entry_id in ids],
            )

    def settle(self, settlement: Settlement) -> bool:
        """Do what an attempt has brought; False, and nothing done, when the entry is not in this instance's hand."""
        with self._transaction() as database:
            done = self._settle(database, settlement)
            if done or settlement.fate == "taken":
                writer = EntryWriter(database, WAITING, "")
                for report in settlement.reports:
                    writer.insert(report)
                keep_events(database, settlement.events, self._owner)
            return done

    def _settle(self, database: sqlite3.Connection, settlement: Settlement) -> bool:
        entry_id = settlement.entry_id
        if settlement.fate == "taken":
            return delete(database, entry_id)
        mine = database.execute(
            f"SELECT 1 FROM entries WHERE id = ? AND {IN_HAND_OF}",  # noqa: S608  # a constant
            (entry_id, self._owner),
        ).fetchone()
        if mine is None:
            return False
        if settlement.fate == "failed":
            return delete(database, entry_id)
        database.execute(
            "UPDATE entries SET state = 0, owner = '', next_attempt = ?, last_reply = ?, attempts = ?, delay_told = ?"
            " WHERE id = ?",
            (settlement.next_attempt, settlement.reply_text, settlement.attempts, settlement.delay_told, entry_id),
        )
        return True

    def recover(self) -> int:
        """Take what instances that are gone had in hand or staged from them; how many entries are due again."""
        with self._reading() as database:
            mine = self._made_owner.name if self._made_owner is not None else ""
            owners = [name for (name,) in database.execute(_OWNERS) if name != mine]
            gone = [name for name in owners if not is_alive(self._owners, name)]
        if not gone:
            return 0
        with self._transaction() as database:
            freed = sum(self._free(database, name) for name in gone)
        forget_dead(self._owners)
        return freed

    def _free(self, database: sqlite3.Connection, owner: str) -> int:
        staged = database.execute("SELECT id FROM entries WHERE state = ? AND owner = ?", (STAGED, owner)).fetchall()
        for (entry_id,) in staged:
            delete(database, entry_id)
        database.execute("UPDATE outbox SET owner = '' WHERE owner = ?", (owner,))
        return database.execute(
            "UPDATE entries SET state = 0, owner = '' WHERE state <> 0 AND owner = ?", (owner,)
        ).rowcount

    def left_events(self, limit: int) -> list[KeptEvents]:
        """Events that nobody is writing to a journal, for this instance to do so."""
        query = "SELECT key, payloads FROM outbox WHERE owner = '' ORDER BY key LIMIT ?"
        with self._reading() as database:
            if database.execute(query, (1,)).fetchone() is None:
                return []
        with self._transaction() as database:
            found = [kept_events(*row) for row in database.execute(query, (limit,))]
            database.executemany(
                "UPDATE outbox SET owner = ? WHERE key = ?", [(self._owner, events.key) for events in found]
            )
            return found

    def leave_events(self, keys: Sequence[str]) -> None:
        """Say that this instance could not write these: they become `left_events`."""
        with self._transaction() as database:
            database.executemany("UPDATE outbox SET owner = '' WHERE key = ?", [(key,) for key in keys])

    def forget_events(self, keys: Sequence[str]) -> None:
        """Forget events that are in a journal."""
        with self._transaction() as database:
            database.executemany("DELETE FROM outbox WHERE key = ?", [(key,) for key in keys])

    def count(self) -> int:
        """How many entries there are."""
        with self._reading() as database:
            (number,) = database.execute("SELECT count(*) FROM entries").fetchone()
        return int(number)

    def list(self, limit: int = 1000) -> Sequence[ListedEntry]:
        """The entries by next attempt, without their content."""
        with self._reading() as database:
            rows = database.execute(LISTED + "ORDER BY next_attempt, id LIMIT ?", (limit,)).fetchall()
        return [listed_entry(row) for row in rows]

    def close(self) -> None:
        """Let go of the file and of all that is in hand; the entries stay."""
        super().close()
        if self._made_owner is not None:
            self._made_owner.close()
            self._made_owner = None


def _due(
    now: float, except_routes: Collection[str], queued_by: float, only_route: str | None
) -> tuple[str, tuple[float | str, ...]]:
    """The query for the ids and sizes of what may be claimed, and its values but for the limit."""
    query = "SELECT id, size FROM entries WHERE state = 0 AND held_since = 0 AND next_attempt <= ?"
    values: list[float | str] = [now]
    if except_routes:
        query += (
            f" AND (route NOT IN ({','.join('?' * len(except_routes))}) OR queued_at <= ? OR next_attempt = {AT_ONCE})"
        )
        values += [*except_routes, queued_by]
    if only_route is not None:
        query += " AND route = ?"
        values.append(only_route)
    return query + " ORDER BY next_attempt, id LIMIT ?", tuple(values)


def _within(due: Sequence[tuple[int, int]], max_octets: int) -> list[int]:
    """The ids from the start of `due` whose sizes fit in `max_octets`; at least one."""
    chosen: list[int] = []
    for entry_id, size in due:
        max_octets -= size
        if chosen and max_octets < 0:
            break
        chosen.append(entry_id)
    return chosen
