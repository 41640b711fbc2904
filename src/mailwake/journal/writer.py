"""A worker's journal: records appended to segment files of its own, durable before the answer leaves.

Contract: when the future of `append` is done, its records survive a kill of the process and a loss of power
(write and fdatasync have returned, and the segment's name is synced in its directory). Between answers zeros are
written ahead and synced, and with them the file's new size and blocks; syncing records written over them therefore
needs no metadata, and syncing records beyond them (no zeros where the disk has no room) includes it. A segment that
was closed in order ends with its last record, that of a killed writer in zeros. Records of one writer keep
their order; nothing orders those of several writers. A failed future means "not promised": the record may still be
found later, so consumers drop duplicates by event id. One batch is in flight at a time, and the next one is
whatever has been appended meanwhile: under load a sync serves many records, and a lone record waits for one sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

from mailwake.clock import SystemClock
from mailwake.journal.frame import FRAME_OVERHEAD, JournalError, frame
from mailwake.journal.rolling_segments import RollingSegments
from mailwake.journal.segment_file import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mailwake.clock import Clock

SEGMENT_BYTES = 64 << 20
SEGMENT_SECONDS = 3600.0
MAX_PENDING_BYTES = 32 << 20


class _Batch(NamedTuple):
    frames: list[bytes]
    futures: list[asyncio.Future[None]]


class JournalWriter:
    """Appends payloads to segments in `directory`; belongs to the event loop that first appends to it.

    `on_failure(error, records)` is called in the loop, once for each batch that failed, with the number of records
    lost. `segment_bytes` bounds a segment's octets (a batch longer than that has one of its own), `segment_seconds` its
    age: it is closed then even if nothing is appended any more, so that it can be tidied away; the next record begins
    another one. `max_pending_bytes` bounds what may wait for the disk; beyond it appends fail at once. `rest_seconds`
    is the least time between the end of a batch and the next one: a sync costs the same for one record as for ten, so
    where records come one by one and may wait a little, more of them share it. A record that comes after a rest is
    written at once.
    """

    def __init__(
        self,
        directory: Path,
        writer_name: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        rest_seconds: float = 0.0,
        on_failure: Callable[[JournalError, int], None] | None = None,
        disk: Disk | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._age_look_seconds = segment_seconds / 8
        self._age_timer: asyncio.TimerHandle | None = None
        self._store = RollingSegments(
            *(directory, lambda: writer_name, disk or Disk(), clock or SystemClock()),
            octets=segment_bytes,
            seconds=segment_seconds,
        )
        self._max_pending_bytes = max_pending_bytes
        self._rest_seconds = rest_seconds
        self._rest: asyncio.TimerHandle | None = None
        self._on_failure = on_failure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[_Batch | Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting = _Batch([], [])
        self._waiting_bytes = 0
        self._in_flight = False
        self._closed = False
        self._idle: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "committing" if self._in_flight else "idle"
        return f"<JournalWriter {self._directory} {state} waiting={len(self._waiting.frames)}>"

    def append(self, payload: bytes) -> asyncio.Future[None]:
        """A future that is done when the payload is durable, or fails with JournalError; await it."""
        return self._add((payload,), FRAME_OVERHEAD + len(payload))

    def append_many(self, payloads: Sequence[bytes]) -> asyncio.Future[None]:
        """The same for several payloads: they are written together, in order, and none of them alone is promised."""
        return self._add(payloads, sum(map(len, payloads)) + FRAME_OVERHEAD * len(payloads))

    def _add(self, payloads: Sequence[bytes], octets: int) -> asyncio.Future[None]:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        try:
            frames = self._admit(payloads, octets)
        except JournalError as error:
            self._fail([future], error, len(payloads))
            return future
        self._waiting_bytes += octets
        self._waiting.frames.extend(frames)
        self._waiting.futures.append(future)
        if not self._in_flight:
            # Not at once: what else this turn of the loop appends goes into the same batch.
            self._in_flight = True
            self._loop.call_soon(self._send)
        return future

    def _admit(self, payloads: Sequence[bytes], octets: int) -> list[bytes]:
        if self._closed:
            raise JournalError("the journal is closed")
        if self._waiting_bytes + octets > self._max_pending_bytes:
            raise JournalError(f"{self._directory}: too many records wait for the disk")
        return [frame(payload) for payload in payloads]

    async def close(self) -> None:
        """Make everything appended durable, then stop; appends fail from now on."""
        self._closed = True
        if self._age_timer is not None:
            self._age_timer.cancel()
        if self._rest is not None:
            self._rest.cancel()
            self._go_on()
        if self._in_flight and self._loop is not None:
            self._idle = self._idle or self._loop.create_future()
            await asyncio.shield(self._idle)
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(None)
            await asyncio.to_thread(thread.join)

    def _send(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()
        batch, self._waiting, self._waiting_bytes = self._waiting, _Batch([], []), 0
        self._orders.put(batch)

    def _work(self) -> None:
        assert self._loop is not None
        while (batch := self._orders.get()) is not None:
            if not isinstance(batch, _Batch):
                batch()
                continue
            error = self._store.append(b"".join(batch.frames))
            try:
                self._loop.call_soon_threadsafe(self._done, batch, error)
            except RuntimeError:  # the loop was closed without close(): nobody waits any more
                break
            self._store.write_ahead()
        self._store.close()

    def _done(self, batch: _Batch, error: OSError | None) -> None:
        if error is None:
            for future in batch.futures:
                if not future.done():  # whoever waited may have been cancelled
                    future.set_result(None)
            self._watch_age()
        else:
            self._fail(batch.futures, JournalError(f"{self._directory}: {error.strerror or error}"), len(batch.frames))
        if self._rest_seconds and not self._closed and self._loop is not None:
            self._rest = self._loop.call_later(self._rest_seconds, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._rest = None
        if self._waiting.frames:
            self._send()
        else:
            self._in_flight = False
            if self._idle is not None:
                self._idle.set_result(None)
                self._idle = None

    def _watch_age(self) -> None:
        # A timer for as long as there is a segment.
        if self._age_timer is None and not self._closed and self._loop is not None:
            self._age_timer = self._loop.call_later(self._age_look_seconds, self._look_at_age)

    def _look_at_age(self) -> None:
        self._age_timer = None
        self._orders.put(self._end_old_segment)

    def _end_old_segment(self) -> None:
        # In the writer's thread, where nobody waits for it.
        if not self._store.close_if_old() and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._watch_age)

    def _fail(self, futures: list[asyncio.Future[None]], error: JournalError, records: int) -> None:
        for future in futures:
            if not future.done():
                future.set_exception(JournalError(str(error)))
        if self._on_failure is not None:
            self._on_failure(error, records)
