"""The keyring on disk: a JSON file that only its owner may read, made on first start and replaced as a whole."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from mailwake.clock import SystemClock
from mailwake.durable_names import sync_directory
from mailwake.links.keyring import Key, Keyring, KeyringError, decode_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailwake.clock import Clock

RELOAD_PAUSE = 1.0
"""Seconds between two looks at the file for the sake of unknown key ids, of which forgers can send any number."""


class _StoredKey(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    secret: str
    created: int = 0


class _StoredKeyring(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    current: int
    keys: list[_StoredKey]


class KeyringFile:
    """`keys.json`: read by every worker, replaced atomically, never written over when it cannot be understood."""

    def __init__(
        self, path: Path, *, clock: Clock | None = None, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._seen: tuple[int, int, int] | None = None
        self._next_look = float("-inf")

    def load_or_create(self) -> Keyring:
        """The keyring, made with one fresh key if there is no file; several processes may call this at once.

        Raises KeyringError, one line that says what to do, when the file is damaged or others can read it.
        """
        if not self._path.exists():
            keyring = Keyring.new(self._random_bytes, int(self._clock.now()))
            with self._written(keyring) as written, contextlib.suppress(FileExistsError):
                os.link(written, self._path)  # unlike rename, leaves the file of a process that was quicker
                sync_directory(self._path.parent)
        return self.load()

    def load(self) -> Keyring:
        """The keyring as it is in the file; KeyringError also when there is no file."""
        try:
            with self._path.open("rb") as file:
                facts = os.fstat(file.fileno())
                self._refuse_if_readable_by_others(facts)
                content = file.read()
        except FileNotFoundError:
            raise KeyringError(f"{self._path}: there are no keys yet; start the service once, or give --data") from None
        except OSError as error:
            raise KeyringError(f"{self._path}: cannot read the keys: {error.strerror}; mend the rights") from None
        keyring = self._parse(content)
        self._seen = _identity(facts)
        return keyring

    def reload_if_changed(self) -> Keyring | None:
        """The keyring if the file is another than the one last loaded, else None; costs one `stat`.

        A file that is missing or damaged by now counts as unchanged: the keys in memory still work.
        """
        try:
            if _identity(self._path.stat()) == self._seen:
                return None
            return self.load()
        except (OSError, KeyringError):
            return None

    def reload_for_unknown_key(self) -> Keyring | None:
        """As `reload_if_changed`, but looks at most once a second: for a token whose key id is unknown."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return None
        self._next_look = now + RELOAD_PAUSE
        return self.reload_if_changed()

    def rotate(self) -> Keyring:
        """Add a fresh key that seals from now on, keep the others; returns when the file is durable."""
        with self._locked():
            keyring = self.load().rotated(self._random_bytes, int(self._clock.now()))
            with self._written(keyring) as written:
                os.replace(written, self._path)
                sync_directory(self._path.parent)
        return self.load()

    def _refuse_if_readable_by_others(self, facts: os.stat_result) -> None:
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            raise KeyringError(
                f"{self._path}: others may read or change the keys (mode {mode:04o}); run: chmod 600 {self._path}"
            )

    def _parse(self, content: bytes) -> Keyring:
        advice = "restore it from a backup (without it, links already sent are lost); it was not changed"
        try:
            stored = msgspec.json.decode(content, type=_StoredKeyring)
        except (msgspec.MsgspecError, ValueError) as error:
            raise KeyringError(f"{self._path}: is damaged ({error}); {advice}") from None
        if stored.version != 1:
            raise KeyringError(f"{self._path}: has version {stored.version}, this release reads 1; upgrade mailwake")
        try:
            keys = [Key(key.id, decode_secret(key.id, key.secret), key.created) for key in stored.keys]
            return Keyring.of(keys, stored.current)
        except KeyringError as error:
            raise KeyringError(f"{self._path}: is damaged ({error}); {advice}") from None

    @contextlib.contextmanager
    def _written(self, keyring: Keyring) -> Iterator[Path]:
        # A complete, durable file beside the real one, to be linked or renamed into place; removed in any case.
        name = f".{self._path.name}.{os.getpid()}.{os.urandom(4).hex()}"
        temporary = self._path.with_name(name)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_serialise(keyring))
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        except OSError as error:
            raise KeyringError(
                f"{self._path}: cannot write the keys: {error.strerror}; free space, mend the rights or use --data"
            ) from None
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The lock is on the file itself; whoever waited for one that was replaced meanwhile must lock the new one.
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self.load()  # says what to do
                raise
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_ino != self._path.stat().st_ino:
                    continue
                yield
                return
            finally:
                os.close(descriptor)


def _identity(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _serialise(keyring: Keyring) -> bytes:
    stored = _StoredKeyring(
        version=1,
        current=keyring.current,
        keys=[_StoredKey(key.id, base64.b64encode(key.secret).decode(), key.created) for key in keyring.keys.values()],
    )
    return msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n"
