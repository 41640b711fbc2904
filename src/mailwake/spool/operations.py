"""What an operator does with the spool, beside the workers that use it: look, try now, hold, remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mailwake.spool.contract import AT_ONCE, ListedEntry, NewEntry, SpooledCopy, SpoolError
from mailwake.spool.sqlite_file import SqliteFile
from mailwake.spool.sqlite_rows import LISTED, EntryWriter, delete, listed_entry, read_copy
from mailwake.spool.sqlite_schema import IN_HAND, WAITING
from mailwake.spool.steady_time import Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mailwake.clock import Clock

_DOMAIN = "lower(substr(recipient, instr(recipient, '@') + 1))"
_VISIBLE = "state <> 2"  # what is only staged is nobody's business yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries: those that fulfil all that is given; everything when nothing is."""

    ids: Sequence[int] = ()
    recipient: str = ""
    sender: str | None = None
    """"" is the null sender."""
    domain: str = ""
    """The recipient's."""
    customer: str = ""
    held: bool | None = None

    def where(self) -> tuple[str, list[int | str]]:
        """As an SQL condition and its values."""
        conditions: list[str] = [_VISIBLE]
        values: list[int | str] = []
        if self.ids:
            conditions.append(f"id IN ({','.join('?' * len(self.ids))})")
            values += self.ids
        for column, value in (("recipient", self.recipient), ("sender", self.sender), ("customer", self.customer)):
            if value or (column == "sender" and value is not None):
                conditions.append(f"{column} = ? COLLATE NOCASE")
                values.append(value)
        if self.domain:
            conditions.append(f"{_DOMAIN} = ?")
            values.append(self.domain.lower())
        if self.held is not None:
            conditions.append("held_since > 0" if self.held else "held_since = 0")
        return " AND ".join(conditions), values


class Changed(NamedTuple):
    """What an order did: to how many entries, and how many it left because they are being tried at this moment."""

    done: int
    in_hand: int


class DomainTotal(NamedTuple):
    """The entries of one recipient domain; `oldest` is a time of the spool."""

    domain: str
    entries: int
    held: int
    octets: int
    oldest: float


class SpoolOperations(SqliteFile):
    """An operator's hands in the spool of `path`; SpoolError when there is none."""

    def __init__(self, path: Path, *, clock: Clock, boot_id: str | None = None) -> None:
        if not path.exists():
            raise SpoolError(f"{path.parent} has no spool yet; start mailwake once, or say where it is with --data")
        super().__init__(path, clock=clock, boot_id=boot_id)
        self._clock = clock

    def moment(self) -> Moment:
        """The present moment, in the time of the spool and on the wall."""
        return Moment(self.now(), self._clock.now())

    def missing(self, ids: Sequence[int]) -> list[int]:
        """Those of the ids that no entry has."""
        with self._reading() as database:
            found = {
                entry_id
                for each in ids
                for (entry_id,) in database.execute(f"SELECT id FROM entries WHERE id = ? AND {_VISIBLE}", (each,))  # noqa: S608
            }
        return [each for each in ids if each not in found]

    def select(self, selection: Selection, limit: int) -> list[ListedEntry]:
        """The entries by next attempt."""
        where, values = selection.where()
        with self._reading() as database:
            rows = database.execute(f"{LISTED} WHERE {where} ORDER BY next_attempt, id LIMIT ?", (*values, limit))
            return [listed_entry(row) for row in rows]

    def number(self, selection: Selection) -> int:
        """How many entries there are of the kind."""
        where, values = selection.where()
        with self._reading() as database:
            (number,) = database.execute(f"SELECT count(*) FROM entries WHERE {where}", values).fetchone()  # noqa: S608
        return int(number)

    def domains(self) -> list[DomainTotal]:
        """The recipients' domains, those with the most entries first."""
        query = (
            f"SELECT {_DOMAIN}, count(*), sum(held_since > 0), sum(size), min(queued_at) FROM entries"  # noqa: S608
            f" WHERE {_VISIBLE} GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        with self._reading() as database:
            return [DomainTotal(*row) for row in database.execute(query)]

    def read(self, entry_id: int) -> SpooledCopy | None:
        """The entry with its content; None if there is no such entry."""
        with self._reading() as database:
            return read_copy(database, entry_id)

    def retry(self, selection: Selection) -> Changed:
        """Make entries due; the running service tries them within a second or so. Held ones stay held.

        One of each route is tried even if the route is taken to be down; the others follow if it is not.
        """
        changed = self._change(selection, "next_attempt = min(next_attempt, NOW)", only="held_since = 0")
        where, values = selection.where()
        first = f"SELECT min(id) FROM entries WHERE {where} AND held_since = 0 AND state = 0 GROUP BY route"  # noqa: S608
        with self._transaction() as database:
            database.execute(f"UPDATE entries SET next_attempt = {AT_ONCE} WHERE id IN ({first})", values)  # noqa: S608
        return changed

    def hold(self, selection: Selection) -> Changed:
        """Have entries wait until they are released; an attempt under way ends, and if it fails they wait then."""
        return self._change(selection, "held_since = NOW", only="held_since = 0", in_hand_too=True)

    def release(self, selection: Selection) -> Changed:
        """Let held entries go on, due now; the time they were held does not count."""
        change = "next_attempt = NOW, queued_at = queued_at + (NOW - held_since), held_since = 0"
        return self._change(selection, change, only="held_since > 0", in_hand_too=True)

    def remove(
        self, selection: Selection, report: Callable[[SpooledCopy], NewEntry | None] | None, *, force: bool
    ) -> Changed:
        """Forget entries undelivered, with a report of each to its sender if `report` makes one.

        Those in hand are left, unless forced: one that is being delivered at this moment may arrive all the same.
        """
        where, values = selection.where()
        with self._transaction() as database:
            rows = database.execute(f"SELECT id, state FROM entries WHERE {where}", values).fetchall()  # noqa: S608
            chosen = [entry_id for entry_id, state in rows if force or state != IN_HAND]
            for entry_id in chosen:
                self._remove(database, entry_id, report)
            return Changed(len(chosen), len(rows) - len(chosen))

    def _remove(
        self, database: sqlite3.Connection, entry_id: int, report: Callable[[SpooledCopy], NewEntry | None] | None
    ) -> None:
        if report is not None:
            copy = read_copy(database, entry_id)
            made = report(copy) if copy is not None else None
            if made is not None:
                EntryWriter(database, WAITING, "").insert(made)
        delete(database, entry_id)

    def _change(self, selection: Selection, change: str, *, only: str, in_hand_too: bool = False) -> Changed:
        where, values = selection.where()
        states = "" if in_hand_too else " AND state = 0"
        change = change.replace("NOW", repr(self.now()))  # a number of ours
        with self._transaction() as database:
            in_hand = database.execute(
                f"SELECT count(*) FROM entries WHERE {where} AND {only} AND state = 1",  # noqa: S608  # constants
                values,
            ).fetchone()[0]
            done = database.execute(
                f"UPDATE entries SET {change} WHERE {where} AND {only}{states}",  # noqa: S608  # constants
                values,
            ).rowcount
        return Changed(done, in_hand)
