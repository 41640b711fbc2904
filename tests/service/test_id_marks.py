from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.events.unique_ids import EPOCH, UniqueIdError
from mailwake.logs import make_logger
from mailwake.service.id_marks import AHEAD_MS, IdMarks


def _marks(directory: Path, clock: ManualClock) -> IdMarks:
    return IdMarks(directory, 3, 5, clock, make_logger("json", "error"))


def _forbid(mark: int) -> None:
    raise AssertionError("the event loop had to write the mark")


async def test_ids_never_wait_for_the_disk_while_the_thread_keeps_ahead(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    marks.ids._reserve = _forbid
    last = marks.ids.next()
    for _ in range(5):
        clock.advance(AHEAD_MS / 1000 - 1)
        found = marks.ids.next()
        assert found > last
        last = found
        await marks.advance()


async def test_the_first_id_is_there_while_the_thread_is_writing(tmp_path: Path) -> None:
    """A worker that was just started gets its first click in the same moment."""
    marks = _marks(tmp_path, ManualClock(EPOCH + 1000.0))
    advancing = asyncio.create_task(marks.advance())
    marks.ids.next()
    await advancing


async def test_an_id_beyond_the_mark_waits_for_the_write_in_hand(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    marks._writing.acquire()
    threading.Timer(0.05, marks._writing.release).start()
    clock.advance(AHEAD_MS / 1000 + 1)
    assert marks.ids.next() > 0


async def test_a_restart_never_gives_an_id_again(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    await marks.advance()
    given = [marks.ids.next() for _ in range(1000)]
    marks._reservation.close()
    clock.jump(-500)
    again = _marks(tmp_path, clock)
    assert min(again.ids.next() for _ in range(1000)) > max(given)


async def test_a_disk_that_hangs_gives_an_error_and_not_a_standstill(tmp_path: Path) -> None:
    clock = ManualClock(EPOCH + 1000.0)
    marks = _marks(tmp_path, clock)
    marks._writing.acquire()  # the thread is inside a write that does not return
    clock.advance(AHEAD_MS / 1000 + 1)
    with pytest.raises(UniqueIdError, match="does not answer"):
        marks.ids.next()
    marks._writing.release()
    with pytest.raises(UniqueIdError, match="does not answer"):  # nor does anybody wait again soon
        marks.ids.next()
    clock.advance(6)
    assert marks.ids.next() > 0
