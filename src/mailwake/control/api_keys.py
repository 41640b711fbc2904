"""The keys of the HTTP API: who may ask for what, until when, and about whose mail.

Only a key's SHA-256 is stored. A slow hash such as argon2 is for passwords, which can be guessed; a key has 256 random
bits, which cannot, and a slow hash would cost each request 20 ms and 19 MiB. Looking the hash up in an index also
leaves nothing to be timed: what a client learns from the time of a comparison are bits of a hash that it cannot choose.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mailwake.errors import MailwakeError
from mailwake.private_sqlite import open_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mailwake.clock import Clock

PREFIX = "mwk_"
"""What every key begins with, so that people and scanners of public code know one when they see it."""

KEY_OCTETS = 32
"""Random octets of a key."""

USE_GRAIN = 3600
"""Seconds; the time of a key's last use is only known so exactly, so that using a key costs no write."""

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""

NAME_LENGTH = 100
"""Characters of a name at most."""

_NO_DIRECTORY = "{}: is no data directory; name the one of `mailwake serve` with --data"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_keys (
    hash BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL, customer TEXT, created INTEGER NOT NULL,
    expires INTEGER, used INTEGER
) WITHOUT ROWID
"""
_FIELDS = "name, scopes, customer, created, expires, used"


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


SCOPE_MEANINGS = {
    Scope.READ: "search events, and count them",
    Scope.WEBHOOKS: "see, make, change and delete webhooks, and have batches sent again",
    Scope.ADMIN: "all of that, and erase or export what is known of a person",
}
"""Each scope in words."""


class ApiKeysError(MailwakeError):
    """The file of keys cannot be read or written, or says no: a name that is taken, a key that is not there."""


class ApiKey(NamedTuple):
    """What is known of a key; times are Unix seconds."""

    name: str
    scopes: frozenset[Scope]
    customer: str | None
    """The customer whose data it is for; None: everybody's."""
    created: int
    expires: int | None
    used: int | None
    """The hour in which it was last used."""

    def may(self, scope: Scope) -> bool:
        """Whether it may do what this scope allows."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class ApiKeys:
    """The keys in the SQLite file `path`, which is private to its owner; any thread may call.

    Every question is asked of the file, so that a key which the command line makes or revokes, in another process, is
    valid or invalid from the next request on. When `create` or `revoke` returns, that is durable.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._noted: dict[str, int] = {}

    def now(self) -> float:
        """The time that keys expire by, Unix seconds."""
        return self._clock.now()

    def create(
        self, name: str, scopes: Iterable[Scope], *, customer: str | None = None, expires: int | None = None
    ) -> str:
        """A new key, which is never to be seen again; ApiKeysError when the name is taken or no name."""
        if not (0 < len(name) <= NAME_LENGTH and name.isprintable() and name == name.strip()):
            raise ApiKeysError(f"{name!r}: a key's name is text on one line, of at most {NAME_LENGTH} characters")
        key = PREFIX + secrets.token_urlsafe(KEY_OCTETS)
        row = (fingerprint(key), name, " ".join(sorted(set(scopes))), customer, int(self._clock.now()), expires)
        with self._errors(), closing(self._open()) as database:
            try:
                database.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
            except sqlite3.IntegrityError:
                raise ApiKeysError(
                    f"{name!r}: there is a key of this name; choose another, or revoke that one first"
                ) from None
        return key

    def find(self, key: str) -> ApiKey | None:
        """What is known of `key`; None when it is none, is revoked or has expired. ApiKeysError if the file fails."""
        return self.find_by(fingerprint(key))

    def find_by(self, key_fingerprint: bytes) -> ApiKey | None:
        """The same by what `fingerprint` says of the key."""
        if not self._there():
            return None
        with self._errors(), closing(self._open()) as database:
            row = database.execute(f"SELECT {_FIELDS} FROM api_keys WHERE hash = ?", (key_fingerprint,)).fetchone()  # noqa: S608  # constants
        found = None if row is None else _from_row(row)
        if found is None or (found.expires is not None and found.expires <= self._clock.now()):
            return None
        return found

    def note_use(self, key: ApiKey) -> None:
        """Remember that it was used in this hour; at most one write an hour, and none that anybody waits for long."""
        hour = int(self._clock.now()) // USE_GRAIN * USE_GRAIN
        if (key.used is not None and key.used >= hour) or self._noted.get(key.name) == hour:
            return
        self._noted[key.name] = hour
        with self._errors(), closing(self._open()) as database:
            database.execute("UPDATE api_keys SET used = ? WHERE name = ?", (hour, key.name))

    def list(self) -> list[ApiKey]:
        """All of them by name, expired ones too; none where there is no file yet."""
        if not self._there():
            return []
        with self._errors(), closing(self._open()) as database:
            return [_from_row(row) for row in database.execute(f"SELECT {_FIELDS} FROM api_keys ORDER BY name")]  # noqa: S608  # constants

    def revoke(self, name: str) -> bool:
        """Forget the key of this name; whether there was one."""
        if not self._there():
            return False
        with self._errors(), closing(self._open()) as database:
            return database.execute("DELETE FROM api_keys WHERE name = ?", (name,)).rowcount > 0

    def _errors(self) -> _Errors:
        return _Errors(self._path)

    def _there(self) -> bool:
        """Whether there is a file; ApiKeysError where there cannot be one."""
        if not self._path.exists() and not self._path.parent.is_dir():
            raise ApiKeysError(_NO_DIRECTORY.format(self._path.parent))
        return self._path.exists()

    def _open(self) -> sqlite3.Connection:
        database = open_private(self._path, timeout=BUSY_TIMEOUT)
        try:
            database.execute(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database


class _Errors:
    """Turns what SQLite and the system say into a line for people."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise ApiKeysError(_NO_DIRECTORY.format(self._path.parent)) from None
        if isinstance(error, sqlite3.Error | OSError):
            raise ApiKeysError(
                f"{self._path}: {error}; see that there is room, and that you are mailwake's user"
            ) from None


def fingerprint(key: str) -> bytes:
    """What is stored of a key (its SHA-256): it finds the key, and opens nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _from_row(row: tuple[str, str, str | None, int, int | None, int | None]) -> ApiKey:
    return ApiKey(row[0], frozenset(map(Scope, row[1].split())), *row[2:])
