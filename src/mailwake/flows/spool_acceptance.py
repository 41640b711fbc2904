"""Taking a message at once (`[spool] acceptance = "spool"`): its copies on disk, the sender answered, the relay behind.

The copies, and the injection events of them, become durable in one step; then the events go to the journal, then the
sender gets its 250. A copy is tried by the worker that took it, at once and from memory, unless it has enough in hand.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from mailwake.flows.spool_entry import spool_entry
from mailwake.spool.contract import NewEntry, SpooledCopy, SpoolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.flows.event_outbox import EventOutbox
    from mailwake.flows.message_events import MessageEvents
    from mailwake.flows.preparation import Preparation
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.metrics import Metrics
    from mailwake.relay.retry import RetryLoop
    from mailwake.spool.contract import KeptEvents
    from mailwake.spool.group_commit import GroupCommit

STAGED_OCTETS = 8 << 20
"""Copies of a message are brought to the disk in parts of about so much memory, and become visible all at once."""


class SpoolAcceptance:
    """Puts whole messages into the spool."""

    def __init__(
        self,
        spool: GroupCommit,
        preparation: Preparation,
        events: MessageEvents,
        outbox: EventOutbox,
        retries: RetryLoop,
        *,
        metrics: Metrics,
    ) -> None:
        self._front = spool
        self._spool = spool.spool
        self._preparation = preparation
        self._events = events
        self._outbox = outbox
        self._retries = retries
        self._accepted = metrics.counter("spool_entries_total", "accepted")

    async def take(self, message: PreparedMessage) -> None:
        """Keep all copies; durable when this returns. Nothing is kept when it raises SpoolError or UniqueIdError."""
        events = self._events.injections(message)
        staged: list[int] = []
        try:
            rest = await self._stage(message, staged)
            await self._put(rest, events, staged)
        except SpoolError:
            await self._unstage(staged)
            raise
        self._accepted.inc(len(message.envelope.recipients))
        await self._outbox.publish(events)

    async def _stage(self, message: PreparedMessage, staged: list[int]) -> list[NewEntry]:
        """Make the entries, and stage all but the last part of them."""
        part: list[NewEntry] = []
        octets = 0
        now = self._spool.now()
        seen: set[int] = set()
        for index in range(len(message.envelope.recipients)):
            entry = spool_entry(self._preparation, message, index, now=now, next_attempt=now)
            part.append(entry)
            if len(message.envelope.recipients) == 1:
                break  # the usual case, and there is nothing to divide
            octets += sum(len(piece) for piece in entry.pieces if id(piece) not in seen)
            seen.update(map(id, entry.pieces))  # pieces that copies share are in memory once
            if octets > STAGED_OCTETS:
                staged += await self._front.run(partial(self._spool.stage, part), octets)
                part, octets = [], 0
                seen.clear()
        return part

    async def _put(self, entries: Sequence[NewEntry], events: KeptEvents, staged: list[int]) -> None:
        octets = sum(sum(map(len, entry.pieces)) for entry in entries)
        in_hand = self._retries.reserve([entry.route for entry in entries], octets)
        try:
            ids = await self._front.run(lambda: self._spool.put(entries, events=events, staged=staged, in_hand=in_hand))
        except BaseException:
            if in_hand:
                self._retries.unreserve(len(entries))
            raise
        if in_hand:
            self._retries.begin([as_spooled(entry, id_) for entry, id_ in zip(entries, ids, strict=True)])
        if staged or not in_hand:
            self._retries.wake()

    async def _unstage(self, staged: list[int]) -> None:
        if staged:
            with contextlib.suppress(SpoolError):  # nobody ever sees them, and they go when this worker does
                await self._front.run(lambda: self._spool.unstage(staged))


def as_spooled(entry: NewEntry, entry_id: int) -> SpooledCopy:
    """The entry as if it had been claimed."""
    return SpooledCopy(**{name: getattr(entry, name) for name in NewEntry.__dataclass_fields__}, id=entry_id)
