"""Events as rows of the table, there and back: in as lines of JSON that the engine reads itself, out as tuples.

The engine's own reader of JSON takes a batch three to four times as fast as values handed over one by one, and without
holding the interpreter. The lines are in memory, in a file without a name: nothing of them comes to the disk.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.events.model import Event, EventType
from mailwake.store.message_number import ID_SQL, TEXT_SQL
from mailwake.store.schema import COLUMNS, DERIVED, DOCUMENT, LOAD, TAGS, TEXT, derived_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_encode_lines = msgspec.json.Encoder().encode_lines
_decode_document = msgspec.json.Decoder(dict[str, Any]).decode

_NAMES = tuple(COLUMNS)
_TAGS_AT, _DOCUMENT_AT, _TYPE_AT = (_NAMES.index(name) for name in ("rcpt_tags", "rcpt_meta", "type"))

_EMPTY = {TEXT: "''", TAGS: "[]::VARCHAR[]", DOCUMENT: "''"}


def _given(name: str, kind: str) -> str:
    return (
        f'coalesce("{name}"::{"VARCHAR" if kind == DOCUMENT else kind}, {_EMPTY[kind]})'
        if kind in _EMPTY
        else f'"{name}"'
    )


_JSON_COLUMNS = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
_VALUES = ", ".join(f'{_given(name, kind)} AS "{name}"' for name, kind in COLUMNS.items())
_DERIVED_VALUES = ", ".join(
    f"{sql} AS {name}" for name, sql in derived_sql(lambda name: _given(name, COLUMNS[name])).items()
)

_TARGET = ", ".join(f'"{name}"' for name in (*COLUMNS, *DERIVED, LOAD))
_STORED = ", ".join(TEXT_SQL if name == "message_id" else f'"{name}"' for name in (*COLUMNS, *DERIVED))

INSERT = (
    f"INSERT INTO events ({_TARGET}) SELECT {_STORED}, $load FROM (SELECT {_VALUES}, {_DERIVED_VALUES}"  # noqa: S608
    f" FROM read_json($lines, format = 'newline_delimited', columns = {{{_JSON_COLUMNS}}},"
    " maximum_object_size = $longest)) AS given"  # all names are from the tables of `schema`
)
"""Add what stands in the file `$lines` as the load number `$load`."""

SELECTED = ", ".join(f"{ID_SQL} AS message_id" if name == "message_id" else f'"{name}"' for name in COLUMNS)
"""The columns that `event_of` takes."""


_PIECE = 50
"""Events that are encoded at once: no line is longer than theirs together, which need not be looked through for it."""


class Lines:
    """A file in memory that holds some events at a time; `path` is its name for the engine, in this process only.

    `octets` is about how much of them: the engine takes several times as much while it reads.
    """

    def __init__(self, octets: int) -> None:
        if hasattr(os, "memfd_create"):
            self._file = os.fdopen(os.memfd_create("mailwake-batch"), "wb", buffering=0)
        else:  # a system without them: a file that has lost its name
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (close() closes it)
        self.path = f"/dev/fd/{self._file.fileno()}"
        self._octets = octets

    def of(self, events: Sequence[Event]) -> Iterator[int]:
        """Hold some of these events after the others; each time, what a line has at most. Then hold nothing."""
        try:
            pieces: list[bytes] = []
            octets = 0
            for start in range(0, len(events), _PIECE):
                pieces.append(_encode_lines(events[start : start + _PIECE]))
                octets += len(pieces[-1])
                if octets >= self._octets or start + _PIECE >= len(events):
                    yield self._hold(pieces)
                    pieces, octets = [], 0
        finally:
            os.ftruncate(self._file.fileno(), 0)

    def _hold(self, pieces: list[bytes]) -> int:
        os.ftruncate(self._file.fileno(), 0)
        os.pwrite(self._file.fileno(), b"".join(pieces), 0)
        return max(1 << 16, *map(len, pieces))

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def event_of(row: Sequence[Any]) -> Event:
    """The event of a row of SELECTED."""
    fields = dict(zip(_NAMES, row, strict=True))
    fields["type"] = EventType(row[_TYPE_AT])
    fields["rcpt_tags"] = tuple(row[_TAGS_AT])
    document = row[_DOCUMENT_AT]
    fields["rcpt_meta"] = _decode_document(document) if document else {}
    return Event(**fields)
