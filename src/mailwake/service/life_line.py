"""A worker's standard input: its orders, then what the supervisor tells it, until the supervisor is gone."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from mailwake.first_of import first_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Told:
    """What a worker has been told: to serve, to drain within `drain_seconds`, to stop."""

    def __init__(self) -> None:
        self.serve = asyncio.Event()
        self.drain = asyncio.Event()
        self.stop = asyncio.Event()
        self.drain_seconds = 0.0

    def hear(self, line: bytes) -> None:
        """Obey one line of the supervisor's; the end of input, b"", means that it is gone."""
        word, _, argument = line.partition(b" ")
        if not line:
            self.stop.set()
        elif word == b"serve":
            self.serve.set()
        elif word == b"drain":
            self.drain_seconds = float(argument)
            self.drain.set()

    async def may_serve(self) -> bool:
        """Wait until one of the three is told; whether it is to serve, and nothing else."""
        await first_of(self.serve, self.drain, self.stop)
        return not self.drain.is_set() and not self.stop.is_set()


class LifeLine:
    """Reads lines from a descriptor: the first by `read_line`, the others in a thread, to a callback in the loop."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def read_line(self) -> bytes:
        """The next line without its end, b"" when there are no more; blocks."""
        # Not sys.stdin: a thread inside its lock would trouble the interpreter's end.
        while b"\n" not in self._rest:
            octets = os.read(self._descriptor, 1 << 16)
            if not octets:
                return b""
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def watch(self, loop: asyncio.AbstractEventLoop, hear: Callable[[bytes], None]) -> None:
        """Have `hear` called in the loop for each further line, at last with b""."""

        def read() -> None:
            line = b"-"
            while line:
                line = self.read_line()
                loop.call_soon_threadsafe(hear, line)

        threading.Thread(target=read, name="life line", daemon=True).start()
