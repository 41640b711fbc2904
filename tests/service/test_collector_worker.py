"""How the collector ends when a part of it does not."""

from __future__ import annotations

import asyncio

from mailwake.service.collector_worker import late_ones


async def test_parts_that_do_not_end_are_named_and_not_waited_for() -> None:
    tasks = [asyncio.create_task(asyncio.sleep(seconds), name=f"part {seconds}") for seconds in (0, 3600, 7200)]
    assert await late_ones(tasks, 0.01) == ["part 3600", "part 7200"]
    for task in tasks:
        task.cancel()


async def test_there_may_be_no_parts_at_all() -> None:
    assert await late_ones([], 3600) == []
