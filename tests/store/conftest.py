"""New stores, each in a directory of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from mailwake.store.duckdb_file import Limits
from mailwake.store.duckdb_store import DuckDbStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits(memory=128 << 20, threads=2)


@pytest.fixture
def make_duckdb_store(tmp_path: Path) -> Callable[[], DuckDbStore]:
    numbers = count()
    return lambda: DuckDbStore(tmp_path / f"store-{next(numbers)}", LIMITS, search_timeout=30)
