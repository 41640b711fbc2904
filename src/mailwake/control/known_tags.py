"""The tags that the whole system knows: a durable set of limited size, shared by all workers (1-injection §2)."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mailwake.errors import MailwakeError
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

REFRESH = 5.0
"""Seconds between two looks at the file: so long may it take until a freed tag, or room for new ones, is noticed."""

BUSY_TIMEOUT = 0.2
"""Seconds to wait for another process that is writing; messages wait with us, so it is short."""

_OPEN_ATTEMPTS = 10
_OPEN_PAUSE = 0.01

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS known_tags (tag TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID",
    # At most one row: the operator's limit, which wins over the configured one.
    "CREATE TABLE IF NOT EXISTS known_tags_limit (one INTEGER PRIMARY KEY CHECK (one = 1), tags INTEGER NOT NULL)",
)

T = TypeVar("T")


class KnownTagsError(MailwakeError):
    """The operator's question cannot be answered now: the file is missing, damaged or locked."""


@dataclass(frozen=True, slots=True)
class KnownTag:
    """A tag of the set, and when it came into it (Unix seconds)."""

    tag: str
    since: float


class KnownTags:
    """The set as one process sees it; to be made after forking, used by one thread.

    When `admit` returns, the tags it returned are in the set on disk (SQLite, WAL, synchronous=FULL), or were at the
    last look. The limit holds over all processes, as new tags are added in a transaction that counts first. Known tags
    cost nothing but a look-up in memory; the file is read again every REFRESH seconds, and written when a new tag comes
    and there is room. `limit` is the configured size; one that the operator has put into the file wins over it, for all
    processes. Where more tags are known than the limit allows they stay known, and no new ones come in. A file that
    fails or is locked never stops a message: until the next look only the tags known so far are admitted, and the
    others counted.
    """

    def __init__(self, path: Path, limit: int, *, clock: Clock, metrics: Metrics, log: Logger) -> None:
        self._path = path
        self._configured_limit = limit
        self._limit = limit
        self._clock = clock
        self._log = log
        self._known: set[str] = set()
        self._next_look = clock.monotonic()
        self._usable = False
        self._database: sqlite3.Connection | None = None
        self._over_limit = metrics.counter("tags_ignored_total", "system")
        self._unavailable = metrics.counter("tags_ignored_total", "unavailable")

    def admit(self, tags: Sequence[str]) -> list[str]:
        """Those of `tags` that are in the set, in their order, after adding new ones as long as there is room."""
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + REFRESH
            self._usable = True
            self._attempt(self._look)
        new = [tag for tag in tags if tag not in self._known]
        if new and self._usable and len(self._known) < self._limit:
            self._attempt(lambda database: self._add(database, new))
        admitted = [tag for tag in tags if tag in self._known]
        if len(admitted) < len(tags):
            (self._over_limit if self._usable else self._unavailable).inc(len(tags) - len(admitted))
        return admitted

    def known(self, tags: Sequence[str]) -> list[str]:
        """Those of `tags` that are in the set as far as this process has looked; none is added, and none counted."""
        return [tag for tag in tags if tag in self._known]

    def close(self) -> None:
        """Close the file; a later `admit` opens it again at its next look."""
        if self._database is not None:
            self._database.close()
        self._database = None
        self._usable = False

    def _attempt(self, act: Callable[[sqlite3.Connection], None]) -> None:
        """Act on the file; on failure log it once and leave the file alone until the next look."""
        try:
            if self._database is None:
                self._database = _open(self._path)
            act(self._database)
        except (sqlite3.Error, OSError) as error:
            self._log.warning("known_tags_unavailable", path=str(self._path), error=str(error))
            self.close()

    def _look(self, database: sqlite3.Connection) -> None:
        self._known = {tag for (tag,) in database.execute("SELECT tag FROM known_tags")}
        self._read_limit(database)

    def _read_limit(self, database: sqlite3.Connection) -> None:
        found = _limit_of(database)
        self._limit = self._configured_limit if found is None else found

    def _add(self, database: sqlite3.Connection, new: list[str]) -> None:
        now = self._clock.now()
        with closing(database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                known = {tag for (tag,) in cursor.execute("SELECT tag FROM known_tags")}
                self._read_limit(database)
                room = max(0, self._limit - len(known))
                added = [tag for tag in dict.fromkeys(new) if tag not in known][:room]
                cursor.executemany("INSERT INTO known_tags VALUES (?, ?)", [(tag, now) for tag in added])
                cursor.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        self._known = known.union(added)


def list_tags(path: Path) -> list[KnownTag]:
    """All known tags, the oldest first; none where the file does not exist yet. Raises KnownTagsError."""

    def read(database: sqlite3.Connection) -> list[KnownTag]:
        rows = database.execute("SELECT tag, since FROM known_tags ORDER BY since, tag")
        return [KnownTag(tag, since) for tag, since in rows]

    return _ask(path, read, [])


def free_tag(path: Path, tag: str) -> bool:
    """Take a tag out of the set, so that another finds room; whether it was in it. Raises KnownTagsError.

    Running workers notice within REFRESH seconds; a message that carries the tag puts it back when there is room.
    """
    freed = _ask(path, lambda database: database.execute("DELETE FROM known_tags WHERE tag = ?", (tag,)).rowcount, 0)
    return freed > 0


def operator_limit(path: Path) -> int | None:
    """The limit that `set_limit` has set; None where the configured one applies. Raises KnownTagsError."""
    return _ask(path, _limit_of, None)


def set_limit(path: Path, limit: int | None) -> None:
    """Set how many tags may be known, over the configured number; None lets that apply again. Raises KnownTagsError.

    When it returns, the limit is on disk and holds for all workers and after restarts. Workers notice a higher one
    within REFRESH seconds, and a lower one at the next new tag. Tags that are known stay known under any limit.
    """

    def write(database: sqlite3.Connection) -> None:
        if limit is None:
            database.execute("DELETE FROM known_tags_limit")
        else:
            database.execute("INSERT OR REPLACE INTO known_tags_limit VALUES (1, ?)", (limit,))

    if limit is not None and path.parent.is_dir() and not path.exists():
        prepare_tags(path)
    _ask(path, write, None)


def _limit_of(database: sqlite3.Connection) -> int | None:
    row = database.execute("SELECT tags FROM known_tags_limit").fetchone()
    return None if row is None else int(row[0])


def _ask(path: Path, question: Callable[[sqlite3.Connection], T], without_file: T) -> T:
    """The answer of the file; `without_file` where there is none yet. Raises KnownTagsError."""
    if not path.exists():
        if path.parent.is_dir():
            return without_file
        raise KnownTagsError(f"{path.parent}: is no data directory; name the one of `mailwake serve` with --data")
    try:
        with closing(_open(path)) as database:
            return question(database)
    except (sqlite3.Error, OSError) as error:
        raise KnownTagsError(f"{path}: {error}; see that there is room, and that you are mailwake's user") from None


def prepare_tags(path: Path) -> None:
    """Make the file, so that workers which start together need not race for it. Raises KnownTagsError."""
    try:
        _open(path).close()
    except (sqlite3.Error, OSError) as error:
        raise KnownTagsError(f"{path}: {error}; free space or rights, or move the file away") from None


def _open(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions."""
    for attempts_left in range(_OPEN_ATTEMPTS - 1, -1, -1):
        database = open_private(path, timeout=BUSY_TIMEOUT)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            for statement in _SCHEMA:
                database.execute(statement)
        except BaseException as error:
            database.close()
            # While another process makes the file a WAL one, SQLite says "locked" at once, without waiting.
            if not (attempts_left and isinstance(error, sqlite3.OperationalError) and "locked" in str(error)):
                raise
            time.sleep(_OPEN_PAUSE)
        else:
            return database
    raise AssertionError("the last attempt returns or raises")
