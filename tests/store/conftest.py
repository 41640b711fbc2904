"""New stores, each in a directory or database of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.store.clickhouse_server import PASSWORD, USER

from mailwake.store.clickhouse_http import Server
from mailwake.store.clickhouse_store import ClickHouseStore, SearchLimits
from mailwake.store.duckdb_file import Limits
from mailwake.store.duckdb_store import DuckDbStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMITS = Limits(memory=128 << 20, threads=2)
CLICKHOUSE_LIMITS = SearchLimits(seconds=30, memory=512 << 20, threads=2)


@pytest.fixture
def make_duckdb_store(tmp_path: Path) -> Callable[[], DuckDbStore]:
    numbers = count()
    return lambda: DuckDbStore(tmp_path / f"store-{next(numbers)}", LIMITS, search_timeout=30)


_databases = count()


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for all tests of a session, as chDB takes two seconds to start."""
    if find_spec("chdb") is None:
        pytest.skip("NO CLICKHOUSE: chdb is not installed; `make clickhouse` does that, 860 MB")
    command = [sys.executable, "-m", "tests.store.clickhouse_server", str(tmp_path_factory.mktemp("clickhouse"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Server:
    """A database that is not there yet."""
    return Server(clickhouse_url, f"mailwake_{next(_databases)}", USER, PASSWORD)


@pytest.fixture
def make_clickhouse_store(clickhouse: Server, tmp_path: Path) -> Callable[[], ClickHouseStore]:
    """Stores of a database each."""
    numbers = count()

    def make() -> ClickHouseStore:
        number = next(numbers)
        server = clickhouse._replace(database=f"{clickhouse.database}_{number}")
        return ClickHouseStore(tmp_path / f"store-{number}", server, CLICKHOUSE_LIMITS)

    return make
