"""One worker as the supervisor sees it: a child process, its life line, and what it reports.

The child's standard input carries its orders (one line), then what it is told later, a line each, and stays open:
when it closes, the supervisor is gone and the worker ends by itself. Its standard output carries reports, one JSON
object a line: `{"prepared": true}` when all is made and it only waits to be told `serve`, `{"ready": true}` once it
serves, and its counters every second. `drain SECONDS` tells it to accept no more and to end when its clients have left.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.clock import SystemClock, iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.metrics import Series

REPORT_LIMIT = 1 << 20
"""The longest report line in octets; a worker has a few hundred series at most."""


class Report(msgspec.Struct, omit_defaults=True):
    """What a worker tells its supervisor: how far it is, and its counters as (name, labels, value)."""

    prepared: bool = False
    ready: bool = False
    closed: bool = False
    version: str = ""
    counters: list[tuple[str, tuple[str, ...], float]] = []


_decode_report = msgspec.json.Decoder(Report).decode


class WorkerProcess:
    """A child process running `mailwake.service.worker_main`; `orders` is its single line of input."""

    def __init__(self, name: str, orders: bytes, descriptors: Sequence[int], on_report: Callable[[], None]) -> None:
        self.name = name
        self.prepared = False
        self.closed = False
        """It has said that it accepts no connection any more."""
        self.ready = False
        self.has_served = False
        self.version = ""
        """What it says it runs; "" until then."""
        self.started = 0.0
        self.counters: dict[Series, float] = {}
        self._untold = [orders]
        self._signal_due: signal.Signals | None = None
        self._descriptors = tuple(descriptors)
        self._on_report = on_report
        self._process: asyncio.subprocess.Process | None = None

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.name} pid={self.pid} ready={self.ready}>"

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    async def run(self) -> int:
        """Start the child, read its reports, and return its exit status (negative: the signal that killed it)."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mailwake.service.worker_main",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._descriptors,
            limit=REPORT_LIMIT,
        )
        self.started = SystemClock().now()
        if self._signal_due is not None:
            self._signal(self._signal_due)
        for line in self._untold:
            self.tell(line)
        try:
            await self._read_reports()
            return await self._process.wait()
        finally:
            self.ready = False

    async def _read_reports(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(msgspec.MsgspecError):  # a stray print in the child is no reason to lose it
                report = _decode_report(line)
                self.prepared = self.prepared or report.prepared
                self.closed = self.closed or report.closed
                self.version = self.version or report.version
                self.ready = self.has_served = self.ready or report.ready
                self.counters.update({(name, labels): value for name, labels, value in report.counters})
                self._on_report()

    def facts(self) -> dict[str, Any]:
        """Its process id, version and start, for people."""
        return {"pid": self.pid, "version": self.version, "started": iso_time(self.started)}

    def tell(self, line: bytes) -> None:
        """Write a line to its standard input, now or as soon as it has one."""
        if self._process is None:
            self._untold.append(line)
        elif self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line + b"\n")

    def serve(self) -> None:
        """Let it accept connections, once it is prepared."""
        self.tell(b"serve")

    def drain(self, seconds: float) -> None:
        """Have it accept no more and end when its clients have left, or after so many seconds."""
        self.tell(b"drain %f" % seconds)

    def stop(self) -> None:
        """Ask for a graceful end: finish what is in hand, take nothing new."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            self._signal_due = number  # it is being started at this moment
        elif self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
