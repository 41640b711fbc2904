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
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

from mailwake.journal.frame import FRAME_OVERHEAD, JournalError, frame
from mailwake.journal.segment_file import Disk, SegmentFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SEGMENT_BYTES = 64 << 20
MAX_PENDING_BYTES = 32 << 20


class _Batch(NamedTuple):
    frames: list[bytes]
    futures: list[asyncio.Future[None]]


class JournalWriter:
    """Appends payloads to segments in `directory`; belongs to the event loop that first appends to it.

    `on_failure(error, records)` is called in the loop, once for each batch that failed, with the number of records
    lost. `segment_bytes` bounds a segment's octets (a batch longer than that has one of its own), `max_pending_bytes`
    what may wait for the disk; beyond it appends fail at once. `rest_seconds` is the least time between the end of a
    batch and the next one: a sync costs the same for one record as for ten, so where records come one by one and may
    wait a little, more of them share it. A record that comes after a rest is written at once.
    """

    def __init__(
        self,
        directory: Path,
        writer_name: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        rest_seconds: float = 0.0,
        on_failure: Callable[[JournalError, int], None] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._directory = directory
        self._store = _SegmentStore(directory, writer_name, segment_bytes, disk or Disk())
        self._max_pending_bytes = max_pending_bytes
        self._rest_seconds = rest_seconds
        self._rest: asyncio.TimerHandle | None = None
        self._on_failure = on_failure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
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

    def _fail(self, futures: list[asyncio.Future[None]], error: JournalError, records: int) -> None:
        for future in futures:
            if not future.done():
                future.set_exception(JournalError(str(error)))
        if self._on_failure is not None:
            self._on_failure(error, records)


class _SegmentStore:
    # Lives in the writer's thread.
    def __init__(self, directory: Path, writer_name: str, segment_bytes: int, disk: Disk) -> None:
        self._directory = directory
        self._writer_name = writer_name
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._segment: SegmentFile | None = None

    def append(self, data: bytes) -> OSError | None:
        try:
            if self._segment is not None and self._segment.size + len(data) > self._segment_bytes:
                self.close()
            if self._segment is None:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._segment = SegmentFile(self._directory, self._writer_name, self._disk, self._segment_bytes)
            self._segment.append(data)
        except OSError as error:
            self._give_up()
            return error
        return None

    def write_ahead(self) -> None:
        # Nobody waits for this. Should it fail, the next append begins a new segment and tells what the disk says.
        if self._segment is not None:
            try:
                self._segment.write_ahead()
            except OSError:
                self._give_up()

    def _give_up(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.cut_back_and_close()

    def close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
