"""The data directory of a demo: made, filled, and told from one that holds anything else."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mailwake.clock import SystemClock, iso_time
from mailwake.config.store_settings import Store
from mailwake.control.api_keys import ApiKeys, ApiKeysError, Scope
from mailwake.control.known_tags import KnownTags
from mailwake.demo.filling import fill
from mailwake.demo.generator import generate
from mailwake.demo.living import live_on
from mailwake.enrichment.message_facts import MessageFactsFile
from mailwake.errors import MailwakeError, StartupError
from mailwake.feed.writer import FeedWriter
from mailwake.journal.writer import JournalWriter
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.data_directory import DataDirectory
from mailwake.store.duckdb_store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailwake.events.model import Event

_MARK = "demo.json"
"""The file that says of a directory that it is a demo's, and whether it is complete."""

_DAY_MS = 86_400_000
_KEY_NAME = "demo"
_MOST_TAGS = 1_000
_WRITER = "demo-0"
"""The name of its journal, among those of the service's workers."""


class DemoData:
    """The directory at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._directory = DataDirectory(path)
        self._mark = path / _MARK
        self._to_come: Iterator[Event] | None = None

    def make(self, events: int, days: int, seed: int) -> None:
        """Fill it, unless it is full; StartupError when it holds anything but a demo, or cannot be written."""
        known = self._known()
        self._directory.prepare()
        self._directory.lock()
        try:
            if known is not None and known.get("complete"):
                sys.stderr.write(f"{self.path} holds the demo of {known['made']}, which is shown as it is\n")
                return
            data = self._directory
            for part in (data.store, data.feed, data.journal):  # what a former one was about to make
                shutil.rmtree(part, ignore_errors=True)
            data.prepare()
            made = {"made": iso_time(time.time()), "events": events, "days": days, "seed": seed}
            self._note(made)
            asyncio.run(self._fill(events, days, seed))
            self._note({**made, "complete": True})
        finally:
            self._directory.unlock()

    @contextmanager
    def key(self) -> Iterator[str]:
        """A key that may do everything, for as long as the demo runs."""
        keys = ApiKeys(self._directory.api_keys, SystemClock())
        keys.revoke(_KEY_NAME)  # of a demo that was killed
        try:
            yield keys.create(_KEY_NAME, [Scope.ADMIN])
        finally:
            with suppress(ApiKeysError):
                keys.revoke(_KEY_NAME)

    def _known(self) -> dict[str, Any] | None:
        """What is known of a former demo here; StartupError if there is something else."""
        try:
            if not self.path.exists() or not any(self.path.iterdir()):
                return None
            known = json.loads(self._mark.read_text())
            if isinstance(known, dict):
                return known
        except (FileNotFoundError, ValueError):
            pass
        except OSError as error:
            raise StartupError(f"--data: {self.path}: {error.strerror}; choose another directory") from None
        raise StartupError(f"--data: {self.path} holds something that is no demo; name a new directory")

    def _note(self, facts: dict[str, Any]) -> None:
        self._mark.write_text(json.dumps(facts) + "\n")

    @contextmanager
    def living(self) -> Iterator[None]:
        """Meanwhile life goes on where the events that were loaded end, for a day at most; not in a former demo."""
        if self._to_come is None:
            yield
            return
        thread = _Living(self._to_come, self._directory)
        thread.start()
        try:
            yield
        finally:
            thread.end()

    async def _fill(self, events: int, days: int, seed: int) -> None:
        end = int(time.time() * 1000)
        begin = end - days * _DAY_MS
        made = generate(round(events * (days + 1) / days), end_ms=end + _DAY_MS, days=days + 1, seed=seed)
        tags: dict[str, None] = {}

        def happened() -> Iterator[Event]:
            for event in made:
                if event.timestamp >= end:
                    self._to_come = chain([event], made)
                    return
                tags.update(dict.fromkeys(event.rcpt_tags))
                yield event

        with (
            closing(open_store(self._directory.store, Store())) as store,
            closing(FeedWriter(self._directory.feed)) as feed,
            closing(MessageFactsFile(self._directory.facts)) as facts,
            _bar(days) as bar,
        ):
            task = bar.add_task("", total=end - begin, day=0, events="")

            def progress(event: Event, loaded: int) -> None:
                passed = event.timestamp - begin
                bar.update(task, completed=passed, day=passed // _DAY_MS + 1, events=f"{loaded:,} events")

            await store.open()
            began = time.monotonic()
            loaded = await fill(store, feed, facts, happened(), in_feed_since=end - _DAY_MS, progress=progress)
            bar.update(task, completed=end - begin)
        known = KnownTags(
            *(self._directory.control, _MOST_TAGS),
            clock=SystemClock(),
            metrics=Metrics(),
            log=make_logger(level="error"),
        )
        with closing(known):
            known.admit(list(tags))
        sys.stderr.write(f"{loaded:,} events of {days} days in {time.monotonic() - began:.0f} s, all made up\n")


class _Living(threading.Thread):
    """Records what happens, in a loop and a thread of its own; what fails there ends it, and is said."""

    def __init__(self, events: Iterator[Event], directory: DataDirectory) -> None:
        super().__init__(name="demo", daemon=True)
        self._events = events
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._enough = asyncio.Event()

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except MailwakeError as error:
            sys.stderr.write(f"mailwake: nothing more happens in the demo: {error}\n")

    async def _live(self) -> None:
        journal = JournalWriter(self._directory.journal, _WRITER)
        try:
            await live_on(self._events, journal, SystemClock(), self._enough)
        finally:
            await journal.close()

    def end(self) -> None:
        """Have it stop, and wait until all is on the disk."""
        self._loop.call_soon_threadsafe(self._enough.set)
        self.join()
        self._loop.close()


def _bar(days: int) -> Progress:
    return Progress(
        TextColumn(f"day {{task.fields[day]}} of {days}"),
        BarColumn(),
        TextColumn("{task.fields[events]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
