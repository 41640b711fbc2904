"""Events that the spool keeps until the journal has them: on their way from the one to the other.

They are stored in the same step as what they tell (a copy accepted, delivered, deferred, given up), so that no kill
comes between the two. Written twice after a kill, they have the same ids, by which readers drop one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.journal.frame import JournalError
from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    from mailwake.journal.writer import JournalWriter
    from mailwake.logs import Logger
    from mailwake.spool.contract import KeptEvents
    from mailwake.spool.group_commit import GroupCommit


class EventOutbox:
    """Writes kept events to a worker's journal, then has the spool forget them."""

    def __init__(self, spool: GroupCommit, journal: JournalWriter, *, log: Logger) -> None:
        self._spool = spool
        self._journal = journal
        self._log = log

    async def publish(self, events: KeptEvents) -> None:
        """Write these; durable when this returns, or left in the spool for a later try."""
        if not events.payloads:
            return
        try:
            await self._journal.append_many(events.payloads)
        except JournalError as error:
            self._log.error("events wait in the spool: the journal cannot be written", error=str(error))
            await self._leave(events.key)
        else:
            self._spool.forget_events(events.key)

    async def _leave(self, key: str) -> None:
        try:
            await self._spool.run(lambda: self._spool.spool.leave_events([key]))
        except SpoolError as error:  # they become free when this worker ends
            self._log.error("events wait in the spool until this worker ends", error=str(error))
