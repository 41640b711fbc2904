"""Filters as SQL: a fixed text for each, its values as parameters, never text of the asker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.store.dialect import DUCKDB, Dialect
from mailwake.store.measures import cut_condition
from mailwake.store.message_number import index_of, transmission_of
from mailwake.store.schema import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.store.filters import Filters

_COLUMNS: dict[str, tuple[str, str]] = {
    "types": ("type", "UTINYINT"),
    "event_ids": ("event_id", "UBIGINT"),
    "recipient_domains": ("recipient_domain", "VARCHAR"),
    "campaigns": ("campaign_id", "VARCHAR"),
    "transmissions": ("transmission_id", "UBIGINT"),
    "customers": ("customer_id", "VARCHAR"),
    "subjects": ("subject", "VARCHAR"),
    "from_addresses": ("friendly_from", "VARCHAR"),
    "sending_domains": ("sending_domain", "VARCHAR"),
    "bounce_classes": ("bounce_class", "UBIGINT"),
    "link_names": ("target_link_name", "VARCHAR"),
    "link_urls": ("target_link_url", "VARCHAR"),
}
"""Each plain filter's column and its type."""

_LOWER = ("recipient_domains", "sending_domains")
FARTHEST = 1 << 62
"""Milliseconds; nothing happened before or after."""


class Condition(NamedTuple):
    """What an event must fulfil: SQL with `?::TYPE` in it, and the values for these."""

    sql: str
    values: list[Any]


def condition_of(filters: Filters, dialect: Dialect = DUCKDB) -> Condition:
    """All filters."""
    return together(*(list(_parts(filters, dialect)) or [Condition("true", [])]))


def near_condition(filters: Filters) -> Condition:
    """What is looked up soonest, and leaves little: of recipients their keys, without a look at the text; else all."""
    return _of_keys(filters.recipients) if filters.recipients else condition_of(filters)


def _of_keys(recipients: tuple[str, ...]) -> Condition:
    return _one_of("recipient_key", "UINTEGER", [key_of(each.lower()) for each in recipients])


def together(*conditions: Condition) -> Condition:
    """All of these, one of them at least."""
    return Condition(
        " AND ".join(each.sql for each in conditions), [value for each in conditions for value in each.values]
    )


def _parts(filters: Filters, dialect: Dialect) -> Iterator[Condition]:
    if filters.since is not None:
        yield Condition("timestamp >= ?::BIGINT", [_moment(filters.since)])
    if filters.until is not None:
        yield Condition("timestamp < ?::BIGINT", [_moment(filters.until)])
    if filters.only_customer is not None:
        yield Condition("customer_id = ?::VARCHAR", [filters.only_customer])
    if filters.recipients:
        yield _of_keys(filters.recipients)
        yield _one_of("rcpt_to", "VARCHAR", [each.lower() for each in filters.recipients])
    if filters.messages:
        yield _of_messages(filters.messages)
    for name, (column, kind) in _COLUMNS.items():
        if wanted := getattr(filters, name):
            yield _one_of(column, kind, [_as_stored(name, each) for each in wanted])
    if filters.tags:
        yield Condition(dialect.has_a_tag_of.format("?::VARCHAR[]"), [list(filters.tags)])
    if only := cut_condition(filters.cut):
        yield Condition(only, [])


def _of_messages(ids: tuple[str, ...]) -> Condition:
    sql: list[str] = []
    values: list[Any] = []
    for text in ids:
        transmission = transmission_of(text)
        if transmission is not None:
            sql.append("(transmission_id = ?::UBIGINT AND recipient_index = ?::UINTEGER)")
            values += [transmission, index_of(text, transmission)]
        sql.append("(recipient_index = ?::UINTEGER AND message_id = ?::VARCHAR)")
        values += [index_of(text, None), text]
    return Condition(f"({' OR '.join(sql)})", values)


def _moment(milliseconds: int) -> int:
    return max(-FARTHEST, min(milliseconds, FARTHEST))


def _as_stored(name: str, value: str | int) -> str | int:
    if isinstance(value, str):
        return value.lower() if name in _LOWER else value
    return int(value)


def _one_of(column: str, kind: str, wanted: list[Any]) -> Condition:
    place = f"?::{kind}"
    sql = f"{column} = {place}" if len(wanted) == 1 else f"{column} IN ({', '.join([place] * len(wanted))})"
    return Condition(sql, wanted)
