"""What goes on while somebody looks: events into the journal, each when its time has come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.demo.records import record_of
from mailwake.first_of import first_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailwake.clock import Clock
    from mailwake.events.model import Event
    from mailwake.journal.writer import JournalWriter

PAUSE_SECONDS = 0.5


async def live_on(events: Iterable[Event], journal: JournalWriter, clock: Clock, stop: asyncio.Event) -> None:
    """Record each of these events, which come in the order of their times, at its time, until `stop` is set.

    What should have happened before is recorded at once. JournalError when the disk refuses.
    """
    due: list[bytes] = []
    for event in events:
        if event.timestamp > clock.now() * 1000:
            if due:
                await journal.append_many(due)
                due = []
            while event.timestamp > clock.now() * 1000 and not stop.is_set():
                await first_of(stop, seconds=PAUSE_SECONDS)
        if stop.is_set():
            return
        due.append(record_of(event))
    if due:
        await journal.append_many(due)
