"""How long futures are waited for, on a loop whose time moves only when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from mailwake.flows.patience import Patience


class Timers:
    """The part of an event loop that sets timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pending: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.pending.append((self.now + delay, callback))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer[0] <= end]:
            timer = min(due, key=lambda item: item[0])
            self.pending.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def patience(timers: Timers) -> Patience:
    return Patience(cast("Any", timers), 8.0)


async def test_a_future_is_given_up_after_the_limit_and_not_before(timers: Timers, patience: Patience) -> None:
    futures = []
    for _ in range(5):
        future = asyncio.get_running_loop().create_future()
        patience.watch(future)
        futures.append((timers.now, future))
        timers.advance(0.3)
    for _ in range(100):
        for begun, future in futures:
            waited = timers.now - begun
            if waited < 7.99:
                assert not future.cancelled()
            elif waited > 9.01:
                assert future.cancelled()
        timers.advance(0.1)
    assert all(future.cancelled() for _, future in futures)


async def test_a_future_that_is_done_in_time_is_left_alone(timers: Timers, patience: Patience) -> None:
    future = asyncio.get_running_loop().create_future()
    patience.watch(future)
    timers.advance(7)
    future.set_result(1)
    timers.advance(20)
    assert future.result() == 1


async def test_without_anything_to_wait_for_no_timer_runs(timers: Timers, patience: Patience) -> None:
    for _ in range(3):
        future = asyncio.get_running_loop().create_future()
        patience.watch(future)
        future.set_result(None)
        assert len(timers.pending) == 1, "one timer for all"
        timers.advance(2)
        assert timers.pending == []
