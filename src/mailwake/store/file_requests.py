"""Who asked for which file of the store, how far each is, and for how long it is kept.

Nothing of it outlives the process: opening the store again removes the files.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mailwake.first_of import first_of
from mailwake.store.contract import StoreError
from mailwake.store.made_files import Making

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.logs import Logger
    from mailwake.store.contract import FileMakingStore
    from mailwake.store.export import ExportFormat
    from mailwake.store.filters import Filters

KEEP_SECONDS: Final = 3600.0
"""For how long a file waits to be fetched."""

MOST_OF_ONE: Final = 4
"""Exports that one customer may have there, made and in the making, and backups; everybody's are one customer's."""

MOST: Final = 20
_SWEEP_SECONDS = 30.0

NO_SUCH_FILE = "there is no such file: it was removed, or the service has been started anew since"


class FileRequestError(StoreError):
    """There are too many of these files, or none of this id; one line says what to do."""


class FileKind(StrEnum):
    """What a file is of."""

    BACKUP = "backup"
    EXPORT = "export"


class FileState(StrEnum):
    """How far a file is."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True)
class StoreFile:
    """A file that was asked for; times are Unix seconds."""

    id: str
    kind: FileKind
    customer: str | None
    """Whose events are in it; None: everybody's."""
    name: str
    media_type: str
    begun: float
    making: Making = field(default_factory=Making)
    path: Path | None = None
    ended: float | None = None
    error: str = ""

    @property
    def state(self) -> FileState:
        """How far it is."""
        if self.error:
            return FileState.FAILED
        return FileState.MAKING if self.path is None else FileState.READY


class StoreFiles:
    """Has files made; `run` it, so that they are removed after an hour, and given up at the end."""

    name = "store files"

    def __init__(self, store: FileMakingStore, *, clock: Clock, log: Logger | None) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._files: dict[str, StoreFile] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def backup(self) -> StoreFile:
        """Begin a backup; FileRequestError when there is one in the making, or too much already."""
        if any(each.kind is FileKind.BACKUP and each.state is FileState.MAKING for each in self._files.values()):
            raise FileRequestError("a backup is in the making; wait for it")
        wanted = self._noted(FileKind.BACKUP, None, "duckdb", "application/vnd.duckdb")
        self._begin(wanted, self._store.backup(wanted.name, wanted.making))
        return wanted

    def export(self, filters: Filters, form: ExportFormat) -> StoreFile:
        """Begin an export; FileRequestError when there are too many already. One is made after the other."""
        wanted = self._noted(FileKind.EXPORT, filters.only_customer, form.suffix, form.media_type)
        self._begin(wanted, self._store.export(filters, form, wanted.name, wanted.making))
        return wanted

    def all(self, customer: str | None) -> list[StoreFile]:
        """What this customer has asked for, or everybody, the oldest first."""
        self._sweep()
        return [each for each in self._files.values() if customer is None or each.customer == customer]

    def get(self, file_id: str, customer: str | None) -> StoreFile:
        """One of them; FileRequestError when there is none of this id that this customer may see."""
        for each in self.all(customer):
            if each.id == file_id:
                return each
        raise FileRequestError(NO_SUCH_FILE)

    def remove(self, file_id: str, customer: str | None) -> None:
        """Remove it, or give it up if it is in the making."""
        self._drop(self.get(file_id, customer))

    async def run(self, stop: asyncio.Event) -> None:
        """Remove what nobody fetches, until `stop` is set; then give up what is being made."""
        while not stop.is_set():
            self._sweep()
            await first_of(stop, seconds=_SWEEP_SECONDS)
        for each in list(self._files.values()):
            self._drop(each)
        await asyncio.gather(*self._tasks)

    def _noted(self, kind: FileKind, customer: str | None, suffix: str, media_type: str) -> StoreFile:
        self._sweep()
        # Exports of customers must not keep the operator from a backup.
        of_kind = [each for each in self._files.values() if each.kind is kind]
        own = sum(each.customer == customer for each in of_kind)
        if own >= MOST_OF_ONE or len(of_kind) >= MOST:
            raise FileRequestError(
                f"there are {own if own >= MOST_OF_ONE else len(of_kind)} {kind}s already; remove some "
                "(DELETE /api/v1/store/files/{id}), or wait an hour"
            )
        file_id, now = secrets.token_hex(8), self._clock.now()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        wanted = StoreFile(file_id, kind, customer, f"{kind}-{stamp}-{file_id}.{suffix}", media_type, now)
        self._files[file_id] = wanted
        return wanted

    def _begin(self, wanted: StoreFile, making: Coroutine[object, object, Path]) -> None:
        task = asyncio.create_task(self._follow(wanted, making))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, wanted: StoreFile, making: Coroutine[object, object, Path]) -> None:
        try:
            path = await making
        except StoreError as error:
            wanted.error = str(error)
            if self._log is not None and not wanted.making.is_given_up:
                self._log.error("a file cannot be made of the store", path=wanted.name, error=wanted.error)
        except Exception:  # a defect of ours: whoever asked must not wait for ever
            if self._log is None:
                raise
            wanted.error = "it failed; the log has the reason"
            self._log.exception("a file cannot be made of the store", path=wanted.name)
        else:
            wanted.path = path
            if wanted.making.is_given_up:
                path.unlink(missing_ok=True)
            elif self._log is not None:
                seconds = round(self._clock.now() - wanted.begun, 1)
                self._log.info(
                    "a file is made of the store",
                    path=wanted.name,
                    events=wanted.making.events,
                    octets=wanted.making.octets,
                    seconds=seconds,
                )
        wanted.ended = self._clock.now()

    def _sweep(self) -> None:
        for each in list(self._files.values()):
            if each.path is not None and not each.error and not each.path.exists():
                each.error = "it is gone: somebody in it was erased, or it was moved away"
            if each.ended is not None and self._clock.now() >= each.ended + KEEP_SECONDS:
                self._drop(each)

    def _drop(self, wanted: StoreFile) -> None:
        wanted.making.give_up()
        if wanted.path is not None:
            wanted.path.unlink(missing_ok=True)
        self._files.pop(wanted.id, None)
