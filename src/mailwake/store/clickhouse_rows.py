"""Events as rows in ClickHouse, there and back: in as lines of JSON, out as arrays of JSON."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from mailwake.events.model import Event
from mailwake.store.clickhouse_schema import ID_SQL, LOADER, TEXT_SQL, derived_sql, type_of
from mailwake.store.rows import event_of
from mailwake.store.schema import COLUMNS, DERIVED, DOCUMENT, LOAD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.store.clickhouse_http import ClickHouseHttp

_encode_lines = msgspec.json.Encoder().encode_lines

_GIVEN = ", ".join(f"{name} {type_of(name)}" for name in COLUMNS).replace("'", "\\'")
_TARGET = ", ".join((*COLUMNS, *DERIVED, LOADER, LOAD))
_VALUES = ", ".join((*(TEXT_SQL if name == "message_id" else name for name in COLUMNS), *derived_sql().values()))
_INSERT = (
    f"INSERT INTO events ({_TARGET}) SELECT {_VALUES}, {{loader}}, {{number}}"  # noqa: S608  (names from tables of ours)
    f" FROM input('{_GIVEN}') FORMAT JSONEachRow"
)

SELECTED = ", ".join(ID_SQL if name == "message_id" else name for name in COLUMNS)
"""The columns that `events_of` takes."""

_FIELDS: Mapping[str, Any] = get_type_hints(Event)
_ROW: Any = tuple.__class_getitem__(tuple(str if COLUMNS[name] == DOCUMENT else _FIELDS[name] for name in COLUMNS))
_decode_rows = msgspec.json.Decoder(_ROW).decode_lines

_decode_values = msgspec.json.Decoder(list[Any]).decode_lines


def add(server: ClickHouseHttp, events: Sequence[Event], loader: int, number: int) -> None:
    """Add these events as a load of a loader; when it returns, they survive power loss."""
    lines = _encode_lines(events)
    # The same lines of the same load, given again while the first attempt still runs, are passed over.
    token = f"{loader}-{number}-{hashlib.blake2b(lines, digest_size=16).hexdigest()}"
    settings: dict[str, str | int] = {
        "insert_deduplication_token": token,
        "async_insert": 0,
        "max_partitions_per_insert_block": 0,
        "input_format_json_read_objects_as_strings": 1,
    }
    server.insert(
        _INSERT.replace("{loader}", f"{loader:d}").replace("{number}", f"{number:d}"), lines, settings=settings
    )


def events_of(answer: bytes) -> list[Event]:
    """The events of an answer whose rows are SELECTED."""
    return [event_of(row) for row in _decode_rows(answer)]


def values_of(answer: bytes) -> list[list[Any]]:
    """The rows of any answer."""
    return _decode_values(answer)
