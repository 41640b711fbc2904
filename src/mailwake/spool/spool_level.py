"""How full the spool is, read from its file beside the workers that use it; for gauges."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

# The oldest by id, which the primary key finds at once: the smallest queued_at would be a look at every row.
_LEVEL = "SELECT count(*), (SELECT queued_at FROM entries ORDER BY id LIMIT 1) FROM entries"


class SpoolLevel(NamedTuple):
    """The number of entries, and when the oldest of them was queued (seconds since 1970; None in an empty spool)."""

    entries: int
    oldest: float | None


def read_spool_level(path: Path) -> SpoolLevel | None:
    """The level of the spool in this file; None if it cannot be told at the moment. Never makes the file."""
    if not path.exists():
        return SpoolLevel(0, None)  # no SMTP worker has run here yet
    with contextlib.suppress(sqlite3.Error):
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0)
        with contextlib.closing(database):
            return SpoolLevel(*database.execute(_LEVEL).fetchone())
    return None
