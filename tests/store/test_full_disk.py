"""A disk that is really full: what was loaded is there, the rest comes when there is room again."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.small_disk import fill, mounted
from tests.store.conftest import LIMITS
from tests.store.events import event

from mailwake.feed.contract import Position
from mailwake.store.contract import StoreError
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.question import Question

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 2000


async def load_batch(store: DuckDbStore, number: int) -> None:
    await store.load([event(number * BATCH + each) for each in range(BATCH)], Position(1, number + 1))


async def load_until_refused(store: DuckDbStore, number: int) -> int:
    """The number of the batch that was refused."""
    for each in range(number, number + 100):
        try:
            await load_batch(store, each)
        except StoreError as error:
            said = str(error)
            break
    assert "free space" in said
    assert "\n" not in said
    return each


async def try_again(store: DuckDbStore, number: int) -> None:
    await store.open()
    await load_batch(store, number)


async def test_nothing_is_lost_or_doubled_by_a_full_disk(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", 60) as disk,
        closing(DuckDbStore(disk / "store", LIMITS, search_timeout=30)) as store,
    ):
        await store.open()
        number = 0
        for _ in range(3):
            filler = fill(disk)
            number = await load_until_refused(store, number)
            with pytest.raises(StoreError):  # as long as there is no room
                await try_again(store, number)
            filler.unlink()
            await store.open()
            assert await store.position() == Position(1, number) or number == 0
            await load_batch(store, number)
            number += 1
        assert (await store.status()).events == number * BATCH
        assert await store.missing(range(number * BATCH)) == set()
        assert await store.verify() == []


async def test_an_erasure_without_room_is_finished_when_there_is_some(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", 60) as disk,
        closing(DuckDbStore(disk / "store", LIMITS, search_timeout=30)) as store,
    ):
        await store.open()
        for number in range(3):
            await load_batch(store, number)
        await store.load([event(10**6, rcpt_to="zoe@example.org")], Position(2, 1))
        filler = fill(disk)
        with pytest.raises(StoreError, match="free space"):
            await store.erase(["zoe@example.org"])
        filler.unlink()
        await store.open()
        await store.erase(["zoe@example.org"])
        assert not (await store.status()).rewrite_due
        assert (await store.search(Question(recipients=("zoe@example.org",)))).total_count == 0
        assert (await store.status()).events == 3 * BATCH
        assert await store.verify() == []
