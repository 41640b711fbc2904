"""The store in a ClickHouse server: an `EventStore` for an event loop, with threads of its own that ask the server.

Several nodes may have the same database: each loads its own feed, and all see all events.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mailwake.feed.contract import BEGINNING
from mailwake.store import clickhouse_changes as changes
from mailwake.store import clickhouse_search as searches
from mailwake.store.all_pages import all_pages
from mailwake.store.clickhouse_http import OUT_OF_MEMORY, TIMED_OUT, ClickHouseError, ClickHouseHttp, TablesGoneError
from mailwake.store.clickhouse_inspection import Counter, findings, status
from mailwake.store.clickhouse_tables import loader_of, make_tables
from mailwake.store.contract import StoreError, StoreUnavailableError
from mailwake.store.question import MAX_PER_PAGE, Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.clickhouse_http import Server
    from mailwake.store.clickhouse_search import Ask
    from mailwake.store.contract import Loaded, SearchPage, StoreStatus
    from mailwake.store.report_question import ReportQuestion, ReportTable

T = TypeVar("T")

READERS = 4
"""Searches that run at once; others wait for them. Loads have a thread of their own."""


class SearchLimits(NamedTuple):
    """What one search may use on the server: seconds, octets of memory, threads (0: as many as the server likes)."""

    seconds: float
    memory: int
    threads: int

    def settings(self) -> dict[str, str | int]:
        """As ClickHouse calls it."""
        half = self.memory // 2
        limits: dict[str, str | int] = {
            "max_execution_time": f"{self.seconds:g}",
            "max_memory_usage": self.memory,
            # What needs more goes to the server's disk.
            "max_bytes_before_external_group_by": half,
            "max_bytes_before_external_sort": half,
        }
        if self.threads:
            limits["max_threads"] = self.threads
        return limits


class ClickHouseStore:
    """An `EventStore`; see `contract`. `directory` holds who this node is among those that load the same tables."""

    def __init__(self, directory: Path, server: Server, limits: SearchLimits) -> None:
        self._directory = directory
        self._server = server
        self._limits = limits
        self._http: ClickHouseHttp | None = None
        self._loader = 0
        self._store = 0
        self._counter = Counter()
        self._is_open = False
        self._why_not = "the store is not open yet; try again in a moment"
        self._closed = False
        self._closing = threading.Event()
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._eraser = ThreadPoolExecutor(1, "store-erase")  # so that loads need not wait for it
        self._readers = ThreadPoolExecutor(READERS, "store-read")

    async def open(self) -> None:
        """Ask the server for its tables, or make them; an erasure that was cut short is the server's to finish."""
        await self._in(self._writer, self._open)

    def _open(self) -> None:
        if self._is_open:
            return
        try:
            self._loader = loader_of(self._directory)
            self._http = self._http or ClickHouseHttp(self._server)
            self._store = make_tables(self._http, self._server.database)
        except StoreError as error:
            self._why_not = str(error)
            raise StoreUnavailableError(self._why_not) from None
        self._counter.forget()
        self._is_open = True

    async def load(self, events: Sequence[Event], position: Position) -> Loaded:
        """Keep these events and the position; see `contract.EventStore.load`."""
        return await self._write(lambda server: self._load(server, events, position))

    def _load(self, server: ClickHouseHttp, events: Sequence[Event], position: Position) -> Loaded:
        loaded = changes.load(server, self._loader, events, position)
        self._counter.add(loaded.stored, [event.timestamp for event in events])
        return loaded

    def _forget(self, call: Callable[[], int]) -> int:
        try:
            return call()
        finally:
            self._counter.forget()

    async def position(self) -> Position:
        """The position that the last load of this node gave."""
        return await self._read(lambda ask: searches.loads(ask).positions.get(self._loader, BEGINNING))

    async def search(self, question: Question) -> SearchPage:
        """A page of events; see `contract.EventStore.search`."""
        return await self._read(lambda ask: searches.search(ask, question, self._store))

    async def report(self, question: ReportQuestion) -> ReportTable:
        """Exact counts; see `contract.EventStore.report`."""
        return await self._read(lambda ask: searches.report(ask, question))

    def events_of(self, recipient: str, *, page: int = MAX_PER_PAGE) -> AsyncIterator[list[Event]]:
        """All events of one recipient, in pages, newest first."""
        return all_pages(self.search, Question(recipients=(recipient,), per_page=page))

    async def erase(self, recipients: Collection[str]) -> int:
        """Forget all events of these recipients; see `contract.EventStore.erase`."""
        return await self._in(
            self._eraser,
            self._asking,
            lambda server: self._forget(lambda: changes.erase(server, recipients, self._closing)),
        )

    async def forget_before(self, time_ms: int) -> int:
        """Forget events that happened before this time; how many."""
        return await self._write(lambda server: self._forget(lambda: changes.forget_before(server, time_ms)))

    async def missing(self, ids: Collection[int]) -> set[int]:
        """Those of these ids that no event has."""
        return await self._read(lambda ask: set(ids) - searches.known(ask, ids))

    async def status(self) -> StoreStatus:
        """What there is."""
        return await self._in(self._readers, self._asking, lambda http: status(http, self._loader, self._counter))

    async def verify(self) -> list[str]:
        """Read everything; what is wrong."""
        return await self._in(self._readers, self._asking, findings)

    def close(self) -> None:
        """Let go of the server; blocks until calls under way are finished."""
        if self._closed:
            return
        self._closed = True
        self._why_not = "the store is closed"
        self._closing.set()
        self._writer.shutdown()
        self._eraser.shutdown()
        self._readers.shutdown()
        if self._http is not None:
            self._http.close()

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[..., T], *arguments: object) -> T:
        if self._closed:
            raise StoreUnavailableError(self._why_not)
        return await asyncio.get_running_loop().run_in_executor(threads, call, *arguments)

    async def _write(self, call: Callable[[ClickHouseHttp], T]) -> T:
        """Do this, one after the other."""
        return await self._in(self._writer, self._asking, call)

    async def _read(self, call: Callable[[Ask], T]) -> T:
        return await self._in(self._readers, self._limited, call)

    def _limited(self, call: Callable[[Ask], T]) -> T:
        def asking(server: ClickHouseHttp) -> T:
            return call(partial(server.ask, settings=self._limits.settings(), seconds=self._limits.seconds))

        return self._asking(asking)

    def _asking(self, call: Callable[[ClickHouseHttp], T]) -> T:
        if not self._is_open or self._http is None:
            raise StoreUnavailableError(self._why_not)
        with self._failures():
            return call(self._http)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except TablesGoneError as error:
            self._is_open = False
            self._why_not = str(error)
            raise
        except ClickHouseError as error:
            if error.code in TIMED_OUT:
                raise StoreError(
                    f"the search took longer than {self._limits.seconds:g} seconds; ask for a shorter time, or raise "
                    "store.search_timeout"
                ) from None
            if error.code in OUT_OF_MEMORY:
                raise StoreError(
                    "too little memory for this; raise store.memory_limit, or what the server has"
                ) from None
            raise
