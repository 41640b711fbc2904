"""A search in DuckDB: which page, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.store.condition import FARTHEST, condition_of, near_condition
from mailwake.store.contract import SearchPage
from mailwake.store.cursor import PageCursor
from mailwake.store.question import INITIAL_CURSOR
from mailwake.store.rows import SELECTED, event_of
from mailwake.store.schema import LOAD

if TYPE_CHECKING:
    import duckdb

    from mailwake.store.condition import Condition
    from mailwake.store.duckdb_file import State
    from mailwake.store.question import Question

_NEWEST_FIRST = "ORDER BY timestamp DESC, event_id DESC"

FEW = 500
_NARROW = ("recipients", "messages", "event_ids", "transmissions")
"""What is asked of one person or message is mostly little: then one look at the table finds and counts it."""


def search(database: duckdb.DuckDBPyConnection, state: State, question: Question) -> SearchPage:
    """The page that is asked for; in a transaction, whose state is `state`."""
    condition = condition_of(question)
    if question.cursor not in ("", INITIAL_CURSOR):
        return _page(database, condition, question, PageCursor.parse(question.cursor, question, state.store))
    first = PageCursor(state.store, question.fingerprint(), 0, state.load, FARTHEST, 0)
    if any(getattr(question, name) for name in _NARROW):
        # Their places first: in one go, all columns and the recipient's text would take four times as long.
        near = near_condition(question)
        few = database.execute(
            f"WITH near AS MATERIALIZED (SELECT rowid AS place FROM events WHERE {near.sql}),"  # noqa: S608
            f" few AS MATERIALIZED (SELECT {SELECTED} FROM events"
            f" WHERE rowid IN (SELECT place FROM near) AND {condition.sql} LIMIT {FEW + 1})"
            f" SELECT * FROM few {_NEWEST_FIRST}",
            [*near.values, *condition.values],
        ).fetchall()
        if len(few) <= FEW:
            more = len(few) > question.per_page
            return _turned(few[: question.per_page], question, first._replace(total=len(few)), more=more)
    counted = f"SELECT count(*) FROM events WHERE {condition.sql}"  # noqa: S608
    ((total,),) = database.execute(counted, condition.values).fetchall()
    return _page(database, condition, question, first._replace(total=total))


def _page(
    database: duckdb.DuckDBPyConnection, condition: Condition, question: Question, after: PageCursor
) -> SearchPage:
    # Where the page ends is found by times and ids alone; only what lies before that is read with all columns.
    where = f"{condition.sql} AND {LOAD} <= ? AND timestamp <= ? AND (timestamp < ? OR event_id < ?)"
    values = [*condition.values, after.snapshot, after.timestamp, after.timestamp, after.event_id]
    edge = database.execute(
        f"SELECT timestamp, event_id FROM events WHERE {where} {_NEWEST_FIRST} LIMIT 2 OFFSET ?",  # noqa: S608
        [*values, question.per_page - 1],
    ).fetchall()
    if edge:
        time, event_id = edge[0]
        where += " AND timestamp >= ? AND (timestamp > ? OR event_id >= ?)"
        values += [time, time, event_id]
    rows = database.execute(f"SELECT {SELECTED} FROM events WHERE {where} {_NEWEST_FIRST}", values).fetchall()  # noqa: S608
    return _turned(rows, question, after, more=len(edge) == 2)


def _turned(rows: list[Any], question: Question, after: PageCursor, *, more: bool) -> SearchPage:
    """These rows as a page, and a cursor behind it where there are more."""
    events = [event_of(row) for row in rows]
    if not more:
        return SearchPage(events, after.total, "")
    last = events[-1]
    following = after._replace(timestamp=last.timestamp, event_id=last.event_id)
    return SearchPage(events, after.total, str(following))
