from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.spool.sqlite_spool import SqliteSpool
from mailwake.spool.steady_time import Moment

DAY = 86400.0
START = 1_700_000_000.0


def _open(directory: Path, clock: ManualClock, boot_id: str = "one") -> contextlib.closing[SqliteSpool]:
    return contextlib.closing(SqliteSpool(directory / "spool.sqlite3", clock=clock, boot_id=boot_id))


def test_it_begins_at_the_wall_clocks_and_goes_on_steadily(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with _open(tmp_path, clock) as spool:
        assert spool.now() == START
        clock.advance(60)
        clock.jump(-10 * DAY)
        assert spool.now() == START + 60


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * DAY, 3600.0])
def test_a_service_started_again_after_a_step_of_the_clock_goes_on_in_the_same_time(
    tmp_path: Path, jump: float
) -> None:
    clock = ManualClock(START)
    with _open(tmp_path, clock) as spool:
        clock.advance(60)
        clock.jump(jump)
        with _open(tmp_path, clock) as other:  # another worker
            assert other.now() == spool.now()
    with _open(tmp_path, clock) as again:
        assert again.now() == START + 60


def test_a_machine_that_was_off_counts_the_time(tmp_path: Path) -> None:
    with _open(tmp_path, ManualClock(START)):
        pass
    with _open(tmp_path, ManualClock(START + DAY), "two") as spool:
        assert spool.now() == START + DAY


def test_a_machine_that_wakes_up_in_1970_goes_on_where_it_was(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with _open(tmp_path, clock) as spool:
        clock.advance(DAY)
        spool.put([])  # writing notes the time
    clock = ManualClock(0.0)
    with _open(tmp_path, clock, "two") as spool:
        assert spool.now() == START + DAY
        clock.jump(START + 2 * DAY)  # NTP comes
        assert spool.now() == START + DAY


def test_times_on_the_wall() -> None:
    assert Moment(steady=100.0, wall=5000.0).on_the_wall(40.0) == 4940.0
