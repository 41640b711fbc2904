"""How full the spool is, read from its file beside the workers that use it; for gauges."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from mailwake.spool.steady_time import time_of

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock

# The oldest by id, which the primary key finds at once: the smallest queued_at would be a look at every row.
_LEVEL = "SELECT count(*), (SELECT queued_at FROM entries ORDER BY id LIMIT 1) FROM entries"


class SpoolLevel(NamedTuple):
    """The number of entries, and how long the oldest of them has waited, in seconds; 0 in an empty spool."""

    entries: int
    waited: float


def read_spool_level(path: Path, clock: Clock) -> SpoolLevel | None:
    """The level of the spool in this file; None if it cannot be told at the moment. Never makes the file."""
    if not path.exists():
        return SpoolLevel(0, 0.0)  # no SMTP worker has run here yet
    with contextlib.suppress(sqlite3.Error):
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0)
        with contextlib.closing(database):
            entries, oldest = database.execute(_LEVEL).fetchone()
            if oldest is None:
                return SpoolLevel(0, 0.0)
            return SpoolLevel(entries, max(0.0, time_of(database, clock) - oldest))
    return None
