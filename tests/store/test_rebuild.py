"""A store is made anew from the feed, and compared with it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.store.events import START, event

from mailwake.config.store_settings import Store
from mailwake.demo.generator import generate
from mailwake.feed.contract import Position
from mailwake.feed.payload import encode_event
from mailwake.feed.reader import FeedReader
from mailwake.feed.writer import FeedWriter
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import DuckDbStore, open_store
from mailwake.store.filters import Filters
from mailwake.store.measures import MEASURES
from mailwake.store.question import Question
from mailwake.store.rebuild import Rebuilt, missing_of_feed, rebuild
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Store(memory_limit=128 << 20)


@pytest.fixture
def feed(tmp_path: Path) -> FeedReader:
    with closing(FeedWriter(tmp_path / "feed")) as writer:
        for start in range(100, 200, 10):
            writer.append([encode_event(event(number)) for number in range(start, start + 10)], {})
            if start == 140:
                writer.roll()
    return FeedReader(tmp_path / "feed")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def made_anew(directory: Path, feed: FeedReader) -> Rebuilt:
    return await rebuild(directory, SETTINGS, feed, name_of_old="store.old", progress=lambda events: None)


async def numbers_in(directory: Path) -> list[int]:
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        assert await store.verify() == []
        return sorted(each.event_id for each in (await store.search(Question())).events)


async def load(directory: Path, *numbers: int, position: Position) -> None:
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        await store.load([event(number) for number in numbers], position)


async def test_where_there_was_none_there_is_one(directory: Path, feed: FeedReader) -> None:
    assert await made_anew(directory, feed) == Rebuilt(100, 0, "", None)
    assert await numbers_in(directory) == list(range(100, 200))
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        assert await store.position() == feed.end()


async def test_what_the_feed_has_no_longer_is_taken_over(directory: Path, feed: FeedReader) -> None:
    await load(directory, 7, 8, 100, 150, position=Position(1, 900))
    assert await made_anew(directory, feed) == Rebuilt(100, 2, "", None)
    assert await numbers_in(directory) == [7, 8, *range(100, 200)]
    assert stores_beside(directory) == ["store"]


def overwrite(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)


def stores_beside(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.parent.glob("store*"))


async def test_a_damaged_store_is_replaced_and_kept(directory: Path, feed: FeedReader) -> None:
    await load(directory, 7, position=Position(1, 900))
    overwrite(directory / FILE_NAME)
    done = await made_anew(directory, feed)
    assert (done.from_feed, done.taken_over, done.set_aside) == (100, 0, directory.with_name("store.old"))
    assert "cannot be used" in done.not_readable
    assert await numbers_in(directory) == list(range(100, 200))
    assert stores_beside(directory) == ["store", "store.old"]


async def test_a_rebuild_that_was_cut_short_is_begun_anew(directory: Path, feed: FeedReader) -> None:
    await load(directory.with_name("store.new"), 5, position=Position(1, 900))
    await made_anew(directory, feed)
    assert await numbers_in(directory) == list(range(100, 200))


async def test_what_is_missing_is_found_up_to_the_position_and_since_a_time(directory: Path, feed: FeedReader) -> None:
    middle = feed.read(Position(), max_events=50).position
    store: DuckDbStore
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        await store.load([event(number) for number in range(100, 150) if number not in (110, 130)], middle)
        missing = await missing_of_feed(store, feed, since=0)
        assert [each.event_id for each in missing] == [110, 130]
        missing = await missing_of_feed(store, feed, since=START + 120_000)
        assert [each.event_id for each in missing] == [130]


async def test_reports_are_the_same_afterwards_in_every_metric(directory: Path, tmp_path: Path) -> None:
    events = list(generate(2500, end_ms=START, days=5, customers=3))
    forgotten = len(events) // 3  # what the feed has no longer
    with closing(FeedWriter(tmp_path / "feed")) as writer:
        writer.append([encode_event(each) for each in events[forgotten:]], {})
    feed = FeedReader(tmp_path / "feed")
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        await store.load(events, feed.end())
        before = [await store.report(question) for question in REPORTS]
    assert sum(row.numbers[0] for row in before[0].rows) > 0
    done = await rebuild(directory, SETTINGS, feed, name_of_old="store.old", progress=lambda events: None)
    assert done == Rebuilt(len(events) - forgotten, forgotten, "", None)
    with closing(open_store(directory, SETTINGS)) as store:
        await store.open()
        assert [await store.report(question) for question in REPORTS] == before
        assert await store.verify() == []


REPORTS = [
    ReportQuestion(
        where=Filters(since=START - 6 * 86_400_000, until=START + 86_400_000),
        metrics=tuple(name for name, measure in MEASURES.items() if by is not By.LINK or measure.is_of_links),
        by=by,
    )
    for by in (By.NOTHING, By.CAMPAIGN, By.DOMAIN, By.SENDING_DOMAIN, By.CUSTOMER, By.TAG, By.LINK, By.WEEK_HOUR)
]
