"""Where the engines' SQL differs. All else is written once, in what both understand.

Values stand in SQL as `?::TYPE`, with DuckDB's name of the type; an engine with other marks replaces these.
"""

from __future__ import annotations

from typing import NamedTuple


class Dialect(NamedTuple):
    """Patterns for `str.format`."""

    events: str
    """The table of which a report counts each event once."""
    has_bits: str
    """Whether a number has one of some bits: {0} the number, {1} the bits."""
    all_bits: str
    """Of a group, the bits that any of its numbers has."""
    each_tag: str
    """A row for each tag, one for a tag that is there twice."""
    has_a_tag_of: str
    """Whether an event has one of the tags in {0}."""
    month: str
    """The beginning of the month, both in milliseconds of one calendar without time zones."""


DUCKDB = Dialect(
    events="events",
    has_bits="({0} & {1}) <> 0",
    all_bits="bit_or({0})",
    each_tag="unnest(list_distinct(rcpt_tags))",
    has_a_tag_of="list_has_any(rcpt_tags, {0})",
    month="epoch_ms(date_trunc('month', make_timestamp(({0}) * 1000)))",
)

CLICKHOUSE = Dialect(
    events="events FINAL",
    has_bits="bitAnd({0}, {1}) <> 0",
    all_bits="groupBitOr({0})",
    each_tag="arrayJoin(arrayDistinct(rcpt_tags))",
    has_a_tag_of="hasAny(rcpt_tags, {0})",
    month=(
        "toInt64(toUnixTimestamp(toDateTime(toStartOfMonth(fromUnixTimestamp64Milli(toInt64({0}), 'UTC')), 'UTC')))"
        " * 1000"
    ),
)
