"""A question as SQL: a fixed text for each filter, its values as parameters, never text of the asker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.store.contract import SearchPage
from mailwake.store.cursor import PageCursor
from mailwake.store.question import INITIAL_CURSOR
from mailwake.store.rows import SELECTED, event_of
from mailwake.store.schema import KEYS, LOAD, key_of

if TYPE_CHECKING:
    import duckdb

    from mailwake.store.duckdb_file import State
    from mailwake.store.question import Question

_COLUMNS: dict[str, tuple[str, str]] = {
    "types": ("type", "UTINYINT"),
    "event_ids": ("event_id", "UBIGINT"),
    "recipients": ("rcpt_to", "VARCHAR"),
    "recipient_domains": ("recipient_domain", "VARCHAR"),
    "campaigns": ("campaign_id", "VARCHAR"),
    "messages": ("message_id", "VARCHAR"),
    "transmissions": ("transmission_id", "UBIGINT"),
    "customers": ("customer_id", "VARCHAR"),
    "subjects": ("subject", "VARCHAR"),
    "from_addresses": ("friendly_from", "VARCHAR"),
    "sending_domains": ("sending_domain", "VARCHAR"),
    "bounce_classes": ("bounce_class", "UBIGINT"),
}
"""Each filter's column and its type."""

_LOWER = ("recipients", "recipient_domains", "sending_domains")
_KEY_OF = {source: key for key, source in KEYS.items()}
_FARTHEST = 1 << 62
"""Milliseconds; nothing happened before or after."""

_NEWEST_FIRST = "ORDER BY timestamp DESC, event_id DESC"

FEW = 500
_NARROW = ("recipients", "messages", "event_ids", "transmissions")
_FEW = (
    f"WITH few AS MATERIALIZED (SELECT {SELECTED} FROM events WHERE {{}} LIMIT {FEW + 1})"  # noqa: S608
    f" SELECT * FROM few {_NEWEST_FIRST}"
)
"""What is asked of one person or message is mostly little: then one look at the table finds and counts it."""


class Condition(NamedTuple):
    """What an event must fulfil: SQL with `?` in it, and the values for these."""

    sql: str
    values: list[Any]


def condition_of(question: Question) -> Condition:
    """All filters of a question, without its cursor."""
    parts: list[str] = []
    values: list[Any] = []

    def add(sql: str, *new: Any) -> None:
        parts.append(sql)
        values.extend(new)

    if question.since is not None:
        add("timestamp >= ?", _moment(question.since))
    if question.until is not None:
        add("timestamp < ?", _moment(question.until))
    if question.only_customer is not None:
        add("customer_id = ?", question.only_customer)
    for name, (column, kind) in _COLUMNS.items():
        wanted = [_as_stored(name, each) for each in getattr(question, name)]
        if not wanted:
            continue
        if column in _KEY_OF:
            add(_one_of(_KEY_OF[column], "UINTEGER", len(wanted)), *(key_of(str(each)) for each in wanted))
        add(_one_of(column, kind, len(wanted)), *wanted)
    if question.tags:
        add("list_has_any(rcpt_tags, ?::VARCHAR[])", list(question.tags))
    return Condition(" AND ".join(parts) or "true", values)


def _moment(milliseconds: int) -> int:
    return max(-_FARTHEST, min(milliseconds, _FARTHEST))


def _as_stored(name: str, value: str | int) -> str | int:
    if isinstance(value, str):
        return value.lower() if name in _LOWER else value
    return int(value)


def _one_of(column: str, kind: str, number: int) -> str:
    place = f"?::{kind}"
    return f"{column} = {place}" if number == 1 else f"{column} IN ({', '.join([place] * number)})"


def search(database: duckdb.DuckDBPyConnection, state: State, question: Question) -> SearchPage:
    """The page that is asked for; in a transaction, whose state is `state`."""
    condition = condition_of(question)
    if question.cursor not in ("", INITIAL_CURSOR):
        return _page(database, condition, question, PageCursor.parse(question.cursor, question, state.store))
    first = PageCursor(state.store, question.fingerprint(), 0, state.load, _FARTHEST, 0)
    if any(getattr(question, name) for name in _NARROW):
        few = database.execute(_FEW.format(condition.sql), condition.values).fetchall()
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
