"""The tables: their columns are the event's fields, and files of other formats are taken over or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from mailwake.events.model import Event
from mailwake.store.contract import StoreUnavailableError
from mailwake.store.schema import COLUMNS, DERIVED, LOAD, MIGRATIONS, TEXT, make_tables, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def columns_of(database: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name, *_) in database.execute("DESCRIBE events").fetchall()]


def test_every_field_of_an_event_has_its_column(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    # A new field of Event: add it to COLUMNS, and a migration that adds the column to files that exist.
    assert tuple(COLUMNS) == Event.__struct_fields__
    migrate(database, tmp_path)
    assert columns_of(database) == [*COLUMNS, *DERIVED, LOAD]


def test_a_migration_keeps_what_is_there_and_runs_once(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    migrate(database, tmp_path)
    state = database.execute("SELECT * FROM state").fetchall()
    later = (*MIGRATIONS, ("ALTER TABLE events ADD COLUMN further VARCHAR DEFAULT ''",))
    for _ in range(2):
        migrate(database, tmp_path, later)
        assert columns_of(database)[-1] == "further"
    assert database.execute("SELECT * FROM state").fetchall() == state
    with pytest.raises(StoreUnavailableError, match=f"has format {len(later)}, .* knows {len(MIGRATIONS)} at most"):
        migrate(database, tmp_path)


def test_a_large_file_of_the_first_format_hardly_grows_the_log(tmp_path: Path) -> None:
    path, rows = tmp_path / "old.duckdb", 300_000
    with duckdb.connect(path) as old:
        make_tables(old, 0, MIGRATIONS[:1])
        texts = ", ".join(f"{name}: ''" for name, kind in COLUMNS.items() if kind == TEXT and name != "message_id")
        old.execute(
            f"INSERT INTO events BY NAME SELECT UNNEST({{{texts}}}), 17 AS type, n AS event_id, n AS transmission_id,"
            f" n AS timestamp, format('{{:016x}}0001', n) AS message_id, 0 AS recipient_key, 0 AS message_key,"
            f" 1 AS {LOAD} FROM range({rows}) AS numbers(n)"
        )
        old.execute("CHECKPOINT")
        old.execute("SET checkpoint_threshold = '1GB'")
        old.execute("BEGIN")
        migrate(old, path)
        old.execute("COMMIT")
        assert old.execute("SELECT count(*) FROM events WHERE message_id = ''").fetchall() == [(rows,)]
        assert path.with_name(path.name + ".wal").stat().st_size < 2 << 20


def test_a_file_of_something_else_is_left_alone(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    database.execute("CREATE TABLE events (a INTEGER)")
    with pytest.raises(StoreUnavailableError, match="something else"):
        migrate(database, tmp_path)
    assert columns_of(database) == ["a"]
