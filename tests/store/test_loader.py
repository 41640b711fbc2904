"""The feed goes into the store: once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.store.conftest import LIMITS
from tests.store.events import START, event

from mailwake.clock import ManualClock
from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.payload import encode_event
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.segments import segments_in
from mailwake.feed.writer import FeedWriter
from mailwake.metrics import Metrics
from mailwake.store.contract import CONSUMER
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.loader import StoreLoader
from mailwake.store.question import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mailwake.store.contract import Loaded


class Log:
    """Keeps what is said, and wakes who waits for it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self._new = asyncio.Event()

    def _say(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields))
        self._new.set()

    info = warning = error = _say

    async def hears(self, event: str) -> dict[str, Any]:
        while True:
            for said, fields in self.said:
                if said == event:
                    return fields
            self._new.clear()
            await asyncio.wait_for(self._new.wait(), 20)


class Watched(PositionsFile):
    """Positions, and somebody in the loop who waits for the store's."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()

    def keep(self, consumer: str, position: Position) -> None:
        super().keep(consumer, position)
        self._loop.call_soon_threadsafe(self._moved.set)

    async def reaches(self, position: Position) -> None:
        while self.get(CONSUMER) != position:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 20)


class Node:
    """A feed, a store that is loaded from it, and their files."""

    def __init__(self, path: Path, *, keep: float = 0) -> None:
        self.feed_directory = path / "feed"
        self.store_directory = path / "store"
        self.keep = keep
        self.log = Log()
        self.metrics = Metrics()
        self.clock = ManualClock(START / 1000 + 100)
        self.positions = Watched(path / "positions.sqlite3")
        self.store = self.new_store()
        self._begin_feed()

    def new_store(self) -> DuckDbStore:
        self.store = DuckDbStore(self.store_directory, LIMITS, search_timeout=30)
        return self.store

    def _begin_feed(self) -> None:
        self.writer = FeedWriter(self.feed_directory)
        self.feed = LiveFeed(self.feed_directory, self.writer)

    def lose_feed(self) -> None:
        self.writer.close()
        shutil.rmtree(self.feed_directory)
        self._begin_feed()

    def append(self, *numbers: int) -> None:
        self.writer.append([encode_event(event(number)) for number in numbers], {})
        self.feed.announce()

    def loader(self, **options: Any) -> StoreLoader:
        return StoreLoader(
            self.feed,
            options.pop("store", self.store),
            self.positions,
            keep=self.keep,
            clock=self.clock,
            metrics=self.metrics,
            log=self.log,  # type: ignore[arg-type]  # the part of a logger that is used
            linger=0,
        )

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        running = asyncio.create_task(self.loader().run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(running, 20)

    async def loaded(self, *numbers: int) -> None:
        """Wait until the loader rests and the store holds just these."""
        await self.positions.reaches(self.writer.end)
        found = await self.store.search(Question())
        assert sorted(each.event_id for each in found.events) == sorted(numbers)

    def counted(self, name: str) -> float:
        return self.metrics.counter(name).value

    def close(self) -> None:
        self.store.close()
        self.positions.close()
        self.writer.close()


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


async def test_events_are_there_soon_after_they_came(node: Node) -> None:
    node.append(1, 2)
    async with node.loading():
        await node.loaded(1, 2)
        node.append(3)
        await node.loaded(1, 2, 3)
        assert node.counted("store_up") == 1
    assert node.counted("store_up") == 0
    assert node.counted("store_events_loaded_total") == 3
    assert node.counted("store_events") == 3
    assert node.counted("store_octets") > 0


async def test_it_goes_on_where_the_store_is_not_where_retention_was_told(node: Node) -> None:
    node.append(1, 2)
    async with node.loading():
        await node.loaded(1, 2)
    node.store.close()
    node.new_store()
    node.append(3)
    node.positions.keep(CONSUMER, BEGINNING)
    async with node.loading():
        await node.loaded(1, 2, 3)
    assert node.counted("store_events_known_total") == 0
    assert await node.store.position() == node.writer.end


async def test_a_feed_that_was_lost_is_read_from_its_beginning_and_nothing_is_twice(node: Node) -> None:
    node.append(*range(50))
    async with node.loading():
        await node.loaded(*range(50))
    node.lose_feed()
    node.append(48, 49, 50)
    async with node.loading():
        await node.log.hears("the feed ends before what the store has loaded; it is read from its beginning")
        await node.loaded(*range(51))
    assert node.counted("store_events_known_total") == 2


async def test_a_store_that_is_lost_is_loaded_from_what_the_feed_has(node: Node) -> None:
    node.append(1, 2)
    async with node.loading():
        await node.loaded(1, 2)
    node.store.close()
    shutil.rmtree(node.store_directory)
    node.new_store()
    node.positions.forget(CONSUMER)
    async with node.loading():
        await node.loaded(1, 2)


async def test_a_damaged_store_is_said_once_and_the_loader_ends_when_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailwake.store.loader.FAILURE_PAUSE", 0.01)
    node.store_directory.mkdir()
    file = node.store_directory / FILE_NAME
    file.write_bytes(b"no database" * 1000)
    node.append(1)
    async with node.loading():
        said = await node.log.hears("the store is not loaded; events wait in the feed")
        assert "mailwake store rebuild" in said["error"]
        assert node.counted("store_up") == 0
        assert node.positions.get(CONSUMER) is None  # so retention takes nothing that is to be loaded yet
        await asyncio.sleep(0.1)  # long enough for some further attempts, which are to say nothing
        file.unlink()
        await node.log.hears("the store is loaded again")
        await node.loaded(1)
    assert [each for each, _ in node.log.said].count("the store is not loaded; events wait in the feed") == 1


async def test_damage_of_the_feed_is_said_and_passed_over(node: Node) -> None:
    node.append(1, 2)
    node.writer.roll()
    node.append(3)
    first = segments_in(node.feed_directory)[0].path
    content = bytearray(first.read_bytes())
    content[content.index(b"bob@example.org") + 2] ^= 1
    first.write_bytes(content)
    async with node.loading():
        await node.log.hears("the feed is damaged, and loaded on behind the damage")
        await node.positions.reaches(node.writer.end)
    assert 3 in [each.event_id for each in (await node.store.search(Question())).events]


async def test_the_position_reaches_the_end_of_the_feed_where_no_event_stands(node: Node) -> None:
    node.append(1)
    async with node.loading():
        await node.loaded(1)
        node.append()  # how far the journal was merged, and nothing else
        await node.positions.reaches(node.writer.end)
        assert await node.store.position() == node.writer.end


async def test_old_events_are_forgotten(tmp_path: Path) -> None:
    node = Node(tmp_path, keep=98)
    node.append(*range(5))  # 100 to 96 seconds ago
    async with node.loading():
        said = await node.log.hears("old events are forgotten")
        assert said == {"events": 2}
    assert (await node.store.status()).events == 3
    node.close()


async def test_a_load_takes_all_that_has_gathered(node: Node) -> None:
    taken: list[int] = []

    class Counting(DuckDbStore):
        async def load(self, events: Any, position: Position) -> Loaded:
            taken.append(len(events))
            return await super().load(events, position)

    node.append(*range(500))
    node.store = Counting(node.store_directory, LIMITS, search_timeout=30)
    async with node.loading():
        await node.loaded(*range(500))
    assert taken == [500]
