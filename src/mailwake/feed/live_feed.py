"""The feed in the process that writes it: consumers are woken when it grows, and read only what is durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.feed.reader import FeedReader

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.feed.contract import Position
    from mailwake.feed.writer import FeedWriter


class LiveFeed(FeedReader):
    """An `EventFeed` beside its writer; `announce()` is called in the loop after each append."""

    def __init__(self, directory: Path, writer: FeedWriter) -> None:
        super().__init__(directory, lambda: writer.end)
        self._writer = writer
        self._waiting: set[asyncio.Future[None]] = set()

    def announce(self) -> None:
        """Wake everybody who waits."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def grown(self, beyond: Position, seconds: float) -> bool:
        """Wait for `announce()`; see `contract.EventFeed.grown`."""
        if self._writer.end > beyond:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return self._writer.end > beyond
