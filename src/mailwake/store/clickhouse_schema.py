"""The tables in ClickHouse: the same columns as in `schema`, for a server that several nodes may load.

`events` is a ReplacingMergeTree: of an event that was loaded twice (a load whose answer was lost) the copy that came
first is kept, sooner or later; until then FINAL or LIMIT 1 BY passes over the others. All copies have the same time, so
they have the same place in the order and the same month. There are no transactions: an event is there for others when
`loads` says that the load which brought it is done.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mailwake.store.message_number import FOREIGN, HASHED
from mailwake.store.schema import COLUMNS, DERIVED, DOCUMENT, LOAD, TAGS, TEXT, marks_sql

if TYPE_CHECKING:
    from collections.abc import Callable

LOADER = "loader"
"""The column that says whose load brought an event: each node numbers its own."""

_FEW_VALUES = (
    *("customer_id", "campaign_id", "recipient_domain", "routing_domain", "sending_domain", "rcpt_type", "node_name"),
    *("pathway", "delv_method", "agent_family", "device_brand", "device_family", "os_family", "os_version"),
    *("country", "region", "bot_reason"),
)
"""Columns of text with few different values: kept as numbers of a list."""

NUMBERS = {
    "UTINYINT": "UInt8",
    "USMALLINT": "UInt16",
    "UINTEGER": "UInt32",
    "UBIGINT": "UInt64",
    "BIGINT": "Int64",
    "DOUBLE": "Float64",
    "BOOLEAN": "Bool",
}
_NEVER_NULL = ("type", "event_id", "timestamp", "transmission_id")


def type_of(name: str) -> str:
    """The type of a column of `schema.COLUMNS`."""
    kind = COLUMNS[name]
    if kind in (TEXT, DOCUMENT):
        return "String"
    if kind == TAGS:
        return "Array(String)"
    return NUMBERS[kind] if name in _NEVER_NULL else f"Nullable({NUMBERS[kind]})"


def _column(name: str) -> str:
    kind = type_of(name)
    if name in _FEW_VALUES:
        kind = f"LowCardinality({kind})"
    codec = " CODEC(Delta, ZSTD(1))" if name in ("timestamp", "injection_time") else " CODEC(ZSTD(1))"
    return f"{name} {kind}{codec}"


def hexadecimal(number: str, digits: int) -> str:
    """A number in so many hex digits."""
    return f"leftPad(lower(hex({number})), {digits}, '0')"


def _hash(text: str, at: int, octets: int) -> str:
    return f"reinterpretAsUInt{8 * octets}(substring(MD5({text}), {at + 1}, {octets}))"


INDEX_SQL = (
    f"if(match(message_id, '^[0-9a-f]{{20}}$') AND substring(message_id, 1, 16) = {hexadecimal('transmission_id', 16)},"
    " toUInt32(reinterpretAsUInt16(reverse(unhex(substring(message_id, 17, 4))))),"
    f" toUInt32({FOREIGN} + bitAnd({_hash('message_id', 8, 8)}, {HASHED})))"
)
"""`message_number.index_of`, over a whole message id."""

TEXT_SQL = f"if({INDEX_SQL} < {FOREIGN}, '', message_id)"
"""What the column `message_id` holds, over a whole message id."""

ID_SQL = (
    f"if(recipient_index < {FOREIGN},"
    f" concat({hexadecimal('transmission_id', 16)}, {hexadecimal('toUInt16(recipient_index)', 4)}), message_id)"
)
"""The whole id, over a row's columns."""


def derived_sql() -> dict[str, str]:
    """An expression for each of `schema.DERIVED`, over the event's fields, of which the message id is whole."""
    return {
        "recipient_key": _hash("rcpt_to", 8, 4),
        "recipient_index": INDEX_SQL,
        "marks": f"toUInt16({marks_sql('type', 'is_prefetched', 'is_bot')})",
    }


_DERIVED = ", ".join(f"{name} {NUMBERS[kind]} CODEC(ZSTD(1))" for name, kind in DERIVED.items())

_FIRST = (
    f"""CREATE TABLE IF NOT EXISTS events (
        {", ".join(map(_column, COLUMNS))}, {_DERIVED}, {LOADER} UInt64 CODEC(ZSTD(1)), {LOAD} UInt64 CODEC(ZSTD(1)),
        came_first UInt64 DEFAULT bitNot({LOAD}) CODEC(ZSTD(1)),
        INDEX by_recipient recipient_key TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX by_transmission transmission_id TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX by_id event_id TYPE minmax GRANULARITY 1
    ) ENGINE = ReplacingMergeTree(came_first)
    PARTITION BY toYYYYMM(toDateTime(intDiv(timestamp, 1000), 'UTC')) ORDER BY (timestamp, event_id)
    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
        non_replicated_deduplication_window = 1000, old_parts_lifetime = 1, finished_mutations_to_keep = 1""",
    # A row for each node: how far its feed is loaded, and the number of its last load that is done.
    f"""CREATE TABLE IF NOT EXISTS loads ({LOADER} UInt64, {LOAD} UInt64, segment Int64, place Int64)
    ENGINE = ReplacingMergeTree({LOAD}) ORDER BY {LOADER}
    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1""",
)

FORMAT = (
    "CREATE TABLE IF NOT EXISTS format (version UInt32, store UInt64)"
    " ENGINE = ReplacingMergeTree ORDER BY (version, store)"
)
"""A row for each format that the tables have had; the smallest `store` is the number of the store."""

Migrations = tuple[tuple[str, ...], ...]

MIGRATIONS: Migrations = (_FIRST,)
"""How each format is made of the one before it. Each statement may be given again: a kill may come between two."""

VERSION = len(MIGRATIONS)


def migrate(execute: Callable[[str], object], version: int, migrations: Migrations = MIGRATIONS) -> None:
    """Bring tables of a format to this one; those of format 0 are none."""
    for statement in chain.from_iterable(migrations[version:]):
        execute(statement)
