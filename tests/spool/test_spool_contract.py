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
from typing import Any

import pytest

from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import KeptEvents, NewEntry, Settlement, Spool, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool

from .calling_together import together

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
    customer="42",
)
REPORT = replace(ENTRY, sender="", recipient="a@a.example", is_report=True)
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


def _deferred(entry_id: int, **more: Any) -> Settlement:
    reply = "451 4.7.1 still later"
    return Settlement(entry_id=entry_id, fate="deferred", next_attempt=2100.0, reply_text=reply, attempts=2, **more)


class TestSpoolContract:
    def test_what_is_claimed_is_what_was_put(self, open_spool: OpenSpool) -> None:
        (entry_id,) = open_spool().put([ENTRY])
        (copy,) = open_spool().claim_due(2000.0, 10)
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
        assert [copy.recipient for copy in spool.claim_due(40.0, 3)] == ["r10", "r20", "r30"]
        assert [copy.recipient for copy in spool.claim_due(40.0, 3)] == ["r40"]
        assert spool.claim_due(40.0, 3) == []

    def test_a_claim_brings_bounded_octets_but_never_nothing(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.put([replace(ENTRY, content=b"x" * 100, recipient=f"r{n}") for n in range(5)])
        assert len(spool.claim_due(2000.0, 10, max_octets=250)) == 2
        assert len(spool.claim_due(2000.0, 10, max_octets=50)) == 1
        assert len(spool.claim_due(2000.0, 10)) == 2

    def test_routes_that_are_down_are_left_but_for_what_has_expired(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.put([replace(ENTRY, route=route, recipient=f"{route}{n}") for route in ("", "a", "b") for n in range(2)])
        spool.put([replace(ENTRY, route="a", recipient="old", queued_at=10.0)])
        found = spool.claim_due(2000.0, 10, except_routes=["a", "b"], queued_by=11.0)
        assert [copy.recipient for copy in found] == ["0", "1", "old"]
        assert [copy.recipient for copy in spool.claim_due(2000.0, 1, only_route="b")] == ["b0"]
        assert [copy.recipient for copy in spool.claim_due(2000.0, 9, except_routes=["b"])] == ["a0", "a1"]

    def test_what_one_has_in_hand_no_other_gets_however_late_it_is(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.put([ENTRY])
        (copy,) = one.claim_due(2000.0, 10)
        assert other.recover() == 0
        assert other.claim_due(9e9, 10) == []
        one.give_back([copy.id])
        assert [again.id for again in other.claim_due(2000.0, 10)] == [copy.id]
        one.give_back([copy.id])  # not its own: nothing happens
        assert one.claim_due(2000.0, 10) == []

    def test_what_a_closed_instance_had_in_hand_is_due_again(self, open_spool: OpenSpool) -> None:
        one, other, third = open_spool(), open_spool(), open_spool()
        one.put([ENTRY, ENTRY])
        assert len(one.claim_due(2000.0, 1)) == len(third.claim_due(2000.0, 1)) == 1
        one.close()
        assert other.claim_due(2000.0, 10) == []
        assert other.recover() == 1
        assert len(other.claim_due(2000.0, 10)) == 1
        assert other.recover() == 0

    def test_what_is_put_in_hand_is_nobody_elses(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        (entry_id,) = one.put([ENTRY], in_hand=True)
        assert one.claim_due(2000.0, 10) == other.claim_due(2000.0, 10) == []
        assert one.list()[0].in_hand
        assert one.settle(Settlement(entry_id=entry_id, fate="taken"))
        assert one.count() == 0

    def test_what_is_staged_is_seen_when_the_rest_is_put(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        staged = one.stage([replace(ENTRY, recipient="r1"), replace(ENTRY, recipient="r2")])
        assert other.claim_due(2000.0, 10) == []
        assert other.recover() == 0
        one.put([replace(ENTRY, recipient="r3")], staged=staged)
        assert [copy.recipient for copy in other.claim_due(2000.0, 10)] == ["r1", "r2", "r3"]

    def test_what_was_staged_goes_when_it_is_given_up_or_its_instance_is_gone(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.unstage(one.stage([ENTRY]))
        assert one.count() == 0
        one.stage([ENTRY])
        one.close()
        assert other.recover() == 0
        assert other.count() == 0

    def test_a_deferred_entry_comes_back_at_its_time(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY])
        spool.claim_due(2000.0, 10)
        assert spool.settle(_deferred(entry_id, delay_told=True))
        assert spool.claim_due(2099.0, 10) == []
        (copy,) = spool.claim_due(2100.0, 10)
        assert (copy.attempts, copy.last_reply, copy.first_reply) == (2, "451 4.7.1 still later", ENTRY.first_reply)
        assert copy.delay_told

    def test_who_has_not_the_entry_in_hand_cannot_defer_or_fail_it(self, open_spool: OpenSpool) -> None:
        slow, other = open_spool(), open_spool()
        (entry_id,) = slow.put([ENTRY])
        events = KeptEvents("1", [b"x"])
        assert not slow.settle(_deferred(entry_id, events=events))
        other.claim_due(2060.0, 10)
        assert not slow.settle(_deferred(entry_id, events=events))
        assert not slow.settle(Settlement(entry_id=entry_id, fate="failed", reports=[REPORT], events=events))
        assert [(e.id, e.attempts, e.in_hand) for e in slow.list()] == [(entry_id, 1, True)]
        slow.close()
        other.recover()
        assert other.left_events(10) == []

    def test_a_taken_entry_is_gone_whoever_has_it_in_hand_and_its_events_are_kept(self, open_spool: OpenSpool) -> None:
        slow, other = open_spool(), open_spool()
        (entry_id,) = slow.put([ENTRY])
        other.claim_due(2060.0, 10)
        assert slow.settle(Settlement(entry_id=entry_id, fate="taken", events=KeptEvents("1", [b"a"])))
        assert not slow.settle(Settlement(entry_id=entry_id, fate="taken", events=KeptEvents("2", [b"b"])))
        assert other.count() == 0
        assert not other.settle(_deferred(entry_id))
        assert other.count() == 0
        slow.close()
        other.recover()
        assert other.left_events(10) == [KeptEvents("1", [b"a"]), KeptEvents("2", [b"b"])]

    def test_a_report_takes_the_place_of_the_failed_copy(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY], in_hand=True)
        failed = Settlement(entry_id=entry_id, fate="failed", reports=[REPORT])
        assert spool.settle(failed)
        assert not spool.settle(failed)
        (listed,) = spool.list()
        assert listed.id != entry_id
        assert (listed.recipient, listed.is_report, listed.in_hand) == ("a@a.example", True, False)

    def test_a_report_that_cannot_be_put_leaves_the_copy(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (entry_id,) = spool.put([ENTRY], in_hand=True)
        broken = replace(REPORT, attempts=None)  # type: ignore[arg-type]
        with pytest.raises(SpoolError):
            spool.settle(Settlement(entry_id=entry_id, fate="failed", reports=[broken]))
        assert [(listed.id, listed.in_hand) for listed in spool.list()] == [(entry_id, True)]

    def test_events_are_kept_with_what_was_put_until_they_are_forgotten(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.put([ENTRY], events=KeptEvents("07", [b"\x00", b"\xff" * 300]))
        one.put([ENTRY], events=KeptEvents("08", [b"y"]))
        other.recover()
        assert other.left_events(10) == []  # the first writes them itself
        one.forget_events(["08"])
        one.leave_events(["07"])
        assert other.left_events(10) == [KeptEvents("07", [b"\x00", b"\xff" * 300])]
        assert one.left_events(10) == other.left_events(10) == []
        other.close()
        one.recover()
        (events,) = one.left_events(10)
        one.forget_events([events.key])
        one.leave_events([events.key])
        assert one.left_events(10) == []

    def test_nothing_of_a_put_that_fails_is_kept_not_even_its_events(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.put([], events=KeptEvents("1", [b"x"]))
        with pytest.raises(SpoolError):
            spool.put([ENTRY], events=KeptEvents("1", [b"the key is taken"]))
        assert spool.count() == 0

    def test_calls_made_together_stand_and_fall_alone(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        broken = replace(ENTRY, attempts=None)  # type: ignore[arg-type]
        first, second, third = together(
            spool, [lambda: spool.put([ENTRY]), lambda: spool.put([ENTRY, broken]), lambda: spool.put([ENTRY, ENTRY])]
        )
        assert isinstance(second, SpoolError)
        assert isinstance(first, list)
        assert isinstance(third, list)
        assert {listed.id for listed in spool.list()} == {*first, *third}

    def test_what_copies_have_in_common_is_given_back_whole(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        contents = [[b"Received: x\r\n", b"same " * 900, f"link{n}".encode(), b"same too"] for n in range(5)]
        contents += [[b"other"], [b"", b"", b"", b""], [b"four", b"pieces", b"more", b"again"]]
        ids = spool.put([replace(ENTRY, content=b"", pieces=pieces) for pieces in contents])
        assert [listed.size for listed in spool.list()] == [sum(map(len, pieces)) for pieces in contents]
        spool.settle(Settlement(entry_id=ids[0], fate="taken"))  # the one that the others refer to
        assert [copy.content for copy in spool.claim_due(2000.0, 10)] == [b"".join(each) for each in contents[1:]]

    def test_count_and_list(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        first, second = spool.put([ENTRY, replace(ENTRY, next_attempt=5.0, customer="7")])
        assert spool.count() == 2
        assert [listed.id for listed in spool.list()] == [second, first]
        (listed,) = spool.list(limit=1)
        assert listed.size == len(ENTRY.content)
        assert (listed.customer, listed.route, listed.held, listed.in_hand) == ("7", "bulk", False, False)

    def test_ids_are_never_used_again(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        (first,) = spool.put([ENTRY])
        spool.settle(Settlement(entry_id=first, fate="taken"))
        assert spool.put([ENTRY]) != [first]

    def test_threads_of_several_instances_claim_each_entry_once(self, open_spool: OpenSpool) -> None:
        spools = [open_spool() for _ in range(3)]
        spools[0].put([replace(ENTRY, recipient=str(n)) for n in range(200)])
        claimed: list[str] = []

        def claim(spool: Spool) -> None:
            while copies := spool.claim_due(2000.0, 7):
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
while copies := spool.claim_due(2000.0, 5):
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
        copies = spool.claim_due(2.0, 100_000, max_octets=1 << 40)
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
        found = spool.claim_due(10.0, 10)
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
