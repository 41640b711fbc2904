"""The tables of the store's file, and how an older file becomes one of this format.

Every field of an event has a column of its name; what an event does not have is '' in columns of text, an empty list of
tags, and NULL elsewhere. So one SQL text serves engines that have no NULL in text. Times are Unix milliseconds.
"""

from __future__ import annotations

import hashlib
import secrets
from itertools import chain
from typing import TYPE_CHECKING

from mailwake.store.contract import StoreUnavailableError
from mailwake.store.filters import Cut
from mailwake.store.measures import TYPE_MARKS, in_cut
from mailwake.store.message_number import INDEX_SQL, TEXT_SQL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

TEXT, TAGS, DOCUMENT = "VARCHAR", "VARCHAR[]", "JSON"
"""DOCUMENT is text that holds a JSON object."""

COLUMNS: dict[str, str] = {
    "type": "UTINYINT",
    "event_id": "UBIGINT",
    "timestamp": "BIGINT",
    "message_id": TEXT,
    "transmission_id": "UBIGINT",
    "customer_id": TEXT,
    "campaign_id": TEXT,
    "rcpt_to": TEXT,
    "raw_rcpt_to": TEXT,
    "recipient_domain": TEXT,
    "routing_domain": TEXT,
    "rcpt_meta": DOCUMENT,
    "rcpt_tags": TAGS,
    "rcpt_type": TEXT,
    "friendly_from": TEXT,
    "msg_from": TEXT,
    "sending_domain": TEXT,
    "subject": TEXT,
    "msg_size": "BIGINT",
    "injection_time": "BIGINT",
    "open_tracking": "BOOLEAN",
    "click_tracking": "BOOLEAN",
    "initial_pixel": "BOOLEAN",
    "amp_enabled": "BOOLEAN",
    "transactional": "BOOLEAN",
    "node_name": TEXT,
    "pathway": TEXT,
    "delv_method": TEXT,
    "ip_address": TEXT,
    "raw_reason": TEXT,
    "reason": TEXT,
    "error_code": "BIGINT",
    "bounce_class": "BIGINT",
    "num_retries": "BIGINT",
    "queue_time": "BIGINT",
    "user_agent": TEXT,
    "accept_language": TEXT,
    "target_link_url": TEXT,
    "target_link_name": TEXT,
    "agent_family": TEXT,
    "device_brand": TEXT,
    "device_family": TEXT,
    "os_family": TEXT,
    "os_version": TEXT,
    "is_mobile": "BOOLEAN",
    "is_proxy": "BOOLEAN",
    "is_prefetched": "BOOLEAN",
    "country": TEXT,
    "region": TEXT,
    "city": TEXT,
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "postal_code": TEXT,
    "is_bot": "BOOLEAN",
    "bot_reason": TEXT,
    "bot_confidence": "DOUBLE",
}
"""The fields of `events.model.Event`, in its order. A further one needs a migration below."""

DERIVED: dict[str, str] = {"recipient_key": "UINTEGER", "recipient_index": "UINTEGER", "marks": "USMALLINT"}
"""Columns that are made of others, so that questions are answered sooner, and their types (`derived_sql`).

`recipient_key` is 32 bits of the recipient's MD5: one recipient is found in it seven times as fast as in the text.
`recipient_index` is what the message id says beside the transmission, which together are the message
(`message_number.py`).
`marks` says what an event is in each cut (`measures.py`).
"""

LOAD = "load_number"
"""The column that says which load brought an event: searches begun before it do not see it."""

_EVENTS = ", ".join(f'"{name}" {"VARCHAR" if kind == DOCUMENT else kind}' for name, kind in COLUMNS.items())
_FIRST = (
    f"CREATE TABLE events ({_EVENTS}, recipient_key UINTEGER NOT NULL, message_key UINTEGER NOT NULL,"
    f" {LOAD} BIGINT NOT NULL)",
    # One row: the store's number, the position in the feed, the number of the last load, and what is due.
    "CREATE TABLE state (store BIGINT, segment BIGINT, place BIGINT, load BIGINT, rewrite_due BOOLEAN)",
    "CREATE TABLE format (version INTEGER)",
    "INSERT INTO format VALUES (0)",
)


