"""Events as files for other programs: Parquet and CSV, a column for each field, written by the engine itself."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mailwake.events.describe import FIELDS
from mailwake.events.model import EventType
from mailwake.markdown import code, table
from mailwake.store.condition import Condition, condition_of
from mailwake.store.message_number import ID_SQL
from mailwake.store.schema import COLUMNS, DOCUMENT, TAGS, TEXT

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.store.filters import Filters


class ExportFormat(StrEnum):
    """The form of an export."""

    PARQUET = "parquet"
    CSV = "csv"
    """For spreadsheets: text that would be a formula there is marked as text."""
    EXACT_CSV = "csv-exact"
    """For programs: text as it is."""

    @property
    def suffix(self) -> str:
        """How the name of such a file ends."""
        return self.value.partition("-")[0]

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return "application/vnd.apache.parquet" if self is ExportFormat.PARQUET else "text/csv; charset=utf-8"


_OPTIONS = {
    ExportFormat.PARQUET: "FORMAT parquet, COMPRESSION zstd",
    ExportFormat.CSV: "FORMAT csv, HEADER true",
    ExportFormat.EXACT_CSV: "FORMAT csv, HEADER true",
}

# As `csv_text` has it, in RE2's language, whose \s knows ASCII alone.
_SPACE = r"\pZ\x{85}\x00-\x20"
FORMULA = rf"^(?:[{_SPACE}]*[=+\-@\x{{ff1d}}\x{{ff0b}}\x{{ff0d}}\x{{ff20}}]|[\t\r\n])"
"""A pattern for the engine."""

_IDS = ("event_id", "transmission_id")
_TIMES = ("timestamp", "injection_time")
_TIME_CSV = "strftime(epoch_ms({}), '%Y-%m-%dT%H:%M:%S.%gZ')"
_TYPE_NAMES = "CASE type" + "".join(f" WHEN {each.value} THEN '{each.wire_name}'" for each in EventType) + " END"


def export_sql(filters: Filters, form: ExportFormat, path: Path) -> Condition:
    """The statement that writes these events into `path`, in the order in which they came into the store."""
    chosen = condition_of(filters)
    columns = ", ".join(f'{_column(name, kind, form)} AS "{name}"' for name, kind in COLUMNS.items())
    target = str(path).replace("'", "''")
    sql = f"COPY (SELECT {columns} FROM events WHERE {chosen.sql}) TO '{target}' ({_OPTIONS[form]})"  # noqa: S608
    return Condition(sql, chosen.values)


def _column(name: str, kind: str, form: ExportFormat) -> str:
    """SQL for a field, NULL where the event has none."""
    is_csv = form is not ExportFormat.PARQUET
    if name == "type":
        return _TYPE_NAMES
    if name in _IDS:
        text = f"{name}::VARCHAR"
        return text if name == "event_id" else f"CASE WHEN {name} <> 0 THEN {text} END"
    if name in _TIMES:
        # A time that no calendar has must not cost the whole export.
        return f"TRY({_TIME_CSV.format(name)})" if is_csv else f"TRY(make_timestamptz({name} * 1000))"
    if kind == TAGS:
        written = f"to_json({name})::VARCHAR" if is_csv else name
        return f"CASE WHEN len({name}) > 0 THEN {written} END"
    if kind == DOCUMENT:
        return f"nullif({name}, '')"
    if kind != TEXT:
        return f'"{name}"'
    text = f"nullif({ID_SQL if name == 'message_id' else name}, '')"
    if form is ExportFormat.CSV:
        return f"CASE WHEN regexp_matches({text}, '{FORMULA}') THEN '''' || {text} ELSE {text} END"
    return text


class _Kind(NamedTuple):
    parquet: str
    csv: str


_KINDS = {
    "UTINYINT": _Kind("string", "text"),
    "UBIGINT": _Kind("string, a number", "a number"),
    "BIGINT": _Kind("int64", "a number"),
    "DOUBLE": _Kind("double", "a number"),
    "BOOLEAN": _Kind("boolean", "`true` or `false`"),
    TEXT: _Kind("string", "text"),
    TAGS: _Kind("list of strings", "text, a JSON array"),
    DOCUMENT: _Kind("string, a JSON object", "text, a JSON object"),
}
_TIME = _Kind("timestamp, microseconds in UTC", "ISO 8601 in UTC with milliseconds")


def export_reference() -> str:
    """The columns as a page of Markdown."""
    rows = []
    for name, kind in COLUMNS.items():
        shown = _TIME if name in _TIMES else _KINDS[kind]
        meaning = "When it happened." if name == "timestamp" else FIELDS[name].meaning
        rows.append((code(name), shown.parquet, shown.csv, meaning))
    return (
        "# Columns of exports\n\n"
        "What `mailwake store export` and `POST /api/v1/store/exports` write ([the store](../store.md#export)): a row "
        "for each event, a column for each field of the [events](events.md), under its name there; what stands in "
        "`user_agent_parsed` and `geo_ip` on the wire has a column of its own. A field without a value is NULL in "
        "Parquet, and nothing between two commas in CSV. Further columns come at the end.\n\n"
        + table(("column", "Parquet", "CSV", "meaning"), rows)
    )
