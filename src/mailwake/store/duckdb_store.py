"""The store in a DuckDB file: an `EventStore` for an event loop, with threads of its own that do the work."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import duckdb

from mailwake.store import changes
from mailwake.store.all_pages import all_pages
from mailwake.store.backup import copy_octets, make_whole
from mailwake.store.contract import StoreError, StoreUnavailableError
from mailwake.store.dialect import DUCKDB
from mailwake.store.duckdb_file import DuckDbFile, Limits, refusal
from mailwake.store.export import export_sql
from mailwake.store.gate import Gate
from mailwake.store.inspection import findings, status
from mailwake.store.made_files import MADE, MadeFiles
from mailwake.store.patience import Patience
from mailwake.store.question import MAX_PER_PAGE, Question
from mailwake.store.report import report
from mailwake.store.search import search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from mailwake.config.store_settings import Store
    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.contract import Loaded, SearchPage, StoreStatus
    from mailwake.store.export import ExportFormat
    from mailwake.store.filters import Filters
    from mailwake.store.made_files import Making
    from mailwake.store.report_question import ReportQuestion, ReportTable

T = TypeVar("T")

READERS = 2
"""Searches that run at once; others wait for them. Loads have a thread of their own."""

_BROKEN = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
"""After these the engine answers nothing any more, or what it reads makes no sense."""


def open_store(directory: Path, settings: Store, *, reserve: int = 0) -> DuckDbStore:
    """The store in `directory`; it is opened by `open()`, and until then answers StoreUnavailableError.

    Backups and exports leave `reserve` octets free on the disk.
    """
    return DuckDbStore(
        directory,
        Limits(settings.memory_limit, settings.threads),
        search_timeout=settings.search_timeout,
        reserve=reserve,
    )


class DuckDbStore:
    """An `EventStore`; see `contract`. `open()` may be called again after a failure."""

    def __init__(self, directory: Path, limits: Limits, *, search_timeout: float, reserve: int = 0) -> None:
        self._directory = directory
        self._limits = limits
        self._search_timeout = search_timeout
        self._file: DuckDbFile | None = None
        self._why_not = "the store is not open yet; try again in a moment"
        self._closed = False
        self._broken = False
        """Whether the engine has given up on the file, which is open still."""
        self._gate = Gate()
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._readers = ThreadPoolExecutor(READERS, "store-read")
        self._looks = ThreadPoolExecutor(1, "store-look")
        self._backups = ThreadPoolExecutor(1, "store-backup")
        self._exports = ThreadPoolExecutor(1, "store-export")
        self._made = MadeFiles(directory / MADE, reserve)

    async def open(self) -> None:
        """Open the file, unless it is open; see `contract.EventStore.open`."""
        await self._in(self._writer, self._open)
        await self._in(self._writer, self._rewrite_if_due)

    def _open(self) -> None:
        if self._broken:
            self._close(self._why_not)
        if self._file is not None:
            return
        try:
            self._file = DuckDbFile(self._directory, self._limits)
        except StoreUnavailableError as error:
            self._why_not = str(error)
            raise
        self._made.empty()
        self._broken = False

    async def load(self, events: Sequence[Event], position: Position) -> Loaded:
        """Keep these events and the position; see `contract.EventStore.load`."""
        return await self._write(lambda file, database: changes.load(database, file.lines, events, position))

    async def position(self) -> Position:
        """The position that the last load gave."""
        return await self._look(lambda file, database: file.state(database).position)

    async def search(self, question: Question) -> SearchPage:
        """A page of events; see `contract.EventStore.search`."""
        return await self._read(lambda file, database: search(database, file.state(database), question))

    async def report(self, question: ReportQuestion) -> ReportTable:
        """Exact counts; see `contract.EventStore.report`."""
        return await self._read(lambda file, database: _report(database, question))

    def events_of(self, recipient: str, *, page: int = MAX_PER_PAGE) -> AsyncIterator[list[Event]]:
        """All events of one recipient, in pages, newest first."""
        return all_pages(self.search, Question(recipients=(recipient,), per_page=page))

    async def erase(self, recipients: Collection[str]) -> int:
        """Forget all events of these recipients; see `contract.EventStore.erase`."""
        erased = await self._write(lambda file, database: changes.erase(database, recipients))
        await self._in(self._writer, self._rewrite_if_due)
        return erased

    async def forget_before(self, time_ms: int) -> int:
        """Forget events that happened before this time; how many."""
        return await self._write(lambda file, database: changes.forget_before(database, time_ms))

    async def missing(self, ids: Collection[int]) -> set[int]:
        """Those of these ids that no event has."""
        return await self._read(lambda file, database: changes.missing(database, ids))

    async def backup(self, name: str, making: Making) -> Path:
        """All of the store in a file that opens by itself; see `contract.FileMakingStore.backup`."""
        return await self._in(self._backups, self._make, name, making, lambda part: self._back_up(part, making))

    async def export(self, filters: Filters, form: ExportFormat, name: str, making: Making) -> Path:
        """Events in a file for other programs; see `contract.FileMakingStore.export`."""
        return await self._in(
            self._exports, self._make, name, making, lambda part: self._export(filters, form, part, making)
        )

    async def status(self) -> StoreStatus:
        """What there is."""
        return await self._look(status)

    async def verify(self) -> list[str]:
        """Read everything; what is wrong."""
        return await self._read(lambda file, database: findings(database), limited=False)

    def close(self) -> None:
        """Let go of the file; blocks until calls under way are finished."""
        if self._closed:
            return
        self._closed = True
        self._made.end()
        for makers in (self._backups, self._exports):
            makers.shutdown()
        self._writer.submit(self._close, "the store is closed").result()
        self._writer.shutdown()
        self._readers.shutdown()
        self._looks.shutdown()

    def _close(self, why: str) -> None:
        with self._gate.alone():
            self._why_not = why
            file, self._file = self._file, None
            if file is not None:
                file.close()

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[..., T], *arguments: object) -> T:
        if self._closed:
            raise StoreUnavailableError(self._why_not)
        return await asyncio.get_running_loop().run_in_executor(threads, call, *arguments)

    async def _write(self, call: Callable[[DuckDbFile, duckdb.DuckDBPyConnection], T]) -> T:
        """Do this in a transaction, one after the other."""
        return await self._in(self._writer, self._in_transaction, call)

    async def _read(self, call: Callable[[DuckDbFile, duckdb.DuckDBPyConnection], T], *, limited: bool = True) -> T:
        patience = Patience(self._search_timeout if limited else None)
        try:
            return await self._in(self._readers, self._shared, call, patience)
        except asyncio.CancelledError:
            patience.give_up()
            raise

    async def _look(self, call: Callable[[DuckDbFile, duckdb.DuckDBPyConnection], T]) -> T:
        """What the loader asks: it waits for no search."""
        return await self._in(self._looks, self._shared, call, Patience(self._search_timeout))

    def _shared(self, call: Callable[[DuckDbFile, duckdb.DuckDBPyConnection], T], patience: Patience) -> T:
        with self._gate.shared(), self._failures():
            file = self._opened()
            database = file.cursor()
            try:
                with patience.over(database):
                    database.execute("BEGIN")  # so that all statements see the same
                    return call(file, database)
            finally:
                database.close()

    def _in_transaction(self, call: Callable[[DuckDbFile, duckdb.DuckDBPyConnection], T]) -> T:
        with self._failures():
            file = self._opened()
            database = file.cursor()
            try:
                database.execute("BEGIN")
                result = call(file, database)
                database.execute("COMMIT")
                return result
            finally:
                database.close()  # which takes back what was not committed

    def _rewrite_if_due(self) -> None:
        with self._failures():
            file = self._opened()
            database = file.cursor()
            due = file.state(database).rewrite_due
            database.close()
            if due:
                with self._made.erasing():
                    new = file.copy_out()
                    with self._gate.alone():
                        self._exchange(file, new)

    def _exchange(self, file: DuckDbFile, new: Path) -> None:
        try:
            file.take(new)
        except (OSError, StoreUnavailableError):
            # It is closed, and whichever file there is now is for the next `open` to find.
            self._file, self._why_not = None, f"{self._directory}: the file could not be exchanged; it is opened again"
            file.lines.close()
            raise

    def _make(self, name: str, making: Making, attempt: Callable[[Path], None]) -> Path:
        with self._failures():
            return self._made.make(name, making, attempt)

    def _back_up(self, part: Path, making: Making) -> None:
        making.octets, making.octets_expected = 0, self._opened().octets()
        self._made.check(making, making.octets_expected)
        # Among the writes: none alters the file meanwhile.
        self._writer.submit(self._copy, part, making).result()
        making.events = make_whole(part)

    def _copy(self, part: Path, making: Making) -> None:
        def copied(octets: int) -> None:
            making.octets += octets
            self._made.check(making)

        copy_octets(self._opened().path, part, copied)

    def _export(self, filters: Filters, form: ExportFormat, part: Path, making: Making) -> None:
        making.octets = 0
        self._made.check(making)
        sql, values = export_sql(filters, form, part)
        with self._gate.shared():
            database = self._opened().cursor()
            try:
                with self._made.reading(database, part, making):
                    making.events = changes.number_of(database.execute(sql, values))
            finally:
                database.close()

    def _opened(self) -> DuckDbFile:
        if self._file is None or self._broken:
            raise StoreUnavailableError(self._why_not)
        return self._file

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException:
            raise StoreError(
                f"the search took longer than {self._search_timeout:g} seconds; ask for a shorter time, or raise "
                "store.search_timeout"
            ) from None
        except _BROKEN as error:
            self._why_not = str(refusal(self._directory, error))
            self._broken = True
            raise StoreUnavailableError(self._why_not) from None
        except duckdb.Error as error:
            raise StoreError(refusal(self._directory, error)) from None
        except OSError as error:
            raise StoreError(f"{self._directory}: {error.strerror}; free space or mend the rights") from None


def _report(database: duckdb.DuckDBPyConnection, question: ReportQuestion) -> ReportTable:
    return report(lambda asked: database.execute(asked.sql, asked.values).fetchall(), question, DUCKDB)
