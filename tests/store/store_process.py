"""A process that uses a store, to be killed: `load` loads the feed, `erase` erases one person after the other.

It says on standard output what it has done, a line each, so that whoever kills it knows where it is.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.store.conftest import LIMITS

from mailwake.clock import SystemClock
from mailwake.feed.contract import Page, Position
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.reader import FeedReader
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.loader import StoreLoader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.events.model import Event
    from mailwake.store.contract import Loaded


class SmallPages(FeedReader):
    """So that a feed takes many loads."""

    def read(self, after: Position, *, max_events: int = 200, until: Position | None = None) -> Page:
        return super().read(after, max_events=min(200, max_events), until=until)


class Saying(DuckDbStore):
    """Says what it has loaded."""

    async def load(self, events: Sequence[Event], position: Position) -> Loaded:
        loaded = await super().load(events, position)
        print(position, flush=True)
        return loaded


async def load(path: Path, store: DuckDbStore) -> None:
    loader = StoreLoader(
        SmallPages(path / "feed"),
        store,
        PositionsFile(path / "positions.sqlite3"),
        keep=0,
        clock=SystemClock(),
        metrics=Metrics(),
        log=make_logger(),
    )
    await loader.run(asyncio.Event())


async def erase(store: DuckDbStore) -> None:
    await store.open()
    for number in range(100):
        print(number, flush=True)
        await store.erase([f"r{number}@example.org"])


if __name__ == "__main__":
    directory = Path(sys.argv[2])
    opened = Saying(directory / "store", LIMITS, search_timeout=30)
    asyncio.run(load(directory, opened) if sys.argv[1] == "load" else erase(opened))
