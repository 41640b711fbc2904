"""What every spool promises; a new implementation is added to the `open_spool` fixture."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import NewEntry, Spool, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry(
    sender="a@a.example",
    recipient="bücher@b.example",
    content=b"Subject: x\r\n\r\n\x00\xff\r\n",
    smtputf8=True,
    body="BINARYMIME",
    transmission_id=2**63 + 7,
    message_id="0123456789abcdef0000",
    first_reply="451 4.7.1 later",
    queued_at=1000.0,
    next_attempt=1060.5,
    event_facts=b"\x00opaque",
    dsn=DsnRequest("SUCCESS,DELAY", "rfc822;b+2Bc@b.example", "HDRS", "QQ314159"),
    route="bulk",
)
OpenSpool = Callable[[], Spool]


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[OpenSpool]:
    opened: list[Spool] = []

    def open_one() -> Spool:
        opened.append(SqliteSpool(tmp_path / "spool.sqlite3"))
        return opened[-1]

    yield open_one
    for spool in opened:
        spool.close()


class TestSpoolContract:
    def test_what_is_claimed_is_what_was_put(self, open_spool: OpenSpool) -> None:
        (entry_id,) = open_spool().put([ENTRY])
        (copy,) = open_spool().claim_due(2000.0, 10, 60.0)
        assert copy.id == entry_id
        for field in NewEntry.__dataclass_fields__:
            assert getattr(copy, field) == getattr(ENTRY, field), field
            assert type(getattr(copy, field)) is type(getattr(ENTRY, field)), field

    def test_nothing_to_put(self, open_spool: OpenSpool) -> None:
        assert open_spool().put([]) == []

    def test_all_or_none_are_put(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        broken = replace(ENTRY, attempts=None)  # type: ignore[arg-type]
        with pytest.raises(SpoolError):
            spool.put([ENTRY, broken])
        assert spool.count() == 0
        assert spool.put([ENTRY]) != []

    def test_only_what_is_due_is_claimed_oldest_first(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.put([replace(ENTRY, next_attempt=float(n), recipient=f"r{n}") for n in (50, 10, 40, 20, 30)])
        assert [copy.recipient for copy in spool.claim_due(40.0, 3, 60.0)] == ["r10", "r20", "r30"]
        assert [copy.recipient for copy in spool.claim_due(40.0, 3, 60.0)] == ["r40"]
        assert spool.claim_due(40.0, 3, 60.0) == []

    def test_a_claim_brings_bounded_octets_but_never_nothing(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.put([replace(ENTRY, content=b"x" * 100, recipient=f"r{n}") for n in range(5)])
        assert len(spool.claim_due(2000.0, 10, 60.0, max_octets=250)) == 2
        assert len(spool.claim_due(2000.0, 10, 60.0, max_octets=50)) == 1
        assert len(spool.claim_due(2000.0, 10, 60.0)) == 2

    def test_a_leased_entry_comes_back_when_the_lease_ends(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.put([ENTRY])
        assert len(one.claim_due(2000.0, 10, 60.0)) == 1
        assert other.claim_due(2059.0, 10, 60.0) == []
        assert len(other.claim_due(2060.0, 10, 60.0)) == 1

    def test_a_renewed_lease_lasts(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.put([ENTRY])
        (copy,) = one.claim_due(2000.0, 10, 60.0)
        one.renew([copy.id], 2200.0)
        assert other.claim_due(2199.0, 10, 60.0) == []
        other.renew([copy.id], 9999.0)  # not its own: nothing happens
        assert len(other.claim_due(2200.0, 10, 60.0)) == 1

    def test_a_deferred_entry_comes_back_at_its_time(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY])
        spool.claim_due(2000.0, 10, 600.0)
        spool.defer(entry_id, 2100.0, "451 4.7.1 still later", 2)
        assert spool.claim_due(2099.0, 10, 60.0) == []
        (copy,) = spool.claim_due(2100.0, 10, 60.0)
        assert (copy.attempts, copy.last_reply, copy.first_reply) == (2, "451 4.7.1 still later", ENTRY.first_reply)

    def test_who_lost_the_lease_cannot_defer_or_bounce(self, open_spool: OpenSpool) -> None:
        slow, other = open_spool(), open_spool()
        (entry_id,) = slow.put([ENTRY])
        slow.claim_due(2000.0, 10, 60.0)
        other.claim_due(2060.0, 10, 60.0)
        slow.defer(entry_id, 2061.0, "451 4.0.0 late", 2)
        assert slow.replace(entry_id, replace(ENTRY, is_bounce=True)) is None
        assert slow.claim_due(2070.0, 10, 60.0) == []
        assert [(e.id, e.attempts, e.leased_until) for e in slow.list()] == [(entry_id, 1, 2120.0)]

    def test_a_delivered_entry_is_gone_whoever_held_it(self, open_spool: OpenSpool) -> None:
        slow, other = open_spool(), open_spool()
        (entry_id,) = slow.put([ENTRY])
        slow.claim_due(2000.0, 10, 60.0)
        other.claim_due(2060.0, 10, 60.0)
        slow.delivered(entry_id)
        slow.delivered(entry_id)
        assert other.count() == 0
        other.defer(entry_id, 1.0, "", 2)
        assert other.count() == 0

    def test_a_bounce_takes_the_place_of_the_failed_copy(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY])
        spool.claim_due(2000.0, 10, 60.0)
        report = replace(ENTRY, sender="", recipient="a@a.example", is_bounce=True)
        report_id = spool.replace(entry_id, report)
        assert report_id not in (None, entry_id)
        assert spool.replace(entry_id, report) is None
        (listed,) = spool.list()
        assert (listed.id, listed.recipient, listed.is_bounce) == (report_id, "a@a.example", True)

    def test_a_bounce_that_cannot_be_put_leaves_the_copy(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY])
        with pytest.raises(SpoolError):
            spool.replace(entry_id, replace(ENTRY, attempts=None))  # type: ignore[arg-type]
        assert [listed.id for listed in spool.list()] == [entry_id]

    def test_remove_count_and_list(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        first, second = spool.put([ENTRY, replace(ENTRY, next_attempt=5.0)])
        assert spool.count() == 2
        assert [listed.id for listed in spool.list()] == [second, first]
        assert [listed.id for listed in spool.list(limit=1)] == [second]
        assert spool.list()[0].size == len(ENTRY.content)
        assert spool.remove(first)
        assert not spool.remove(first)
        assert spool.count() == 1

    def test_ids_are_never_used_again(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (first,) = spool.put([ENTRY])
        spool.remove(first)
        assert spool.put([ENTRY]) != [first]

    def test_threads_of_several_instances_claim_each_entry_once(self, open_spool: OpenSpool) -> None:
        spools = [open_spool() for _ in range(3)]
        spools[0].put([replace(ENTRY, recipient=str(n)) for n in range(200)])
        claimed: list[str] = []

        def claim(spool: Spool) -> None:
            while copies := spool.claim_due(2000.0, 7, 600.0):
                claimed.extend(copy.recipient for copy in copies)

        threads = [threading.Thread(target=claim, args=(spool,)) for spool in spools for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(claimed, key=int) == [str(n) for n in range(200)]


_HEAD = """
import sys
from pathlib import Path
from dataclasses import replace
from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import NewEntry
from mailwake.spool.sqlite_spool import SqliteSpool
spool = SqliteSpool(Path(sys.argv[1]))
"""

_PUT_FOR_EVER = (
    _HEAD
    + """
