"""Files that are made of the store while it works (backups, exports), so that none holds what was erased meanwhile.

A file is made beside the store, under another name until it is whole. An erasure ends whatever is being made, removes
what is whole and still there, and lets the makers begin anew behind it.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mailwake.disk_room import free_octets
from mailwake.durable_names import sync_directory
from mailwake.store.contract import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

MADE = "made"
"""The directory of these files, in the store's own: the engine writes nowhere else."""

_PART = ".part"
_OUTDATED = "somebody is erased meanwhile"
_LOOK_SECONDS = 0.1
"""How often somebody looks whether what a statement writes is still wanted, and has room."""


class OutdatedError(StoreError):
    """What is being made would hold what has been erased: it is made anew."""


class Making:
    """A file in the making; any thread may look how far it is, or have it given up."""

    def __init__(self) -> None:
        self.octets = 0
        """Written so far."""
        self.octets_expected: int | None = None
        """All of it, where that is known before."""
        self.events: int | None = None
        """Events in it, once it is whole."""
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Have it ended, with StoreError; what there is of it is removed."""
        self._given_up.set()

    @property
    def is_given_up(self) -> bool:
        """Whether nobody wants it any more."""
        return self._given_up.is_set()


class MadeFiles:
    """The directory of such files, which is emptied when the store is opened; `reserve` is room left to others."""

    def __init__(self, directory: Path, reserve: int) -> None:
        self._directory = directory
        self._reserve = reserve
        self._changed = threading.Condition()
        self._held = False
        self._ended = False
        self._erasures = 0
        self._reading = 0

    def empty(self) -> None:
        """Remove all, what is whole and what is not."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def make(self, name: str, making: Making, attempt: Callable[[Path], None]) -> Path:
        """Have `attempt` write a file, again after each erasure; the whole one's path, mode 0600, synced.

        StoreError when it fails or is given up; nothing is left of it then.
        """
        part, whole = self._directory / (name + _PART), self._directory / name
        try:
            while True:
                erasures = self._wait_for_turn(making)
                self._directory.mkdir(mode=0o700, exist_ok=True)
                try:
                    attempt(part)
                    _sync(part)
                    making.octets = part.stat().st_size
                    if self._name(part, whole, erasures):
                        return whole
                except Exception:
                    if self._erasures == erasures:
                        raise
                    # Its file was removed under its hands.
        finally:
            for each in self._directory.glob("*"):  # a log beside it, or what did not fit into the memory
                if each.name.startswith(part.name):
                    _remove(each)

    def _wait_for_turn(self, making: Making) -> int:
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._ended)
            self._check(making)
            return self._erasures

    def _name(self, part: Path, whole: Path, erasures: int) -> bool:
        """Give the file its name, unless somebody was erased since."""
        with self._changed:
            if self._erasures != erasures:
                return False
            part.replace(whole)
        sync_directory(self._directory)
        return True

    def check(self, making: Making, octets: int = 0) -> None:
        """StoreError when it is not wanted any more, or so many octets more have no room."""
        with self._changed:
            self._check(making)
        if free_octets(self._directory) < octets + self._reserve:
            raise StoreError(
                f"{self._directory}: there is no room for {octets or 'more'} octets beside the {self._reserve} that "
                "min_free_space keeps; free space"
            )

    def _check(self, making: Making) -> None:
        if self._ended:
            raise StoreUnavailableError("the store is closed, as the service ends; begin anew when it runs again")
        if making.is_given_up:
            raise StoreError("it was given up")

    @contextmanager
    def reading(self, database: duckdb.DuckDBPyConnection, part: Path, making: Making) -> Iterator[None]:
        """Around the statement that writes `part`: it is interrupted when it has to end, and the reason is raised."""
        with self._changed:
            if self._held:
                raise OutdatedError(_OUTDATED)
            self._reading += 1
        left, reasons = threading.Event(), list[Exception]()
        watch = threading.Thread(target=self._watch, args=(database, part, making, left, reasons), daemon=True)
        watch.start()
        try:
            yield
        except Exception:
            if reasons:
                raise reasons[0] from None
            raise
        finally:
            left.set()
            watch.join()
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    def _watch(
        self,
        database: duckdb.DuckDBPyConnection,
        part: Path,
        making: Making,
        left: threading.Event,
        reasons: list[Exception],
    ) -> None:
        while not left.wait(_LOOK_SECONDS):
            with suppress(OSError):
                making.octets = part.stat().st_size
            try:
                self.check(making)
                if self._held:
                    raise OutdatedError(_OUTDATED)
            except (StoreError, OSError) as error:
                reasons.append(error)
                database.interrupt()  # and again: between two statements it has no effect

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """Around an erasure: nothing is read out meanwhile, and what was read out before is gone."""
        with self._changed:
            self._held = True
            self._erasures += 1
            self._changed.wait_for(lambda: self._reading == 0)
        self.empty()
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def end(self) -> None:
        """Have everything given up that is being made; nothing more can be."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    os.chmod(path, 0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
