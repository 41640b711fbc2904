"""What changes the store's tables: each a blocking call inside a transaction that somebody else begins and commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.store.contract import Loaded
from mailwake.store.rows import INSERT
from mailwake.store.schema import key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import duckdb

    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.rows import Lines

# The same event has the same time, so only events of these times can be the same.
_NEAR = "SELECT event_id FROM events WHERE timestamp BETWEEN ? AND ? AND event_id BETWEEN ? AND ?"

# The ids are looked for in the table, not the table's in the ids: the engine then skips whatever lies outside of the
# smallest and largest of them.
_KNOWN = f"{_NEAR} AND event_id IN (SELECT unnest(?::UBIGINT[]))"
_FEW = 2
"""Events of the table for each one of the batch, up to which it is cheapest to fetch their ids: five times as cheap."""


def load(database: duckdb.DuckDBPyConnection, lines: Lines, events: Sequence[Event], position: Position) -> Loaded:
    """Add those events that are not there, and note the position."""
    new = _new(database, events)
    ((number,),) = database.execute("SELECT load + 1 FROM state").fetchall()
    for longest in lines.of(new):
        database.execute(INSERT, {"load": number, "lines": lines.path, "longest": longest})
    database.execute("UPDATE state SET load = ?, segment = ?, place = ?", [number, *position])
    return Loaded(len(new), len(events) - len(new))


def _new(database: duckdb.DuckDBPyConnection, events: Sequence[Event]) -> list[Event]:
    if not events:
        return []
    by_id: dict[int, Event] = {}
    for event in events:
        by_id.setdefault(event.event_id, event)
    times = [event.timestamp for event in events]
    bounds = [min(times), max(times), min(by_id), max(by_id)]
    few = _FEW * len(by_id)
    known = database.execute(f"{_NEAR} LIMIT ?", [*bounds, few + 1]).fetchall()
    if len(known) > few:
        known = database.execute(_KNOWN, [*bounds, list(by_id)]).fetchall()
    for (event_id,) in known:
        by_id.pop(event_id, None)
    return list(by_id.values())


def erase(database: duckdb.DuckDBPyConnection, recipients: Collection[str]) -> int:
    """Delete their events, and note that the file still holds them."""
    names = [recipient.lower() for recipient in recipients]
    deleted = number_of(
        database.execute(
            "DELETE FROM events WHERE recipient_key IN (SELECT unnest(?::UINTEGER[]))"
            " AND rcpt_to IN (SELECT unnest(?::VARCHAR[]))",
            [[key_of(name) for name in names], names],
        )
    )
    if deleted:
        database.execute("UPDATE state SET rewrite_due = true")
    return deleted


def forget_before(database: duckdb.DuckDBPyConnection, time_ms: int) -> int:
    """Delete events of before this time."""
    return number_of(database.execute("DELETE FROM events WHERE timestamp < ?", [time_ms]))


def number_of(result: duckdb.DuckDBPyConnection) -> int:
    """The one number that a statement gives: how many rows it counted or changed."""
    ((number,),) = result.fetchall()
    return int(number)


def missing(database: duckdb.DuckDBPyConnection, ids: Iterable[int]) -> set[int]:
    """Those of these ids that no event has."""
    wanted = set(ids)
    found = database.execute(
        "SELECT event_id FROM events WHERE event_id BETWEEN ? AND ? AND event_id IN (SELECT unnest(?::UBIGINT[]))",
        [min(wanted, default=0), max(wanted, default=0), list(wanted)],
    ).fetchall()
    return wanted - {event_id for (event_id,) in found}
