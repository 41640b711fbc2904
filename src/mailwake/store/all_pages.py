"""All pages of a search, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mailwake.events.model import Event
    from mailwake.store.contract import SearchPage
    from mailwake.store.question import Question


async def all_pages(
    search: Callable[[Question], Awaitable[SearchPage]], question: Question
) -> AsyncIterator[list[Event]]:
    """The events of each page that has any, from the question's cursor on."""
    while True:
        found = await search(question)
        if found.events:
            yield found.events
        if not found.next_cursor:
            return
        question = replace(question, cursor=found.next_cursor)
