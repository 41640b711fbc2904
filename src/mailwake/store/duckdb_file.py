"""One DuckDB file: opened with limits, locked up, written anew; blocking calls, for threads of `DuckDbStore`."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from mailwake.feed.contract import Position
from mailwake.store.contract import StoreError, StoreUnavailableError
from mailwake.store.rows import Lines
from mailwake.store.schema import COLUMNS, DERIVED, LOAD, make_tables, migrate

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "store.duckdb"
_WAL = ".wal"
_NEW = ".new"
_SPILL = "spill"

_LOG_OCTETS = 64 << 20
"""The log is written into the table when it has grown so far: rarely, as each time the last rows are packed anew."""


class Limits(NamedTuple):
    """What the engine may use: octets of memory, threads (0: one for each CPU)."""

    memory: int
    threads: int


class State(NamedTuple):
    """The one row that says what the file holds."""

    store: int
    position: Position
    load: int
    rewrite_due: bool


class DuckDbFile:
    """The open file in `directory`, which holds nothing else; StoreUnavailableError when it cannot be opened.

    The engine may read and write in that directory alone, and load no extension: no SQL text reaches further, whatever
    it says.
    """

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.path = directory / FILE_NAME
        self._directory = directory
        self._limits = limits
        # With an eighth of it, 2,000 events of 8 kB were too much for the smallest memory that the settings allow.
        self.lines = Lines(limits.memory // 32)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = self._open()
        except OSError as error:
            self.lines.close()
            raise StoreUnavailableError(f"{directory}: {error.strerror}; free space or mend the rights") from None
        except BaseException:
            self.lines.close()
            raise

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            database = duckdb.connect(self.path)
        except duckdb.Error as error:
            raise StoreUnavailableError(refusal(self.path, error)) from None
        try:
            self._configure(database)
            self._remove_left_over()
            # After a kill in a search it holds people's events, and the engine never removes another process's.
            shutil.rmtree(self._directory / _SPILL, ignore_errors=True)
            database.execute("BEGIN")
            migrate(database, self.path)
            database.execute("COMMIT")
        except duckdb.Error as error:
            database.close()
            raise StoreUnavailableError(refusal(self.path, error)) from None
        except BaseException:
            database.close()
            raise
        os.chmod(self.path, 0o600)
        return database

    def _configure(self, database: duckdb.DuckDBPyConnection) -> None:
        directory = _quoted(str(self._directory))
        threads = self._limits.threads or os.cpu_count() or 1
        for setting in (
            f"memory_limit = '{self._limits.memory}B'",
            f"threads = {threads}",
            f"checkpoint_threshold = '{min(_LOG_OCTETS, self._limits.memory // 8)}B'",
            f"temp_directory = '{directory}/{_SPILL}'",
            f"allowed_directories = ['{directory}/']",
            f"allowed_paths = ['{self.lines.path}']",
            # Its own way to read few rows late took 2.4 s for a page of 10,000; search.py does it in two steps.
            "late_materialization_max_rows = 0",
            "enable_progress_bar = false",  # it would draw on the standard output, the pipe to the supervisor
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            database.execute(f"SET {setting}")

    def _remove_left_over(self) -> None:
        # A file that a kill has left half written, or one whose place in the order of things is not known any more.
        for suffix in (_NEW, _NEW + _WAL):
            self._beside(suffix).unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own, for one thread."""
        return self._database.cursor()

    def state(self, database: duckdb.DuckDBPyConnection) -> State:
        """The state as this connection sees it."""
        rows = database.execute("SELECT store, segment, place, load, rewrite_due FROM state").fetchall()
        store, segment, place, load, rewrite_due = rows[0]
        return State(store, Position(segment, place), load, rewrite_due)

    def octets(self) -> int:
        """On the disk."""
        total = 0
        for suffix in ("", _WAL):
            with contextlib.suppress(FileNotFoundError):
                total += self._beside(suffix).stat().st_size
        return total

    def copy_out(self) -> Path:
        """Write all rows that there are into a new file beside this one; its path. Only the state's flag differs."""
        new = self._beside(_NEW)
        self._remove_left_over()
        database = self.cursor()
        try:
            database.execute(f"ATTACH '{_quoted(str(new))}' AS fresh")
            try:
                database.execute("USE fresh")
                make_tables(database)
                for statement in _COPY:
                    database.execute(statement)
                database.execute("CHECKPOINT fresh")
            finally:
                database.execute(f"USE {_OLD}")
                database.execute("DETACH fresh")
        finally:
            database.close()
        os.chmod(new, 0o600)
        return new

    def take(self, new: Path) -> None:
        """Put the new file in this one's place; nobody may use a cursor now."""
        self.close_database()
        if self._beside(_WAL).exists():  # a clean close leaves none, and the new file must not meet that of the old
            self._database = self._open()
            raise StoreError(f"{self.path}: could not be closed to be written anew; it is tried again")
        new.replace(self.path)
        self._sync_directory()
        self._database = self._open()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close_database(self) -> None:
        """Write what is in the log into the file, and let go of it."""
        with contextlib.suppress(duckdb.Error):  # a broken one closes as well as it can
            self._database.execute("CHECKPOINT")
        self._database.close()

    def close(self) -> None:
        """Let go of everything."""
        self.close_database()
        self.lines.close()


_OLD = FILE_NAME.partition(".")[0]
_ALL = ", ".join(f'"{name}"' for name in (*COLUMNS, *DERIVED, LOAD))
_COPY = (
    f"INSERT INTO events ({_ALL}) SELECT {_ALL} FROM {_OLD}.main.events",  # noqa: S608  (names from tables of ours)
    f"INSERT INTO state SELECT store, segment, place, load, false FROM {_OLD}.main.state",  # noqa: S608
)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def refusal(path: Path, error: duckdb.Error) -> str:
    """Why the engine does not do what it should with this file, and what to do about it, in one line."""
    said = str(error).strip().partition("\n")[0]
    if "lock on file" in said:
        return f"{path} is in use by another process; stop it, or ask the running service"
    if "No space left" in said:
        return f"{path}: the disk is full; free space"
    if "Permission denied" in said:
        return f"{path}: permission denied; it must belong to the user that mailwake runs as"
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"{path}: too little memory for this; raise store.memory_limit"
    return (
        f"{path} cannot be used: {said}; `mailwake store rebuild` makes it anew from the feed and what it can read of "
        "it, a back-up may have more"
    )
