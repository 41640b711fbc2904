"""Files of the store: backups and exports, which are begun, looked at, fetched and removed."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mailwake.api.errors import ApiError, Fault
from mailwake.api.event_filters import FILTERS, TIME_ZONE, UNSUPPORTED, bad_questions, filters_of, span_of, store_of
from mailwake.api.file_reply import FileReply
from mailwake.api.parameters import DELIMITER, Parameter, choice, list_of, time
from mailwake.api.routes import Route
from mailwake.clock import iso_time
from mailwake.control.api_keys import Scope
from mailwake.events.model import EventType
from mailwake.store.export import ExportFormat
from mailwake.store.file_requests import KEEP_SECONDS, NO_SUCH_FILE, FileKind, FileRequestError, FileState
from mailwake.store.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.api.routes import Call
    from mailwake.store.file_requests import StoreFile, StoreFiles

STATUS = "/api/v1/store/status"
BACKUPS = "/api/v1/store/backups"
EXPORTS = "/api/v1/store/exports"
FILES = "/api/v1/store/files"

MOST_DOWNLOADS = 4
"""Files that are fetched at once: each may take as long as its client's line does."""

_TYPES = {kind.wire_name: kind for kind in EventType}


@dataclass(slots=True)
class StoreFileParts:
    """What answers requests about files of the store."""

    files: StoreFiles
    downloads: int = 0
    """Files that are being fetched."""


class StatusShown(msgspec.Struct, kw_only=True):
    """The store in figures; times are those of events."""

    events: int
    oldest: str | None
    newest: str | None
    octets: int
    position: str
    format: int


class FileShown(msgspec.Struct, kw_only=True):
    """A file; `octets_expected` and `events` where they are known."""

    id: str
    kind: str
    state: str
    name: str
    created: str
    expires: str | None
    events: int | None
    octets: int
    octets_expected: int | None
    error: str | None


_EXAMPLE = {
    "id": "6d1f3a0b9c2e4578",
    "kind": "backup",
    "state": "ready",
    "name": "backup-20261126T190000Z-6d1f3a0b9c2e4578.duckdb",
    "created": "2026-11-26T19:00:00.000Z",
    "expires": "2026-11-26T20:00:02.000Z",
    "events": 1_200_000,
    "octets": 91_234_304,
    "octets_expected": 91_234_304,
    "error": None,
}


async def _status(call: Call) -> StatusShown:
    if call.customer is not None:
        raise ApiError(Fault.FORBIDDEN, "the store has all customers' events; this needs a key bound to no customer")
    known = await store_of(call).status()
    return StatusShown(
        events=known.events,
        oldest=_time(known.oldest),
        newest=_time(known.newest),
        octets=known.octets,
        position=str(known.position),
        format=known.format,
    )


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else iso_time(milliseconds / 1000)


def _parts(call: Call) -> StoreFileParts:
    if call.parts.store_files is None:
        store_of(call)
        raise ApiError(
            Fault.BUSY, "files are made of a DuckDB store alone; ClickHouse has BACKUP and SELECT … INTO OUTFILE itself"
        )
    return call.parts.store_files


async def _backup(call: Call) -> FileShown:
    parts = _parts(call)
    if call.customer is not None:
        raise ApiError(Fault.FORBIDDEN, "a backup has all customers' events; this needs a key bound to no customer")
    try:
        return _shown(parts.files.backup())
    except FileRequestError as error:
        raise ApiError(Fault.CONFLICT, str(error)) from None


async def _export(call: Call) -> FileShown:
    parts = _parts(call)
    filters = filters_of(call, span_of(call, before=1 << 60))
    filters |= {field: None for field, name in (("since", "from"), ("until", "to")) if name not in call.query}
    with bad_questions():
        wanted = Filters(**filters, types=tuple(_TYPES[each] for each in call.query.get("events", ())))
    try:
        return _shown(parts.files.export(wanted, ExportFormat(call.query["format"])))
    except FileRequestError as error:
        raise ApiError(Fault.CONFLICT, str(error)) from None


async def _files(call: Call) -> list[FileShown]:
    return [_shown(each) for each in _parts(call).files.all(call.customer) if _may_see(call, each)]


def _of(call: Call) -> StoreFile:
    with _not_found():
        found = _parts(call).files.get(call.path["id"], call.customer)
        if not _may_see(call, found):
            raise FileRequestError(NO_SUCH_FILE)
        return found


def _may_see(call: Call, wanted: StoreFile) -> bool:
    # Without a key it is the owner of the data directory who asks (`cli/ask_store.py`): every route here needs one.
    return wanted.kind is not FileKind.BACKUP or call.key is None or call.key.may(Scope.ADMIN)


@contextmanager
def _not_found() -> Iterator[None]:
    try:
        yield
    except FileRequestError as error:
        raise ApiError(Fault.NOT_FOUND, str(error)) from None


async def _file(call: Call) -> FileShown:
    return _shown(_of(call))


async def _remove(call: Call) -> None:
    _parts(call).files.remove(_of(call).id, call.customer)


