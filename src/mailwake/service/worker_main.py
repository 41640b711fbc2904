"""The main program of a worker: reads its orders, becomes what they say (SMTP, tracker, collector), ends in order.

It serves when told to, ends when told to (SIGTERM, or `drain` and its clients have left), and ends when the supervisor
is gone (its standard input closes).
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from mailwake import __version__
from mailwake.clock import SystemClock
from mailwake.errors import MailwakeError
from mailwake.journal.writer import JournalWriter
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.data_directory import DataDirectory
from mailwake.service.event_privacy import event_privacy
from mailwake.service.id_marks import IdMarks
from mailwake.service.life_line import LifeLine, Told
from mailwake.service.worker_orders import decode_orders
from mailwake.service.worker_process import Report

if TYPE_CHECKING:
    from mailwake.service.worker_orders import WorkerOrders

MESSAGE_JOURNAL_REST = 0.001
"""Seconds between two commits of an SMTP worker's journal: little beside what a relayed message takes anyway."""

REPORT_SECONDS = 1.0
"""How often a worker tells the supervisor its counters."""


class Worker:
    """What every worker has, whatever its role; the roles add the rest."""

    def __init__(self, orders: WorkerOrders, life_line: LifeLine) -> None:
        self._life_line = life_line
        self.orders = orders
        self.configuration = orders.read_configuration()
        self.settings = self.configuration.settings
        self.data = DataDirectory(Path(orders.data_dir))
        self.privacy = event_privacy(self.settings.privacy, self.data)
        self.log = make_logger(
            self.settings.log_format, self.settings.log_level, hidden=self.privacy.recipients, worker=orders.name
        )
        self.metrics = Metrics()
        self.clock = SystemClock()
        self.told = Told()
        self.sockets = [(name, socket.socket(fileno=descriptor)) for name, descriptor in orders.listen]

    def report(self, *, prepared: bool = False, ready: bool = False, closed: bool = False) -> None:
        """Tell the supervisor how far this worker is, and where the counters stand."""
        report = Report(prepared, ready, closed, version=__version__, counters=self.metrics.snapshot())
        try:
            sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
            sys.stdout.buffer.flush()
        except OSError:  # nobody listens any more
            self.told.stop.set()

    async def may_serve(self) -> bool:
        """Say that everything is made, and wait to be told to serve; False when there will be no serving."""
        self.report(prepared=True)
        return await self.told.may_serve()

    async def run(self) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.told.stop.set)
        self._life_line.watch(loop, self.told.hear)
        _calm_garbage_collector()
        reporting = asyncio.create_task(self._report_regularly())
        try:
            await self.serve()
        finally:
            reporting.cancel()
            self.report()

    async def serve(self) -> None:
        """Be what the role says, until told to stop."""
        from mailwake.service.collector_worker import run_collector

        await run_collector(self)

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            self.report()


class RecordingWorker(Worker):
    """A worker that records events: it makes ids and has a journal of its own."""

    def __init__(self, orders: WorkerOrders, life_line: LifeLine) -> None:
        super().__init__(orders, life_line)
        self._marks = IdMarks(self.data.ids, self.settings.node_id or 0, orders.slot, self.clock, self.log)
        self.ids = self._marks.ids
        rest = MESSAGE_JOURNAL_REST if orders.role == "smtp" else 0.0
        self.journal = JournalWriter(self.data.journal, orders.name, rest_seconds=rest)

    async def serve(self) -> None:
        """Take mail or answer clicks until told to stop; then everything recorded is on the disk."""
        marking = asyncio.create_task(self._marks.keep_ahead())
        try:
            if self.orders.role == "smtp":
                from mailwake.service.smtp_worker import run_smtp_worker

                await run_smtp_worker(self)
            else:
                await self._run_tracker()
        finally:
            marking.cancel()
            await self.journal.close()

    async def _run_tracker(self) -> None:
        from mailwake.links.token import TokenCodec
        from mailwake.service.open_files import connections_within
        from mailwake.service.parts import KeySource
        from mailwake.service.tracker_parts import certificates_of, domains_of, front_of, http_limits
        from mailwake.service.tracker_worker import run_tracker_worker

        tracker = self.settings.tracker
        keys = KeySource(self.settings.keys, self.data, self.clock)
        certificates = certificates_of(self.settings, self.log, self.metrics)
        limits = http_limits(tracker)
        await run_tracker_worker(
            [(listening, front_of(tracker.listen[name], certificates)) for name, listening in self.sockets],
            codec=TokenCodec(keys.load()),
            ids=self.ids,
            journal=self.journal,
            metrics=self.metrics,
            clock=self.clock,
            log=self.log,
            stop=self.told.stop,
            drain=self.told.drain,
            may_serve=self.may_serve,
            on_serving=lambda: self.report(ready=True),
            read_keyring=keys.load,
            privacy=self.privacy,
            trusted_proxies=tracker.trusted_proxies,
            domains=domains_of(self.settings),
            certificates=certificates,
            max_requests_per_address=tracker.max_requests_per_address,
            limits=replace(limits, connections=connections_within(limits.connections, self.log)),
        )


def _calm_garbage_collector() -> None:
    # Each message makes some thousand short-lived objects and no cycles; looking for cycles every 700 allocations, and
    # through all that was imported, took a tenth of the time of a message.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def main() -> None:
    """Read the orders from standard input and be that worker."""
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # a terminal tells the whole group; it is for the supervisor
    life_line = LifeLine()
    line = life_line.read_line()
    if not line:
        return
    orders = decode_orders(line)
    log = make_logger()
    try:

        async def become() -> None:
            kind = Worker if orders.role == "collector" else RecordingWorker
            await kind(orders, life_line).run()

        uvloop.run(become())
    except MailwakeError as error:
        log.error("worker cannot serve", worker=orders.name, error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
