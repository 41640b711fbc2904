"""A store made anew from the feed, beside the old one, which it replaces when it is whole; and the two compared."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.contract import BEGINNING
from mailwake.store.all_pages import all_pages
from mailwake.store.contract import StoreError
from mailwake.store.duckdb_store import open_store
from mailwake.store.question import MAX_PER_PAGE, Question

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.config.store_settings import Store
    from mailwake.events.model import Event
    from mailwake.feed.contract import EventFeed
    from mailwake.store.contract import EventStore


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    from_feed: int
    taken_over: int
    """Events that the feed has no longer, and the old store had."""
    not_readable: str
    """Why no more could be taken over, or ""."""
    set_aside: Path | None
    """Where the old store is now, if it could not be read to its end."""


async def rebuild(
    directory: Path, settings: Store, feed: EventFeed, *, name_of_old: str, progress: Callable[[int], None]
) -> Rebuilt:
    """Make the store in `directory` anew; nobody may use it meanwhile. StoreError, and nothing changed, when it fails.

    Events that only the old store has are taken over. One that cannot be read to its end is kept beside the new one,
    under `name_of_old`, and has to be removed by hand.
    """
    making = directory.with_name(directory.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    new = open_store(making, settings)
    with closing(new):
        await new.open()
        from_feed = await load_all(feed, new, progress)
        taken_over, not_readable = 0, ""
        if _is_there(directory):
            taken_over, not_readable = await _take_over(directory, settings, new, progress)
    set_aside = _replace(directory, making, name_of_old)
    if set_aside is not None and not not_readable:  # the new one has all of it; no copy escapes later erasures
        shutil.rmtree(set_aside, ignore_errors=True)
        set_aside = None
    return Rebuilt(from_feed, taken_over, not_readable, set_aside)


def _is_there(directory: Path) -> bool:
    return directory.is_dir()


def _replace(directory: Path, making: Path, name_of_old: str) -> Path | None:
    try:
        set_aside = directory.rename(directory.with_name(name_of_old)) if directory.exists() else None
        making.rename(directory)
    except OSError as error:
        raise StoreError(f"{directory}: cannot be replaced: {error.strerror}; the new store is {making}") from None
    return set_aside


async def load_all(feed: EventFeed, store: EventStore, progress: Callable[[int], None]) -> int:
    """Load the whole feed into a store that may have some of it; how many events it had not. It may be cut short."""
    position, loaded, more = BEGINNING, 0, True
    while more:
        page = feed.read(position)
        loaded += (await store.load([each.event for each in page.events], page.position)).stored
        position, more = page.position, page.more
        progress(loaded)
    return loaded


async def _take_over(
    directory: Path, settings: Store, new: EventStore, progress: Callable[[int], None]
) -> tuple[int, str]:
    """Events of the old store that the new one has not; how many, and why there are no more."""
    taken = 0
    position = await new.position()
    with closing(open_store(directory, settings)) as old:
        try:
            await old.open()
            async for events in all_pages(old.search, Question(per_page=MAX_PER_PAGE)):
                taken += (await new.load(events, position)).stored
                progress(taken)
        except StoreError as error:
            return taken, str(error)
    return taken, ""


async def missing_of_feed(store: EventStore, feed: EventFeed, *, since: int) -> list[Event]:
    """Events that stand in the feed before the store's position and are not in the store, none of before `since`."""
    missing: list[Event] = []
    end = await store.position()
    position, more = BEGINNING, True
    while more:
        page = feed.read(position, until=end)
        events = {each.event.event_id: each.event for each in page.events if each.event.timestamp >= since}
        missing += [events[each] for each in sorted(await store.missing(events))]
        position, more = page.position, page.more
    return missing
