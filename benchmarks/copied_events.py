"""A store with several times its events: copies of them, each some days earlier, with ids of their own.

Making and loading fifty million events takes the better part of an hour; the engine copies forty of them in minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from mailwake.store.duckdb_file import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

_ID_BITS_BELOW_TIME = 22
"""Ids have milliseconds above these (events/unique_ids.py)."""


def add_copies(store: Path, copies: int, earlier_ms: int) -> None:
    """Add so many copies of all events of the store in this directory, which nobody has open, each so much earlier."""
    with duckdb.connect(store / FILE_NAME) as database:
        ((last,),) = database.execute("SELECT load FROM state").fetchall()
        for copy in range(1, copies + 1):
            earlier = copy * earlier_ms
            ids = earlier << _ID_BITS_BELOW_TIME
            database.execute(
                "INSERT INTO events SELECT * REPLACE ("
                f" (event_id - {ids})::UBIGINT AS event_id, timestamp - {earlier} AS timestamp,"
                f" CASE WHEN transmission_id > 0 THEN transmission_id - {ids} ELSE 0 END::UBIGINT AS transmission_id,"
                f" injection_time - {earlier} AS injection_time, load_number + {copy * last} AS load_number"
                f") FROM events WHERE load_number <= {last}"
            )
        database.execute("UPDATE state SET load = ?", [last * (copies + 1)])
        database.execute("CHECKPOINT")
