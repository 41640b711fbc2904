"""Events as lines of JSON on the standard output of the service, for containers."""

from __future__ import annotations

import errno
import os
import select
import stat
from functools import partial
from typing import TYPE_CHECKING

from mailwake.sinks.contract import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.sinks.contract import OutgoingEvent
    from mailwake.sinks.own_thread import OwnThread

LOOK_SECONDS = 0.1
"""How often a write that waits for its reader looks whether it is to end."""


class StandardOutput:
    """A `Destination` that writes to a descriptor; when `write` returns, the system has taken the lines.

    Lines up to PIPE_BUF octets (4096) are written whole (pipe(7)), so that neither a kill nor another writer to the
    same pipe splits them. The descriptor stays blocking, as others share it; it is written to only when it has room.
    """

    def __init__(self, descriptor: int, thread: OwnThread) -> None:
        self._descriptor = descriptor
        self._thread = thread
        self._poll = select.poll()
        if descriptor >= 0:
            self._poll.register(descriptor, select.POLLOUT)
        self._torn = False

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Return when the system has taken all of them: a pipe's reader may have to read some yet."""
        await self._thread.run(partial(self._write, [event.content + b"\n" for event in events]))

    async def tend(self) -> None:
        """Nothing goes by time."""

    async def close(self) -> None:
        """The descriptor is the service's, and stays open."""

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._descriptor < 0:
            raise DestinationError("standard output: it is closed; start mailwake with one")
        try:
            for chunk in (*([b"\n"] if self._torn else []), *_chunks(lines)):
                self._write_all(chunk)
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.fdatasync(self._descriptor)
        except OSError as error:
            cure = {errno.EPIPE: "its reader has gone", errno.ENOSPC: "free space"}.get(error.errno or 0, "")
            raise DestinationError(f"standard output: {error.strerror}{cure and f'; {cure}'}") from None

    def _write_all(self, chunk: bytes) -> None:
        while chunk:
            self._wait_for_room()
            try:
                written = os.write(self._descriptor, chunk[: select.PIPE_BUF])
            except BlockingIOError:  # another program made it non-blocking, and has filled it in this moment
                continue
            chunk = chunk[written:]
            self._torn = bool(chunk)  # a line that goes on after an error would be taken for one

    def _wait_for_room(self) -> None:
        while not self._poll.poll(LOOK_SECONDS * 1000):
            if self._thread.ending.is_set():
                raise DestinationError("standard output: nobody reads it; the rest is written after the next start")


def _chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The lines in order, as many at once as fit into PIPE_BUF, longer ones alone."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > select.PIPE_BUF:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk
