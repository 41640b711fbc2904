from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.errors import StartupError
from mailwake.events.unique_ids import EPOCH, UniqueIdError, UniqueIds
from mailwake.journal.id_reservation import IdReservation


def test_a_fresh_slot_begins_at_nothing_and_keeps_its_highest_mark(tmp_path: Path) -> None:
    for expected in ([0], [0, 5], [5, 9, 12], [12]):
        reservation = IdReservation(tmp_path / "ids", 3)
        assert max(reservation.used_up_to, 0) == expected[0]
        for mark in expected[1:]:
            reservation.reserve(mark)
        reservation.close()


def test_slots_do_not_share_marks(tmp_path: Path) -> None:
    one, other = IdReservation(tmp_path, 1), IdReservation(tmp_path, 2)
    one.reserve(77)
    other.close()
    assert IdReservation(tmp_path, 2).used_up_to <= 0
    one.close()


def test_one_process_alone_may_use_a_slot(tmp_path: Path) -> None:
    first = IdReservation(tmp_path, 1)
    with pytest.raises(StartupError, match="another process"):
        IdReservation(tmp_path, 1)
    first.close()
    IdReservation(tmp_path, 1).close()


def test_whatever_octet_of_the_last_write_is_torn_the_mark_before_it_holds(tmp_path: Path) -> None:
    reservation = IdReservation(tmp_path, 1)
    for mark in (100, 200, 300):
        reservation.reserve(mark)
    before = (tmp_path / "1").read_bytes()
    reservation.reserve(400)
    reservation.close()
    after = (tmp_path / "1").read_bytes()
    changed = [index for index in range(len(after)) if index >= len(before) or before[index] != after[index]]
    assert changed
    for cut in range(changed[0], changed[-1] + 1):
        (tmp_path / "1").write_bytes(after[:cut] + before[cut:])
        torn = IdReservation(tmp_path, 1)
        assert torn.used_up_to in (300, 400)
        torn.reserve(500)
        torn.close()
        again = IdReservation(tmp_path, 1)
        assert again.used_up_to == 500
        again.close()


def test_a_first_write_that_was_torn_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"\x01\x02\x03")
    reservation = IdReservation(tmp_path, 1)
    reservation.reserve(10)
    reservation.close()
    assert IdReservation(tmp_path, 1).used_up_to == 10


@pytest.mark.parametrize("content", [b"x" * 1024, bytes(1024)])
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1").write_bytes(content)
    with pytest.raises(StartupError, match="damaged; see that the clock is right, then delete the file"):
        IdReservation(tmp_path, 1)
    (tmp_path / "1").unlink()
    IdReservation(tmp_path, 1).close()


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="cannot write the mark"):
        IdReservation(tmp_path / "file", 1)


def test_a_full_disk_stops_ids_and_its_end_starts_them_again(tmp_path: Path) -> None:
    reservation = IdReservation(tmp_path, 1)
    clock = ManualClock(EPOCH + 50_000_000.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    ids = UniqueIds(1, 1, clock.now, reservation.reserve, used_up_to=reservation.used_up_to)
    try:
        with pytest.raises(UniqueIdError):
            ids.next()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert ids.next() > 0
    reservation.close()


def test_a_killed_process_leaves_its_slot_and_no_id_comes_again(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from mailwake.clock import SystemClock\n"
        "from mailwake.events.unique_ids import UniqueIds\n"
        "from mailwake.journal.id_reservation import IdReservation\n"
        f"reservation = IdReservation(Path({str(tmp_path)!r}), 1)\n"
        "ids = UniqueIds(1, 1, SystemClock().now, reservation.reserve, used_up_to=reservation.used_up_to)\n"
        "print(*[ids.next() for _ in range(2000)], flush=True)\n"
        "sys.stdin.read()"
    )
    seen: set[str] = set()
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        made = process.stdout.readline().split()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert len(set(made)) == 2000
        assert not seen & set(made)
        seen |= set(made)
