"""The spool's SQLite file, opened: transactions that are durable when they end, and errors as the spool's own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from mailwake.clock import SystemClock
from mailwake.durable_names import sync_directory
from mailwake.spool.contract import SpoolError
from mailwake.spool.sqlite_schema import make_or_take_over
from mailwake.spool.steady_time import SteadyTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mailwake.clock import Clock

T = TypeVar("T")

_ASK_AGAIN = 0.01
"""Seconds."""

CACHE_KIB = 16 << 10
"""Pages that a transaction may change before they are written ahead of its end."""


class SqliteFile:
    """An open spool file (WAL, `synchronous=FULL`: a commit is on disk before it returns)."""

    def __init__(
        self, path: Path, *, busy_seconds: float = 30.0, clock: Clock | None = None, boot_id: str | None = None
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._group_of: tuple[int, ...] = ()
        self._calling = 0
        try:
            self._database = self._open(busy_seconds, clock or SystemClock(), boot_id)
        except sqlite3.Error as error:
            raise SpoolError(f"cannot open the spool {path}: {error}; is it a spool, and may it be written?") from error

    def _open(self, busy_seconds: float, clock: Clock, boot_id: str | None) -> sqlite3.Connection:
        _make_private(self._path)
        database = sqlite3.connect(self._path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            database.execute("BEGIN IMMEDIATE")  # workers start together: one creates, the others wait and see
            make_or_take_over(database, self._path)
            self._time = SteadyTime(database, clock, boot_id)
            database.execute("COMMIT")
            sync_directory(self._path.parent)
        except BaseException:
            database.close()
            raise
        return database

    def now(self) -> float:
        """The time that entries' times count in: Unix seconds when the machine started, and steady since."""
        return self._time.now()

    def open_group(self, thread: int = 0) -> None:
        """Begin a group of calls: nobody else writes until its end, and this may have to wait for others.

        `thread` may look at the spool meanwhile; it is the one for which the group is made.
        """
        self._lock.acquire()
        self._group_of = (thread or threading.get_ident(), threading.get_ident())
        try:
            with self._errors():
                self._database.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._end_group()
            raise

    def call_in_group(self, calls: Sequence[Callable[[], T]]) -> list[T | SpoolError]:
        """Make these calls, in memory as yet; SpoolError when that has ended the group, and nothing was done."""
        self._calling = threading.get_ident()
        results: list[T | SpoolError] = []
        try:
            for call in calls:
                results.append(_result(call))
                if not self._database.in_transaction:  # SQLite has undone everything
                    raise SpoolError(f"spool {self._path}: {results[-1]}")
        except BaseException:
            self._end_group()
            raise
        finally:
            self._calling = 0
        return results

    def close_group(self) -> None:
        """Make the group durable; SpoolError when that failed, and nothing was done."""
        try:
            with self._errors():
                self._time.note(self._database)
                self._database.execute("COMMIT")
        finally:
            self._end_group()

    def _end_group(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        self._group_of = ()
        self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed and synced at the end, undone by any exception; in a group a part of that."""
        grouped = self._calling == threading.get_ident()
        with self._reading() as database:
            if not grouped and threading.get_ident() in self._group_of:
                # Else it would become a part of the group that nobody asked for, or wait for itself.
                raise RuntimeError("a group of this thread's is under way: write to the spool by way of it")
            # IMMEDIATE: a transaction that starts by reading could not wait for another writer's end.
            database.execute("SAVEPOINT one" if grouped else "BEGIN IMMEDIATE")
            try:
                yield database
                if not grouped:
                    self._time.note(database)
                database.execute("RELEASE one" if grouped else "COMMIT")
            except BaseException:
                if database.in_transaction:
                    if grouped:
                        database.execute("ROLLBACK TO one")
                        database.execute("RELEASE one")
                    else:
                        database.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        # Asked again and again: a group of this thread's may be opened just while it waits for the lock.
        while not (ours := threading.get_ident() in self._group_of) and not self._lock.acquire(timeout=_ASK_AGAIN):
            pass
        try:
            with self._errors():
                yield self._database
        finally:
            if not ours:
                self._lock.release()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolError(f"spool {self._path}: {error}; look at the disk") from error
        except OSError as error:
            raise SpoolError(f"spool {self._path}: {error.strerror}; look at the disk") from error

    def close(self) -> None:
        """Let go of the file; the entries stay."""
        with self._lock:
            self._database.close()


def _make_private(path: Path) -> None:
    """Make the file before SQLite does: it gives its -wal and -shm the mode that the file has when it opens it."""
    with contextlib.suppress(OSError):  # SQLite says what is wrong with it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)  # it holds other people's mail


def _result(call: Callable[[], T]) -> T | SpoolError:
    try:
        return call()
    except SpoolError as error:
        return error
