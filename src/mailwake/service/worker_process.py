"""One worker as the supervisor sees it: a child process, its life line, and what it reports.

The child's standard input carries its orders (one line), then what it is told later, a line each, and stays open:
when it closes, the supervisor is gone and the worker ends by itself. Its standard output carries reports, one JSON
object a line: `{"prepared": true}` when all is made and it only waits to be told `serve`, `{"ready": true}` once it
serves, and its counters every second. `drain SECONDS` tells it to accept no more and to end when its clients have left.

A supervisor that upgrades hands its workers over to its successor, which is of another version: what is said here may
gain words and fields, and must not lose any.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.clock import SystemClock, iso_time
from mailwake.service.handover import SavedWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.metrics import Series
    from mailwake.service.fork_server import ForkServer

REPORT_LIMIT = 1 << 20
"""The longest report line in octets; a worker has a few hundred series at most."""

STATUS_UNKNOWN = 255
"""Stands for the exit status of a child that somebody else has waited for, or that could not be started."""


class Report(msgspec.Struct, omit_defaults=True):
    """What a worker tells its supervisor: how far it is, and its counters as (name, labels, value)."""

    prepared: bool = False
    ready: bool = False
    closed: bool = False
    version: str = ""
    counters: list[tuple[str, tuple[str, ...], float]] = []


_decode_report = msgspec.json.Decoder(Report).decode


class WorkerProcess:
    """A child process running `mailwake.service.worker_main`; `orders` is its single line of input.

    It is forked by `forks`, or started as a program where there is none, or it fails.
    """

    def __init__(
        self,
        name: str,
        orders: bytes,
        descriptors: Sequence[int],
        on_report: Callable[[], None],
        forks: ForkServer | None = None,
    ) -> None:
        self.name = name
        self.pid: int | None = None
        """The process id, None before the start."""
        self.prepared = False
        self.closed = False
        """It has said that it accepts no connection any more."""
        self.ready = False
        self.has_served = False
        self.version = ""
        """What it says it runs; "" until then."""
        self.started = 0.0
        self.counters: dict[Series, float] = {}
        self._unsent = bytearray(orders + b"\n")
        self._unread = bytearray()
        self._signal_due: signal.Signals | None = None
        self._descriptors = tuple(descriptors)
        self._on_report = on_report
        self._forks = forks
        self._child: subprocess.Popen[bytes] | None = None
        self._input = self._output = -1
        self._ended = asyncio.Event()
        self._reaped = False

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.name} pid={self.pid} ready={self.ready}>"

    @classmethod
    def adopt(cls, saved: SavedWorker, on_report: Callable[[], None]) -> WorkerProcess:
        """A worker that a former supervisor, in this same process, has started."""
        worker = cls(saved.name, b"", (), on_report)
        worker.pid, worker._input, worker._output = saved.pid, saved.input, saved.output
        worker._unsent, worker._unread = bytearray(saved.unsent), bytearray(saved.unread)
        worker.prepared, worker.closed = saved.prepared, saved.closed
        worker.ready = worker.has_served = saved.ready
        worker.version, worker.started = saved.version, saved.started
        worker.counters = {(name, labels): value for name, labels, value in saved.counters}
        for descriptor in (saved.input, saved.output):
            os.set_inheritable(descriptor, False)
        return worker

    def save(self) -> SavedWorker | None:
        """What another supervisor needs to adopt it; None when it does not run."""
        if self.pid is None or self._ended.is_set():
            return None
        return SavedWorker(
            name=self.name,
            pid=self.pid,
            input=self._input,
            output=self._output,
            unsent=bytes(self._unsent),
            unread=bytes(self._unread),
            prepared=self.prepared,
            ready=self.ready,
            closed=self.closed,
            version=self.version,
            started=self.started,
            counters=[(name, labels, value) for (name, labels), value in self.counters.items()],
        )

    async def run(self) -> int:
        """Start the child, read its reports, and return its exit status (negative: the signal that killed it).

        OSError when the system cannot start another process; nothing is left then.
        """
        if self.pid is None:
            self._start()
        loop = asyncio.get_running_loop()
        for descriptor in (self._input, self._output):
            os.set_blocking(descriptor, False)
        loop.add_reader(self._output, self._read)
        self._send()
        if self._signal_due is not None:
            self._signal(self._signal_due)
        try:
            await self._ended.wait()
            return await self._status()
        finally:
            self.ready = False
            loop.remove_reader(self._output)
            loop.remove_writer(self._input)
            os.close(self._input)
            os.close(self._output)

    def _start(self) -> None:
        # With other pipes the second time: whoever was forked although it failed must not read the other one's orders.
        self.pid = self._with_pipes(self._fork) or self._with_pipes(self._execute)
        self.started = SystemClock().now()

    def _with_pipes(self, begin: Callable[[int, int], int | None]) -> int | None:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            read_end, to_child = _pipe(theirs, ours)
            from_child, write_end = _pipe(ours, theirs)
            pid = begin(read_end, write_end)
            if pid is not None:
                self._input, self._output = to_child, from_child
                ours.pop_all()  # they are closed when it has ended
            return pid

    def _fork(self, read_end: int, write_end: int) -> int | None:
        if self._forks is None:
            return None
        try:
            return self._forks.fork(self.name, read_end, write_end, self._descriptors)
        except OSError:
            return None

    def _execute(self, read_end: int, write_end: int) -> int:
        command = [sys.executable, "-m", "mailwake.service.worker_main"]
        self._child = subprocess.Popen(  # noqa: S603  # this interpreter, and a module of ours
            command, stdin=read_end, stdout=write_end, pass_fds=self._descriptors
        )
        return self._child.pid

    async def _status(self) -> int:
        """Wait for the child, in a thread: it has closed its output, which is one of the last things it does."""
        loop = asyncio.get_running_loop()
        status: asyncio.Future[int] = loop.create_future()

        def wait() -> None:
            found = self._wait()
            self._reaped = True
            with contextlib.suppress(RuntimeError):  # the loop is gone, and whoever asked
                loop.call_soon_threadsafe(status.set_result, found)

        threading.Thread(target=wait, name=f"end of {self.name}", daemon=True).start()
        return await status

    def _wait(self) -> int:
        if self._child is not None:
            return self._child.wait()
        assert self.pid is not None
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return STATUS_UNKNOWN

    def _read(self) -> None:
        try:
            octets = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return
        if not octets:
            asyncio.get_running_loop().remove_reader(self._output)
            self._ended.set()
            return
        self._unread += octets
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._hear(bytes(line))
        if len(self._unread) > REPORT_LIMIT:
            self._unread.clear()

    def _hear(self, line: bytes) -> None:
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
        """Write a line to its standard input, now or as soon as it can be."""
        self._unsent += line + b"\n"
        if self.pid is not None and not self._ended.is_set():
            self._send()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._unsent:
                del self._unsent[: os.write(self._input, self._unsent)]
        except BlockingIOError:
            loop.add_writer(self._input, self._send)
            return
        except OSError:  # it has ended, which its output says as well
            self._unsent.clear()
        loop.remove_writer(self._input)

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
        if self.pid is None:
            self._signal_due = number  # it is being started at this moment
        elif not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by these."""
    read_end, write_end = os.pipe()
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end
