from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.events.unique_ids import EPOCH, UniqueIdError
from mailwake.logs import make_logger
from mailwake.service.id_marks import AHEAD_MS, IdMarks


def _marks(directory: Path, clock: ManualClock) -> IdMarks:
    return IdMarks(directory, 3, 5, clock, make_logger("json", "error"))


async def test_the_mark_is_moved_from_a_thread_and_ids_follow(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    first = marks.ids.next()
    keeping = asyncio.create_task(marks.keep_ahead())
    while marks.ids._reserved < 1_000_000 + AHEAD_MS:  # noqa: ASYNC110  # a thread of its own moves it
        await asyncio.sleep(0.01)
    keeping.cancel()
    await keeping
    marks._reserve_now = None  # type: ignore[assignment, method-assign]  # never asked for within what is reserved
    clock.advance(AHEAD_MS / 1000 - 1)
    assert marks.ids.next() > first


async def test_a_restart_never_gives_an_id_again(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    await marks._advance()
    given = [marks.ids.next() for _ in range(1000)]
    marks._reservation.close()
    clock.jump(-500)
    again = _marks(tmp_path, clock)
    assert min(again.ids.next() for _ in range(1000)) > max(given)


async def test_a_disk_that_hangs_gives_an_error_and_not_a_standstill(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    marks.ids.next()
    marks._busy = True  # the thread is inside a write that does not return
    clock.advance(AHEAD_MS)
    with pytest.raises(UniqueIdError, match="does not answer"):
        marks.ids.next()