def key_of(text: str) -> int:
    """What `recipient_key` holds for this recipient."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:12], "little")


def _key_sql(text: str) -> str:
    return f"(md5_number_lower({text}) & 4294967295)::UINTEGER"


def marks_sql(kind: str, is_prefetched: str, is_bot: str) -> str:
    """What `marks` holds, as a number of any type, in what all engines understand."""
    marks = "".join(f" WHEN {each.value} THEN {mark}" for each, mark in TYPE_MARKS.items())
    cuts = f"1 + CASE WHEN {is_prefetched} THEN 0 WHEN {is_bot} THEN {in_cut(1, Cut.NOT_PREFETCHED)}"
    both = in_cut(1, Cut.NOT_PREFETCHED) + in_cut(1, Cut.PEOPLE)
    return f"(CASE {kind}{marks} ELSE 0 END) * ({cuts} ELSE {both} END)"


def derived_sql(value_of: Callable[[str], str]) -> dict[str, str]:
    """An expression for each of DERIVED, over expressions for the event's fields, of which the message id is whole."""
    return {
        "recipient_key": _key_sql(value_of("rcpt_to")),
        "recipient_index": INDEX_SQL.format(id=value_of("message_id"), transmission=value_of("transmission_id")),
        "marks": f"({marks_sql(value_of('type'), value_of('is_prefetched'), value_of('is_bot'))})::USMALLINT",
    }


_DERIVED_COLUMNS = "".join(f", {name} {kind} NOT NULL" for name, kind in DERIVED.items())
_DERIVED_VALUES = ", ".join(f"{sql} AS {name}" for name, sql in derived_sql(lambda name: f'"{name}"').items())
_KEPT = ", ".join(TEXT_SQL if name == "message_id" else f'"{name}"' for name in COLUMNS)
_MADE = ", ".join(DERIVED)
_WITH_MARKS = (
    f"CREATE TABLE marked ({_EVENTS}{_DERIVED_COLUMNS}, {LOAD} BIGINT NOT NULL)",
    # In one pass: an update of all rows would write them into the log, which takes many times their room.
    f"INSERT INTO marked SELECT {_KEPT}, {_MADE}, {LOAD}"  # noqa: S608  (names from tables here)
    f" FROM (SELECT * EXCLUDE (recipient_key), {_DERIVED_VALUES} FROM events) AS given",
    "DROP TABLE events",
    "ALTER TABLE marked RENAME TO events",
)

Migrations = tuple[tuple[str, ...], ...]

MIGRATIONS: Migrations = (_FIRST, _WITH_MARKS)
"""How each format is made of the one before it; the first one of an empty file."""

VERSION = len(MIGRATIONS)


def migrate(database: duckdb.DuckDBPyConnection, path: Path, migrations: Migrations = MIGRATIONS) -> None:
    """Inside a transaction: make the tables, or bring those of an older format to this one.

    StoreUnavailableError for the file of a later version, or of something else.
    """
    version = version_of(database, path)
    if version > len(migrations):
        raise StoreUnavailableError(
            f"{path} has format {version}, and this version of mailwake knows {len(migrations)} at most: "
            "install a later one, or move the file away"
        )
    make_tables(database, version, migrations)
    if version == 0:
        database.execute("INSERT INTO state VALUES (?, 0, 0, 0, false)", [secrets.randbits(63)])


def make_tables(database: duckdb.DuckDBPyConnection, version: int = 0, migrations: Migrations = MIGRATIONS) -> None:
    """Bring the tables of a format to this one; those of format 0 are none."""
    for statement in chain.from_iterable(migrations[version:]):
        database.execute(statement)
    if version < len(migrations):
        database.execute("UPDATE format SET version = ?", [len(migrations)])


def version_of(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The format of a file, 0 for one without tables."""
    found = database.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    if not found:
        return 0
    if ("format",) not in found:
        raise StoreUnavailableError(f"{path} is a DuckDB file of something else; move it away")
    return int(database.execute("SELECT version FROM format").fetchall()[0][0])
