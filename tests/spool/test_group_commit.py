from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwake.spool.contract import KeptEvents, NewEntry, SpoolError
from mailwake.spool.group_commit import LARGE, GroupCommit
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry("s@a.example", "r@b.example", b"x\r\n", False, "7BIT", 1, "m", "451", 1.0, 1.0)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[GroupCommit]:
    spool = SqliteSpool(tmp_path / "spool.sqlite3")
    made = GroupCommit(spool)
    yield made
    await made.close()
    spool.close()


async def test_many_calls_each_get_their_own_result(front: GroupCommit) -> None:
    ids = await asyncio.gather(*(front.run(lambda: front.spool.put([ENTRY])) for _ in range(200)))
    assert len({entry_id for (entry_id,) in ids}) == 200 == front.spool.count()


async def test_large_calls_too(front: GroupCommit) -> None:
    small = front.run(lambda: front.spool.put([ENTRY]))
    large = front.run(lambda: front.spool.put([ENTRY, ENTRY]), octets=LARGE)
    assert [len(ids) for ids in await asyncio.gather(small, large)] == [1, 2]


@pytest.mark.parametrize("octets", [0, LARGE])
async def test_what_fails_fails_alone(front: GroupCommit, octets: int) -> None:
    def defect() -> None:
        raise KeyError("a defect")

    def refused() -> None:
        raise SpoolError("no room")

    results = await asyncio.gather(
        front.run(lambda: front.spool.put([ENTRY]), octets),
        front.run(defect),
        front.run(refused),
        front.run(lambda: front.spool.put([ENTRY])),
        return_exceptions=True,
    )
    assert isinstance(results[1], KeyError)
    assert isinstance(results[2], SpoolError)
    assert isinstance(results[0], list)
    assert isinstance(results[3], list)
    assert {listed.id for listed in front.spool.list()} == {*results[0], *results[3]}
    await front.run(lambda: front.spool.put([ENTRY]))


async def test_a_call_whose_caller_was_cancelled_is_made_all_the_same(front: GroupCommit) -> None:
    task = asyncio.create_task(front.run(lambda: front.spool.put([ENTRY])))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await front.run(lambda: front.spool.put([ENTRY]))
    assert front.spool.count() == 2


async def test_forgetting_waits_for_company_but_not_beyond_the_end(front: GroupCommit, tmp_path: Path) -> None:
    await front.run(lambda: front.spool.put([], events=KeptEvents("1", [b"e"])))
    await front.run(lambda: front.spool.put([], events=KeptEvents("2", [b"e"])))
    front.forget_events("1")
    await front.run(lambda: front.spool.put([ENTRY]))
    front.forget_events("2")
    await front.close()
    front.spool.leave_events(["1", "2"])
    assert front.spool.left_events(10) == []


async def test_the_loop_may_look_at_the_spool_while_a_group_is_under_way_but_not_write_past_it(
    front: GroupCommit,
) -> None:
    running = [asyncio.create_task(front.run(lambda: front.spool.put([ENTRY]))) for _ in range(50)]
    while not all(task.done() for task in running):
        assert front.spool.count() in range(51)
        with contextlib.suppress(RuntimeError):
            front.spool.give_back([])
        await asyncio.sleep(0)
    assert front.spool.count() == 50
