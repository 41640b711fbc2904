"""An entry that is damaged on disk is held, and holds up no other."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from mailwake.clock import SystemClock
from mailwake.spool.contract import NewEntry, SpoolError
from mailwake.spool.operations import Selection, SpoolOperations
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry("s@a.example", "r@b.example", b"", False, "7BIT", 1, "m", "", 1.0, 1.0, pieces=(b"one", b"x" * 99))


def test_an_entry_that_cannot_be_read_is_held_and_the_others_are_tried(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    with contextlib.closing(SqliteSpool(path)) as spool:
        good, damaged = spool.put([ENTRY, replace(ENTRY, pieces=(b"two", ENTRY.pieces[1]))])
        spool._database.execute("UPDATE entries SET own = x'c1' WHERE id = ?", (damaged,))
        assert [copy.id for copy in spool.claim_due(2.0, 10)] == [good]
        held = {listed.id: (listed.held, listed.in_hand, listed.last_reply) for listed in spool.list()}
        assert held[damaged] == (True, False, f"entry {damaged} of the spool is damaged on disk and cannot be read")
        assert not held[good][0]
        assert spool.claim_due(2.0, 10) == []
    with contextlib.closing(SpoolOperations(path, clock=SystemClock())) as operations:
        with pytest.raises(SpoolError, match="damaged on disk"):
            operations.read(damaged)
        assert operations.remove(Selection(ids=[damaged]), None, force=False).done == 1
