"""Searches that nobody waits for any more end, and the loader waits for none."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.store.conftest import LIMITS
from tests.store.events import event

from mailwake.feed.contract import Position
from mailwake.store.duckdb_store import READERS, DuckDbStore
from mailwake.store.question import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import duckdb

    from mailwake.store.duckdb_file import DuckDbFile

HERE = Position(1, 100)
ENDLESS = "SELECT count(*) FROM range(1000000000000) AS a, range(1000000000000) AS b WHERE a.range % 7 = b.range % 3"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDbStore]:
    with closing(DuckDbStore(tmp_path / "store", LIMITS, search_timeout=3600)) as opened:
        await opened.open()
        await opened.load([event(1)], HERE)
        yield opened


async def searches_without_end(store: DuckDbStore) -> list[asyncio.Task[object]]:
    """As many as run at once; all of them do."""
    begun = threading.Semaphore(0)

    def search(file: DuckDbFile, database: duckdb.DuckDBPyConnection) -> object:
        begun.release()
        return database.execute(ENDLESS).fetchall()

    searches = [asyncio.create_task(store._read(search)) for _ in range(READERS)]
    for _ in searches:
        await asyncio.to_thread(begun.acquire)
    return searches


async def test_searches_that_nobody_waits_for_leave_room_for_others(store: DuckDbStore) -> None:
    for search in await searches_without_end(store):
        search.cancel()
    async with asyncio.timeout(60):  # for ever, but for that
        assert (await store.search(Question())).total_count == 1


async def test_loading_waits_for_no_search(store: DuckDbStore) -> None:
    searches = await searches_without_end(store)
    try:
        async with asyncio.timeout(60):
            await store.load([event(2)], Position(1, 200))
            assert await store.position() == Position(1, 200)
            assert (await store.status()).events == 2
    finally:
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