number = 0
while True:
    entries = [NewEntry("a@a", f"{number}-{part}", b"x" * 100_000, False, False, 1, "m", "451", 1.0, 1.0)
               for part in range(3)]
    spool.put(entries)
    print(number, flush=True)
    number += 1
"""
)

_CLAIM_ALL = (
    _HEAD
    + """
sys.stdin.readline()
while copies := spool.claim_due(2000.0, 5, 600.0):
    for copy in copies:
        print(copy.recipient, flush=True)
"""
)


def _start(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("puts_before_the_kill", [1, 5, 20])
def test_what_put_returned_survives_kill_9_and_no_put_is_half_there(tmp_path: Path, puts_before_the_kill: int) -> None:
    path = tmp_path / "spool.sqlite3"
    with _start(_PUT_FOR_EVER, path) as process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(puts_before_the_kill)]
        os.kill(process.pid, signal.SIGKILL)  # it is in the middle of some later put
        answered += [int(line) for line in process.stdout.read().split()]
    with contextlib.closing(SqliteSpool(path)) as spool:
        kept = {listed.recipient for listed in spool.list(100_000)}
        assert {f"{number}-{part}" for number in answered for part in range(3)} <= kept
        assert len(kept) % 3 == 0
        copies = spool.claim_due(2.0, 100_000, 60.0, max_octets=1 << 40)
        assert {copy.content for copy in copies} == {b"x" * 100_000}


def test_two_processes_at_once_claim_each_entry_once(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    with contextlib.closing(SqliteSpool(path)) as spool:
        spool.put([replace(ENTRY, recipient=str(n)) for n in range(300)])
    processes = [_start(_CLAIM_ALL, path) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    claimed = [recipient for process in processes for recipient in process.communicate(timeout=120)[0].split()]
    assert sorted(claimed, key=int) == [str(n) for n in range(300)]
    assert [process.returncode for process in processes] == [0, 0]


def test_it_is_written_through(tmp_path: Path) -> None:
    with contextlib.closing(SqliteSpool(tmp_path / "s")) as spool:
        assert spool._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert spool._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_spool_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"this is no database at all, whatever it may be" * 100)
    with pytest.raises(SpoolError, match="cannot open the spool"):
        SqliteSpool(tmp_path / "s")
    with pytest.raises(SpoolError, match="cannot open the spool"):
        SqliteSpool(tmp_path / "no such directory" / "s")


def test_a_spool_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "s")) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(SpoolError, match="format 99"):
        SqliteSpool(tmp_path / "s")


class TestOlderFormats:
    def test_a_spool_of_format_1_is_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "spool.sqlite3"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(FORMAT_1)
            for number, eight_bit in ((7, 1), (9, 0)):
                database.execute(
                    "INSERT INTO entries VALUES"
                    " (?, 's@a', 'r@b', 1, ?, '5', 'aa', '451 x', 1, 2, 3, 'l', x'00', 0, 4, '', 0)",
                    (number, eight_bit),
                )
                database.execute("INSERT INTO contents VALUES (?, x'61')", (number,))
            database.commit()
        spool = SqliteSpool(path)
        found = spool.claim_due(10.0, 10, 60.0)
        assert [(each.id, each.body, each.content, each.route) for each in found] == [
            (7, "8BITMIME", b"a", ""),
            (9, "7BIT", b"a", ""),
        ]
        (new,) = spool.put([ENTRY])
        assert new > 9
        spool.close()


FORMAT_1 = """
CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    smtputf8 INTEGER NOT NULL, eight_bit INTEGER NOT NULL, transmission_id TEXT NOT NULL, message_id TEXT NOT NULL,
    first_reply TEXT NOT NULL, queued_at REAL NOT NULL, next_attempt REAL NOT NULL, attempts INTEGER NOT NULL,
    last_reply TEXT NOT NULL, event_facts BLOB NOT NULL, is_bounce INTEGER NOT NULL, size INTEGER NOT NULL,
    lease_owner TEXT NOT NULL DEFAULT '', leased_until REAL NOT NULL DEFAULT 0) STRICT;
CREATE INDEX entries_by_next_attempt ON entries (next_attempt, id);
CREATE TABLE contents (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
PRAGMA user_version=1;
"""
