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

if TYPE_CHECKING:
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

KEYS: dict[str, str] = {"recipient_key": "rcpt_to", "message_key": "message_id"}
"""Columns of 32 bits of a text's MD5: one recipient or message is found in them seven times as fast as in the text."""

LOAD = "load_number"
"""The column that says which load brought an event: searches begun before it do not see it."""

_KEY_COLUMNS = "".join(f", {key} UINTEGER NOT NULL" for key in KEYS)
_EVENTS = ", ".join(f'"{name}" {"VARCHAR" if kind == DOCUMENT else kind}' for name, kind in COLUMNS.items())
_FIRST = (
    f"CREATE TABLE events ({_EVENTS}{_KEY_COLUMNS}, {LOAD} BIGINT NOT NULL)",
    # One row: the store's number, the position in the feed, the number of the last load, and what is due.
    "CREATE TABLE state (store BIGINT, segment BIGINT, place BIGINT, load BIGINT, rewrite_due BOOLEAN)",
    "CREATE TABLE format (version INTEGER)",
    "INSERT INTO format VALUES (0)",
)

Migrations = tuple[tuple[str, ...], ...]

MIGRATIONS: Migrations = (_FIRST,)
"""How each format is made of the one before it; the first one of an empty file."""

VERSION = len(MIGRATIONS)


def key_of(text: str) -> int:
    """What a column of KEYS holds for this text."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:12], "little")


def key_sql(text: str) -> str:
    """The same, as an expression over an expression."""
    return f"(md5_number_lower({text}) & 4294967295)::UINTEGER"


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
