"""What there is in the store's file, and whether it is as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.store.contract import StoreStatus
from mailwake.store.message_number import ID_SQL
from mailwake.store.schema import COLUMNS, DERIVED, LOAD, TEXT, VERSION, derived_sql

if TYPE_CHECKING:
    import duckdb

    from mailwake.store.duckdb_file import DuckDbFile

_ALL = ", ".join(f'"{name}"' for name in (*COLUMNS, *DERIVED, LOAD))

# Each gives a number that has to be 0. The first reads every column of every row, and so every block of the file.
_CHECKS = (
    (f"SELECT count(*) FROM (SELECT hash({_ALL}) AS sum FROM events) WHERE sum IS NULL", "{} events cannot be read"),  # noqa: S608
    ("SELECT count(*) - count(DISTINCT event_id) FROM events", "{} events are there twice"),
    (
        f"SELECT count(*) FROM events WHERE {LOAD} > (SELECT load FROM state) OR {LOAD} < 1",  # noqa: S608
        "{} events are of a load that there never was",
    ),
    *(
        (f"SELECT count(*) FROM events WHERE {name} <> {sql}", f"{{}} events have a wrong {name}")  # noqa: S608
        for name, sql in derived_sql(lambda name: f"({ID_SQL})" if name == "message_id" else f'"{name}"').items()
    ),
    (
        "SELECT count(*) FROM events WHERE "  # noqa: S608
        + " OR ".join(f'"{name}" IS NULL' for name, kind in COLUMNS.items() if kind == TEXT),
        "{} events have no text where there has to be some",
    ),
)


def status(file: DuckDbFile, database: duckdb.DuckDBPyConnection) -> StoreStatus:
    """The store in figures."""
    state = file.state(database)
    ((events, oldest, newest),) = database.execute(
        "SELECT count(*), min(timestamp), max(timestamp) FROM events"
    ).fetchall()
    ((memory,),) = database.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
    return StoreStatus(
        events, oldest, newest, file.octets(), int(memory or 0), state.position, VERSION, state.rewrite_due
    )


def findings(database: duckdb.DuckDBPyConnection) -> list[str]:
    """What is wrong, a line each."""
    found = []
    for sql, said in _CHECKS:
        ((number,),) = database.execute(sql).fetchall()
        if number:
            found.append(said.format(number))
    return found
