"""Several copies in flight on one connection: who goes where, and what becomes of each when something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings

if TYPE_CHECKING:
    from mailwake.logs import Logger

CLOSE, HANG, RESET = b"<close>", b"<hang>", b"<reset>"
TAKEN = b"250 2.0.0 queued\r\n"
Hop = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode
Settings = Callable[..., RelaySettings]


@pytest.fixture(autouse=True)
def chunking(hop: Hop) -> None:
    hop.extensions.append("CHUNKING")


@pytest.fixture
def gate(hop: Hop) -> asyncio.Event:
    """No final reply before it is set."""
    go_on = asyncio.Event()
    hop.before_final_reply = go_on.wait
    return go_on


def _copy(number: int, content: bytes = b"Subject: x\r\n\r\nx\r\n") -> Copy:
    return Copy("a@a.example", f"r{number}@b.example", (content,))


def _taken(hop: Hop) -> list[str]:
    return [recipient.partition("@")[0] for _, recipient, _ in hop.messages]


@asynccontextmanager
async def _smart_host(settings: RelaySettings, log: Logger, metrics: Metrics | None = None) -> AsyncIterator[SmartHost]:
    host = SmartHost(settings, log=log, metrics=metrics)
    async with asyncio.timeout(60):
        yield host
        await host.close()
    assert "connections=0 idle=0 slots=0/" in repr(host)


def _begin(host: SmartHost, numbers: range) -> list[asyncio.Task[Outcome]]:
    return [asyncio.create_task(host.deliver(_copy(number))) for number in numbers]


async def _statuses(tasks: list[asyncio.Task[Outcome]]) -> list[Status]:
    return [(await task).status for task in tasks]


# Who goes where


async def test_as_many_as_may_be_and_the_others_wait(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    async with _smart_host(settings_for(max_connections=1, max_in_flight=4), log) as host:
        tasks = _begin(host, range(6))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        assert "in_flight=4 waiting=2" in repr(host)
        gate.set()
        assert await _statuses(tasks) == [Status.DELIVERED] * 6
    assert _taken(hop) == [f"r{n}" for n in range(6)]
    assert hop.stages["GREETING"] == 1


@pytest.mark.parametrize(
    ("extensions", "changes"),
    [
        (["PIPELINING"], {}),
        (["CHUNKING"], {}),
        (["PIPELINING", "CHUNKING"], {"chunking": False}),
        (["PIPELINING", "CHUNKING"], {"max_in_flight": 1}),
        (["PIPELINING", "CHUNKING"], {"protocol": "lmtp"}),
    ],
)
async def test_one_at_a_time_where_no_more_can_be(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event, extensions: list[str], changes: Any
) -> None:
    hop.extensions = extensions
    async with _smart_host(settings_for(max_connections=1, **changes), log) as host:
        tasks = _begin(host, range(3))
        await hop.until(lambda: any(line.startswith(("BDAT", "DATA")) for line in hop.commands))
        assert "in_flight=1 waiting=2" in repr(host)
        gate.set()
        assert await _statuses(tasks) == [Status.DELIVERED] * 3


async def test_new_connections_come_before_flights_and_idle_ones_before_both(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    def loads() -> list[int]:
        return sorted(connection.load for connection in host._pool._connections)

    async with _smart_host(settings_for(max_connections=3, max_in_flight=4), log) as host:
        tasks = _begin(host, range(3))
        await hop.until(lambda: len(hop.commands) >= 12)
        assert loads() == [1, 1, 1]
        tasks += _begin(host, range(3, 8))
        await asyncio.sleep(0)
        assert loads() == [2, 3, 3]
        gate.set()
        assert await _statuses(tasks) == [Status.DELIVERED] * 8
        await host.deliver(_copy(8))
    assert hop.stages["GREETING"] == 3


async def test_nobody_is_put_behind_content_that_does_not_go_out(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.read_slowly.clear()
    async with _smart_host(settings_for(max_connections=1), log) as host:
        big = asyncio.create_task(host.deliver(_copy(0, b"x" * 30_000_000)))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        (connection,) = host._pool._connections
        while not connection.congested:  # noqa: ASYNC110 - nothing else tells when the transport has had enough
            await asyncio.sleep(0)
        small = asyncio.create_task(host.deliver(_copy(1)))
        await asyncio.sleep(0)
        assert "in_flight=1 waiting=1" in repr(host)
        hop.read_slowly.set()
        assert await _statuses([big, small]) == [Status.DELIVERED] * 2


async def test_a_limit_of_messages_holds_in_flight(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(max_connections=1, max_messages_per_connection=3), log) as host:
        assert await _statuses(_begin(host, range(9))) == [Status.DELIVERED] * 9
    assert hop.stages["GREETING"] == 3
    assert hop.stages["QUIT"] == 3


async def test_an_old_connection_is_left_when_it_is_idle(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(max_connection_age=0.2), log) as host:
        await host.deliver(_copy(0))
        await hop.until(lambda: hop.open_connections == 0)
        assert hop.commands[-1] == "QUIT"
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED


async def test_a_connection_that_grew_old_at_work_takes_no_more(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    async with _smart_host(settings_for(max_connections=1, max_in_flight=1, max_connection_age=0.2), log) as host:
        tasks = _begin(host, range(2))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        (connection,) = host._pool._connections
        await asyncio.sleep(connection.opened_at + 0.25 - asyncio.get_running_loop().time())
        gate.set()
        assert await _statuses(tasks) == [Status.DELIVERED] * 2
    assert (hop.stages["GREETING"], hop.stages["QUIT"]) == (2, 2)


async def test_a_long_line_of_copies_that_are_refused_here(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.extensions = ["PIPELINING", "CHUNKING", "SIZE 10"]
    async with _smart_host(settings_for(max_connections=1), log) as host:
        tasks = _begin(host, range(2000))
        assert set(await _statuses(tasks)) == {Status.REFUSED}
        assert {(await task).reply.enhanced for task in tasks} == {"5.3.4"}
    assert hop.stages["MAIL"] == 0


# When something goes wrong


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "CONTENT"])
@pytest.mark.parametrize("number", range(4))
async def test_a_refusal_is_of_that_copy_alone(
    hop: Hop, settings_for: Settings, log: Logger, stage: str, number: int
) -> None:
    usual = {"MAIL": b"250 2.1.0 ok\r\n", "RCPT": b"250 2.1.5 ok\r\n", "CONTENT": TAKEN}
    hop.script[stage] = [*[usual[stage]] * number, b"550 5.7.1 no\r\n"]
    async with _smart_host(settings_for(max_connections=1), log) as host:
        tasks = _begin(host, range(4))
        expected = [Status.DELIVERED] * 4
        expected[number] = Status.REFUSED
        assert await _statuses(tasks) == expected
        assert str((await tasks[number]).reply) == "550 5.7.1 no"
    assert _taken(hop) == [f"r{n}" for n in range(4) if n != number]
    assert hop.stages["GREETING"] == 1


@pytest.mark.parametrize("stage", ["RSET", "MAIL", "CONTENT"])
async def test_those_behind_a_421_are_sent_again_unseen(
    hop: Hop, settings_for: Settings, log: Logger, stage: str
) -> None:
    closing = b"421 4.3.2 closing\r\n"
    hop.script[stage] = {"RSET": [closing], "MAIL": [b"250 ok\r\n", closing], "CONTENT": [TAKEN, closing]}[stage]
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=1), log, metrics) as host:
        tasks = _begin(host, range(4))
        second = Status.DEFERRED if stage == "CONTENT" else Status.DELIVERED
        assert await _statuses(tasks) == [Status.DELIVERED, second, Status.DELIVERED, Status.DELIVERED]
    assert sorted(_taken(hop)) == [f"r{n}" for n in range(4) if n != 1 or second is Status.DELIVERED]
    assert hop.stages["GREETING"] == 2
    assert metrics.counter("copies_resent_total", "421").value == (2 if stage == "CONTENT" else 3)


async def test_a_hop_that_always_says_421_is_asked_twice_and_no_more(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.always["MAIL"] = b"421 4.7.0 not you\r\n"
    async with _smart_host(settings_for(max_connections=1), log) as host:
        assert set(await _statuses(_begin(host, range(4)))) == {Status.DEFERRED}
    assert hop.stages["GREETING"] <= 5
    assert _taken(hop) == []


async def test_those_for_which_a_connection_has_brought_enough_are_sent_again_over_one_new_one(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    enough = b"452 4.5.3 Too many messages sent\r\n"
    hop.script["MAIL"] = [b"250 ok\r\n", enough, enough, enough]
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=1), log, metrics) as host:
        assert await _statuses(_begin(host, range(8))) == [Status.DELIVERED] * 8
    assert sorted(_taken(hop)) == [f"r{n}" for n in range(8)]
    assert hop.stages["GREETING"] == 2
    assert metrics.counter("copies_resent_total", "452").value == 3


@pytest.mark.parametrize("end", [CLOSE, RESET])
async def test_an_idle_connection_that_was_dead_is_replaced_for_all_in_flight(
    hop: Hop, settings_for: Settings, log: Logger, end: bytes
) -> None:
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=1), log, metrics) as host:
        await host.deliver(_copy(0))
        hop.script["MAIL"] = [end]
        assert await _statuses(_begin(host, range(1, 5))) == [Status.DELIVERED] * 4
    assert sorted(_taken(hop)) == [f"r{n}" for n in range(5)]
    assert hop.stages["GREETING"] == 2
    assert metrics.counter("copies_resent_total", "silence").value == 4


@pytest.mark.parametrize("end", [CLOSE, RESET, b"nonsense\r\n"])
async def test_a_connection_lost_at_work_leaves_those_in_flight_uncertain(
    hop: Hop, settings_for: Settings, log: Logger, end: bytes
) -> None:
    hop.script["CONTENT"] = [TAKEN, end]
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=1), log, metrics) as host:
        tasks = _begin(host, range(4))
        assert await _statuses(tasks) == [Status.DELIVERED, *[Status.UNCERTAIN] * 3]
        assert {str((await task).reply)[:9] for task in tasks[1:]} == {"451 4.4.2"}
    assert _taken(hop)[0] == "r0"
    assert metrics.counter("relay_attempts_total", f"127.0.0.1:{hop.port}", "uncertain").value == 3
    assert metrics.counter("copies_resent_total", "silence").value == 0


async def test_a_first_connection_lost_in_silence_is_uncertain_for_all(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.script["MAIL"] = [CLOSE]
    async with _smart_host(settings_for(max_connections=1), log) as host:
        assert await _statuses(_begin(host, range(3))) == [Status.UNCERTAIN] * 3
    assert hop.stages["GREETING"] == 1


async def test_what_has_not_left_us_is_safe_and_what_has_is_not(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    async with _smart_host(settings_for(max_connections=1), log) as host:
        small = asyncio.create_task(host.deliver(_copy(0)))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        big = asyncio.create_task(host.deliver(_copy(1, b"x" * 30_000_000)))
        (connection,) = host._pool._connections
        while not connection.congested:  # noqa: ASYNC110 - nothing else tells when the transport has had enough
            await asyncio.sleep(0)
        assert connection.load == 2
        hop.drop_connections()
        assert await _statuses([small, big]) == [Status.UNCERTAIN, Status.DEFERRED]


async def test_a_hop_that_stalls_leaves_all_uncertain_and_nothing_is_sent_twice(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.script["CONTENT"] = [TAKEN, HANG]
    async with _smart_host(settings_for(max_connections=1, content_timeout=0.5), log) as host:
        tasks = _begin(host, range(4))
        assert await _statuses(tasks) == [Status.DELIVERED, *[Status.UNCERTAIN] * 3]
        assert {(await task).reason for task in tasks[1:]} == {"no reply in time"}
    assert _taken(hop) == ["r0"]


async def test_a_cancelled_copy_disturbs_no_other_in_flight(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    async with _smart_host(settings_for(max_connections=1), log) as host:
        tasks = _begin(host, range(4))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        tasks[1].cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await _statuses([tasks[0], *tasks[2:]]) == [Status.DELIVERED] * 3
    assert hop.stages["GREETING"] == 1


async def test_a_connection_whose_copies_are_all_cancelled_is_dropped(
    hop: Hop, settings_for: Settings, log: Logger, gate: asyncio.Event
) -> None:
    async with _smart_host(settings_for(max_connections=1), log) as host:
        tasks = _begin(host, range(3))
        await hop.until(lambda: any("BDAT" in line for line in hop.commands))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gate.set()
        assert (await host.deliver(_copy(3))).status is Status.DELIVERED
    assert hop.stages["GREETING"] == 2
