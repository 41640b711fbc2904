"""The data directory: made on first start, private to its owner, used by one service at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

from mailwake.errors import StartupError

_CURES = {
    errno.EACCES: "mend the rights: all in it must belong to the user that mailwake runs as (chown -R)",
    errno.EISDIR: "move that directory away",
    errno.EEXIST: "move away the file that stands in its place",
    errno.ENOSPC: "free space",
    errno.ENOTDIR: "move away the file that stands in its place",
}


class DataDirectory:
    """Where a node keeps everything durable: keys, journal, spool, tags; each path is named here and nowhere else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None

    @property
    def keys(self) -> Path:
        """The keyring file."""
        return self.path / "keys.json"

    @property
    def recipient_secret(self) -> Path:
        """The secret of recipients' hashes."""
        return self.path / "recipient-hash.key"

    @property
    def dashboard_secret(self) -> Path:
        """The secret that sessions of the dashboard are sealed with."""
        return self.path / "dashboard.key"

    @property
    def erasures(self) -> Path:
        """The SQLite file of those whose events are to be erased."""
        return self.path / "erasures.sqlite3"

    @property
    def journal(self) -> Path:
        """The directory of the journal's segments."""
        return self.path / "journal"

    @property
    def feed(self) -> Path:
        """The directory of the feed's segments."""
        return self.path / "feed"

    @property
    def positions(self) -> Path:
        """The SQLite file of consumers' positions in the feed."""
        return self.path / "positions.sqlite3"

    @property
    def facts(self) -> Path:
        """The SQLite file of what injections said of their messages."""
        return self.path / "facts.sqlite3"

    @property
    def store(self) -> Path:
        """The directory of the store of events."""
        return self.path / "store"

    @property
    def spool(self) -> Path:
        """The SQLite file of copies that wait."""
        return self.path / "spool.sqlite3"

    @property
    def control(self) -> Path:
        """The SQLite file of the known tags."""
        return self.path / "control.sqlite3"

    @property
    def api_keys(self) -> Path:
        """The SQLite file of the API's keys."""
        return self.path / "api-keys.sqlite3"

    @property
    def api_address(self) -> Path:
        """The file that says where the API is served, while it is."""
        return self.path / "api-address"

    @property
    def webhooks(self) -> Path:
        """The SQLite file of webhooks, their batches and their secrets."""
        return self.path / "webhooks.sqlite3"

    @property
    def ids(self) -> Path:
        """The directory of the marks below which ids have been used."""
        return self.path / "ids"

    @property
    def maildir(self) -> Path:
        """Where `--demo` delivers."""
        return self.path / "maildir"

    def prepare(self) -> None:
        """Make the directory and try to write into it; StartupError says what to do when that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in (self.journal, self.feed, self.ids):
                part.mkdir(exist_ok=True, mode=0o700)
            for part in (self.path, self.journal, self.feed, self.ids):
                probe = part / f".probe-{os.getpid()}"
                probe.write_bytes(bytes(65536))
                probe.unlink()
        except OSError as error:
            raise _unusable(Path(error.filename or self.path), error) from None

    def lock(self) -> None:
        """Claim the directory for this process until it ends; StartupError when another service has it."""
        path = self.path / "lock"
        try:
            handle = path.open("ab")
        except OSError as error:
            raise _unusable(path, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise StartupError(
                f"data_dir: {self.path} is in use by another mailwake; stop it or choose another with --data"
            ) from None
        self._lock = handle

    def unlock(self) -> None:
        """Let go of the claim."""
        claim, self._lock = self._lock, None
        if claim is not None:
            claim.close()

    @property
    def lock_descriptor(self) -> int:
        """The descriptor that holds the claim, for `adopt_lock`."""
        assert self._lock is not None
        return self._lock.fileno()

    def adopt_lock(self, descriptor: int) -> None:
        """Hold a claim that a former version of this process, or its parent, has made."""
        os.set_inheritable(descriptor, False)
        self._lock = os.fdopen(descriptor, "ab")

    def node_id(self, configured: int | None) -> int:
        """The node's number in ids, 0 to 255: the configured one, or one drawn at first start and kept in a file."""
        if configured is not None:
            return configured
        path = self.path / "node_id"
        try:
            return int(path.read_text()) & 255
        except FileNotFoundError:
            drawn = secrets.randbelow(256)
            path.write_text(f"{drawn}\n")
            return drawn
        except OSError as error:
            raise _unusable(path, error) from None
        except ValueError:
            raise StartupError(
                f"{path}: holds no number from 0 to 255; write one into it, or set node_id in the configuration"
            ) from None


def _unusable(path: Path, error: OSError) -> StartupError:
    path = path.parent if path.name.startswith(".probe-") else path
    cure = _CURES.get(error.errno or 0, "free space or mend the rights")
    return StartupError(
        f"data_dir: cannot write to {path}: {error.strerror}; {cure}, or choose another directory with --data"
    )
