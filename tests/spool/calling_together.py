"""Calls of a spool that share a disk sync, as a worker makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from mailwake.spool.contract import Spool
from mailwake.spool.group_commit import GroupCommit


def together(spool: Spool, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The result of each call, or what it raised."""

    async def make() -> list[Any]:
        front = GroupCommit(spool)
        results = await asyncio.gather(*map(front.run, calls), return_exceptions=True)
        await front.close()
        return results

    return asyncio.run(make())
