"""Message ids as two numbers: unique counts are several times as fast over them, and they take little room.

The id of a recipient's copy is the transmission's in 16 hex digits and the recipient's number in 4 (`links/body.py`).
Rows hold the number as `recipient_index`, and no text. An id of any other form, of which mailwake itself makes none, is
kept as text, and its `recipient_index` is a hash that is larger than every recipient's number.
"""

from __future__ import annotations

import hashlib
import re

FOREIGN = 1 << 16
"""From here on `recipient_index` is a hash of an id that is kept as text."""

HASHED = (1 << 31) - 1
"""So much of the hash is taken."""

_REGULAR = re.compile(r"[0-9a-f]{20}")


def transmission_of(message_id: str) -> int | None:
    """The transmission's id that an id of our form begins with; None for others."""
    return int(message_id[:16], 16) if _REGULAR.fullmatch(message_id) else None


def index_of(message_id: str, transmission_id: int | None) -> int:
    """What `recipient_index` holds for an event of this message and transmission."""
    if transmission_id is not None and transmission_of(message_id) == transmission_id:
        return int(message_id[16:], 16)
    digest = hashlib.md5(message_id.encode(), usedforsecurity=False).digest()
    return FOREIGN + (int.from_bytes(digest[8:16], "little") & HASHED)


INDEX_SQL = (
    "CASE WHEN regexp_full_match({id}, '[0-9a-f]{{20}}') AND {id}[1:16] = format('{{:016x}}', {transmission})"
    " THEN ('0x' || {id}[17:20])::UINTEGER"
    f" ELSE ({FOREIGN} + (md5_number_lower({{id}}) & {HASHED}))::UINTEGER END"
)
"""The same for DuckDB, over SQL for the id and the transmission's id."""

TEXT_SQL = f"CASE WHEN recipient_index < {FOREIGN} THEN '' ELSE message_id END"
"""What the column `message_id` holds, over the columns `recipient_index` and the whole `message_id`."""

ID_SQL = (
    f"CASE WHEN recipient_index < {FOREIGN}"
    " THEN format('{:016x}{:04x}', transmission_id, recipient_index) ELSE message_id END"
)
"""The whole id, over a row's columns."""
