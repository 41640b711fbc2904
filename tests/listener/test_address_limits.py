from __future__ import annotations

import asyncio

import pytest

from mailwake.clock import ManualClock
from mailwake.listener.address_limits import (
    TOO_FAST,
    TOO_MANY,
    AddressLimits,
    AddressLimitSettings,
    WindowCounts,
)

KEY = "192.0.2.7"


def _limits(clock: ManualClock | None = None, **settings: float) -> AddressLimits:
    return AddressLimits(AddressLimitSettings(**settings), clock or ManualClock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_what_an_address_counts_as(address: str, key: str) -> None:
    assert AddressLimits.key_of(address) == key
    assert AddressLimits.key_of(address, exempt=True) == ""


def test_connections_at_once() -> None:
    limits = _limits(connections=2)
    assert [limits.open(KEY) for _ in range(3)] == ["", "", TOO_MANY]
    assert limits.open("192.0.2.8") == ""
    limits.close(KEY)
    assert [limits.open(KEY) for _ in range(2)] == ["", TOO_MANY]


def test_nothing_is_kept_of_connections_that_have_ended() -> None:
    limits = _limits(connections=2)
    for number in range(1000):
        assert limits.open(f"a{number}") == ""
    for number in range(1000):
        limits.close(f"a{number}")
    assert limits._open == {}


def test_new_connections_a_minute() -> None:
    clock = ManualClock()
    limits = _limits(clock, new_connections_a_minute=2)

    def come() -> str:
        refused = limits.open(KEY)
        if not refused:
            limits.close(KEY)
        return refused

    assert [come() for _ in range(4)] == ["", "", TOO_FAST, TOO_FAST]
    clock.advance(59)
    assert come() == TOO_FAST
    clock.advance(1)
    assert [come() for _ in range(3)] == ["", "", TOO_FAST]


def test_without_limits_there_are_none() -> None:
    limits = _limits()
    assert {limits.open(KEY) for _ in range(10_000)} == {""}
    assert limits.may_try(KEY)
    assert {_limits(connections=1, new_connections_a_minute=1).open("") for _ in range(10)} == {""}


async def test_wrong_passwords_and_their_window() -> None:
    clock = ManualClock()
    limits = AddressLimits(AddressLimitSettings(auth_failures=3, auth_failure_window=600), clock, pause=_at_once)
    for _ in range(3):
        assert limits.may_try(KEY)
        await limits.failed(KEY, 1)
    assert not limits.may_try(KEY)
    assert limits.may_try("192.0.2.8")
    clock.advance(599)
    assert not limits.may_try(KEY)
    clock.advance(1)
    assert limits.may_try(KEY)


async def _at_once(seconds: float, ending: asyncio.Event) -> None:
    pass


async def test_each_failure_doubles_the_pause_up_to_a_limit() -> None:
    pauses = []

    async def pause(seconds: float, ending: asyncio.Event) -> None:
        pauses.append(seconds)

    limits = AddressLimits(AddressLimitSettings(), ManualClock(), pause=pause)
    for _ in range(7):
        await limits.failed(KEY, 1)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    pauses.clear()
    for on_connection in range(1, 4):
        await limits.failed("", on_connection)  # nothing counts there but the connection
    assert pauses == [1, 2, 4]
    await limits.failed("192.0.2.9", 1_000_000)
    assert pauses[-1] == 30


async def test_at_the_end_nothing_is_held_back() -> None:
    limits = _limits()
    waiting = asyncio.create_task(limits.failed(KEY, 6))
    await asyncio.sleep(0)
    assert not waiting.done()
    limits.end()
    await asyncio.wait_for(waiting, 20)  # it would have been 30 seconds


def test_memory_is_bounded() -> None:
    counts = WindowCounts(60, entries=10)
    for number in range(100):
        counts.add(f"a{number}", 0)
        counts.add("busy", 0)
    assert len(counts) == 10
    assert counts.count("busy", 0) == 100  # those longest unheard of were forgotten, not this one
    assert counts.count("a0", 0) == 0
