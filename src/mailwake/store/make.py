"""The store that is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.password_file import password_in
from mailwake.errors import StartupError
from mailwake.store.contract import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.config.store_settings import Store
    from mailwake.store.clickhouse_http import Server
    from mailwake.store.contract import EventStore


def open_store(directory: Path, settings: Store, *, reserve: int = 0) -> EventStore:
    """The store whose files are in `directory`; it is opened by `open()`, and until then answers StoreUnavailableError.

    Files that are made of it leave `reserve` octets free on the disk. StartupError when a file that the settings name
    cannot be read.
    """
    if settings.engine == "clickhouse":
        from mailwake.store.clickhouse_store import ClickHouseStore, SearchLimits

        limits = SearchLimits(settings.search_timeout, settings.memory_limit, settings.threads)
        return ClickHouseStore(directory, _server(settings), limits)
    from mailwake.store import duckdb_store  # 30 MB of memory, for those who use it

    return duckdb_store.open_store(directory, settings, reserve=reserve)


def check_store(settings: Store) -> None:
    """StartupError, one line, for a store that cannot run here; whether its server answers is not asked."""
    if not settings.enabled or settings.engine != "clickhouse":
        return
    from mailwake.store.clickhouse_http import ClickHouseHttp

    try:
        ClickHouseHttp(_server(settings)).close()
    except StoreError as error:
        raise StartupError(str(error)) from None


def _server(settings: Store) -> Server:
    from mailwake.store.clickhouse_http import Server

    assert settings.url is not None, "the configuration is checked"
    password = settings.password or ""
    if settings.password_file is not None:
        password = password_in(settings.password_file, "store.password_file")
    return Server(
        settings.url,
        settings.value("database"),
        settings.value("username"),
        password,
        settings.tls_ca_file,
    )
