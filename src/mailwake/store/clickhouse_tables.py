"""The tables in ClickHouse, found or made; and the number by which a node is known among those that load them."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.store.clickhouse_rows import values_of
from mailwake.store.clickhouse_schema import FORMAT, VERSION, migrate
from mailwake.store.clickhouse_search import number
from mailwake.store.contract import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.store.clickhouse_http import ClickHouseHttp

LOADER_FILE = "clickhouse-loader"


def make_tables(server: ClickHouseHttp, database: str) -> int:
    """Make the tables, or bring those of an older format to this one; the store's number.

    StoreUnavailableError for tables of a later version. Where the events are lost, the positions of all nodes are
    forgotten, so that each loads its feed anew when it starts next.
    """
    there = number(
        lambda sql, values: server.ask(sql, values, database=False),
        "SELECT count() FROM system.databases WHERE name = ?::VARCHAR",
        [database],
    )
    if not there:
        server.ask(f"CREATE DATABASE IF NOT EXISTS {database}", database=False)
    server.ask(FORMAT)
    version = number(server.ask, "SELECT max(version) FROM format")
    if version > VERSION:
        raise StoreUnavailableError(
            f"database {database} has format {version}, and this version of mailwake knows {VERSION} at most: "
            "install a later one, or name another database"
        )
    if version and not number(server.ask, "EXISTS TABLE events"):
        server.ask("DROP TABLE IF EXISTS loads")
        server.ask("TRUNCATE TABLE format")
        version = 0
    if version < VERSION:
        migrate(server.ask, version)
        row = f"({VERSION:d}, {secrets.randbits(63):d})"
        server.ask(f"INSERT INTO format SETTINGS async_insert = 0 VALUES {row}")  # noqa: S608  (numbers)
    ((store,),) = values_of(server.ask("SELECT min(store) FROM format"))
    return int(store)


def loader_of(directory: Path) -> int:
    """The number of the node whose file is in this directory; drawn once, and kept. StoreUnavailableError."""
    path = directory / LOADER_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _draw(path)
        text = path.read_bytes().strip()
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}; free space or mend the rights") from None
    if not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise StoreUnavailableError(f"{path}: holds no number; remove it, and the feed is loaded from its beginning")
    return int(text)


def _draw(path: Path) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("wb", buffering=0) as file:
        file.write(b"%d\n" % (secrets.randbelow((1 << 63) - 1) + 1))
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)