async def _content(call: Call) -> FileReply:
    parts, wanted = _parts(call), _of(call)
    if wanted.path is None or wanted.state is not FileState.READY:
        raise ApiError(Fault.CONFLICT, wanted.error or "it is in the making; ask again when its state is ready")
    if parts.downloads >= MOST_DOWNLOADS:
        raise ApiError(Fault.BUSY, f"{MOST_DOWNLOADS} files are fetched just now", headers={"retry-after": "10"})
    try:
        opened = await asyncio.to_thread(wanted.path.open, "rb")
    except FileNotFoundError:
        raise ApiError(Fault.NOT_FOUND, "it was removed just now; have it made anew") from None

    def ended() -> None:
        parts.downloads -= 1

    parts.downloads += 1
    return FileReply(opened, os.fstat(opened.fileno()).st_size, wanted.media_type, wanted.name, ended)


def _shown(wanted: StoreFile) -> FileShown:
    return FileShown(
        id=wanted.id,
        kind=wanted.kind,
        state=wanted.state,
        name=wanted.name,
        created=iso_time(wanted.begun),
        expires=None if wanted.ended is None else iso_time(wanted.ended + KEEP_SECONDS),
        events=wanted.making.events,
        octets=wanted.making.octets,
        octets_expected=wanted.making.octets_expected,
        error=wanted.error or None,
    )


_ID = {"id": "The id that the request was answered with."}
_ONE = {"results": _EXAMPLE}

STORE_ROUTES = (
    Route(
        method="GET",
        path=STATUS,
        summary="What the store holds",
        details="`position` is how far the feed is loaded, `format` the version of the tables, `octets` its room on "
        "the disk.",
        answer=_status,
        scope=Scope.ADMIN,
        result=dict[str, StatusShown],
        result_example={
            "results": {
                "events": 1_200_000,
                "oldest": "2025-10-22T19:00:00Z",
                "newest": "2026-11-26T18:59:58Z",
                "octets": 91_234_304,
                "position": "7:1048576",
                "format": 2,
            }
        },
    ),
    Route(
        method="POST",
        path=BACKUPS,
        summary="Begin a backup of the store",
        details="A file is made that opens by itself as `store/store.duckdb`, of one moment, while the store loads and "
        "answers. Look at it until its `state` is `ready`, then fetch it, and remove it; after an hour it is removed "
        "anyway. `mailwake store backup` does all of that.",
        answer=_backup,
        scope=Scope.ADMIN,
        status=202,
        faults=(Fault.CONFLICT,),
        result=dict[str, FileShown],
        result_example=_ONE,
    ),
    Route(
        method="POST",
        path=EXPORTS,
        summary="Begin an export of events",
        details="A file is made of the events that fulfil the filters, which are those of searches; "
        "the reference of exports has its columns. A key that is bound to a customer gets that customer's. In `csv`, "
        "text that a spreadsheet would take for a formula has an apostrophe before it; `csv-exact` and `parquet` have "
        "all text as it is. Then as for a backup.",
        answer=_export,
        scope=Scope.READ,
        query=(
            Parameter(name="format", kind=choice(*ExportFormat), doc="The form.", default=ExportFormat.PARQUET.value),
            Parameter(name="from", kind=time(), doc="The first moment. Without it: from the first event on."),
            Parameter(name="to", kind=time(), doc="The moment behind the last. Without it: to the last event."),
            TIME_ZONE,
            Parameter(name="events", kind=list_of(choice(*_TYPES)), doc="Types of events."),
            *FILTERS,
            DELIMITER,
        ),
        unsupported=UNSUPPORTED,
        status=202,
        faults=(Fault.CONFLICT,),
        result=dict[str, FileShown],
        result_example=_ONE,
    ),
    Route(
        method="GET",
        path=FILES,
        summary="List the backups and exports that are there",
        answer=_files,
        scope=Scope.READ,
        result=dict[str, list[FileShown]],
        result_example={"results": [_EXAMPLE]},
    ),
    Route(
        method="GET",
        path=FILES + "/{id}",
        summary="How far one is",
        details="`state` is `making`, `ready` or `failed`; of a failed one, `error` has the reason.",
        answer=_file,
        scope=Scope.READ,
        path_docs=_ID,
        faults=(Fault.NOT_FOUND,),
        result=dict[str, FileShown],
        result_example=_ONE,
    ),
    Route(
        method="GET",
        path=FILES + "/{id}/content",
        summary="Fetch one",
        details="It may take as long as it takes; a client that takes nothing for 30 seconds is disconnected.",
        answer=_content,
        scope=Scope.READ,
        path_docs=_ID,
        result={"type": "string", "format": "binary"},
        media_type="application/octet-stream",
        faults=(Fault.NOT_FOUND, Fault.CONFLICT),
    ),
    Route(
        method="DELETE",
        path=FILES + "/{id}",
        summary="Remove one, or give it up",
        answer=_remove,
        scope=Scope.READ,
        path_docs=_ID,
        status=204,
        faults=(Fault.NOT_FOUND,),
    ),
)
"""Backups need a key of scope admin that is bound to no customer; exports follow their key."""
