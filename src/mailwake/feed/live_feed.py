"""The feed in the process that writes it: consumers are woken when it grows, and read only what is durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.feed.contract import PAGE_EVENTS
from mailwake.feed.reader import FeedReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.feed.contract import Page, Position
    from mailwake.feed.writer import FeedWriter
    from mailwake.journal.frame import Damage


class LiveFeed(FeedReader):
    """An `EventFeed` beside its writer; `announce()` is called in the loop after each append.

    `on_damage` is told of damage by whatever thread reads, as often as a consumer comes upon it.
    """

    def __init__(
        self, directory: Path, writer: FeedWriter, *, on_damage: Callable[[Damage], None] | None = None
    ) -> None:
        super().__init__(directory, lambda: writer.end)
        self._writer = writer
        self._waiting: set[asyncio.Future[None]] = set()
        self._on_damage = on_damage

    def read(self, after: Position, *, max_events: int = PAGE_EVENTS, until: Position | None = None) -> Page:
        """The events behind `after`; see `contract.EventFeed.read`."""
        page = super().read(after, max_events=max_events, until=until)
        for damage in page.damages:
            if self._on_damage is not None:
                self._on_damage(damage)
        return page

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
