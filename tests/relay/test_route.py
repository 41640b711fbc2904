"""A route over real loopback sockets: hops that are down, that refuse, that die and come back; shares and caps."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.route import Hop, Route
from mailwake.relay.settings import RelaySettings

if TYPE_CHECKING:
    from mailwake.logs import Logger

CLOSE, HANG, RESET = b"<close>", b"<hang>", b"<reset>"
CONTENT = b"Subject: x\r\n\r\nbody\r\n"
Peer = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode
StartHop = Callable[[], Awaitable[Peer]]


class Time:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def copy_of(number: int = 0, **values: Any) -> Copy:
    return Copy("a@a.example", f"r{number}@b.example", (CONTENT,), **values)


def at(port: int, *, priority: int = 10, weight: int = 1, **settings: Any) -> Hop:
    made = RelaySettings(**{"host": "127.0.0.1", "port": port, "helo_name": "me.example", "tls": "none", **settings})
    return Hop(made, priority, weight)


def recipients(peer: Peer) -> list[str]:
    return [recipient for _, recipient, _ in peer.messages]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


Open = Callable[..., Any]


@pytest.fixture
def open_route(log: Logger, metrics: Metrics, time: Time) -> Open:
    @asynccontextmanager
    async def opened(*hops: Hop, seed: int = 1, **values: Any) -> AsyncIterator[Route]:
        route = Route("default", hops, log=log, metrics=metrics, rng=random.Random(seed), now=time, **values)
        try:
            async with asyncio.timeout(60):
                yield route
                await route.close()
        finally:
            assert all(not member.host.is_connected for member in route._members)

    return opened


def state(metrics: Metrics, name: str, port: int, *labels: str) -> float:
    before = () if name == "relay_attempts_total" else ("default",)
    return metrics.counter(name, *before, f"127.0.0.1:{port}", *labels).value


# Who is asked


async def test_a_hop_that_is_down_is_followed_by_the_next_and_the_outcome_names_who_took_the_copy(
    hop: Peer, closed_port: int, open_route: Open, metrics: Metrics
) -> None:
    async with open_route(at(closed_port, priority=1), at(hop.port, priority=2)) as route:
        outcome = await route.deliver(copy_of())
        assert (outcome.status, outcome.next_hop) == (Status.DELIVERED, f"127.0.0.1:{hop.port}")
        assert hop.messages == [("a@a.example", "r0@b.example", CONTENT)]
        assert state(metrics, "relay_next_hop_up", closed_port) == 0
        assert state(metrics, "relay_next_hop_up", hop.port) == 1
        assert state(metrics, "relay_failovers_total", closed_port) == 1
        assert state(metrics, "relay_attempts_total", closed_port, "unreachable") == 1
        assert metrics.counter("copies_total", "delivered").value == 1
        assert metrics.counter("copies_total", "unreachable").value == 0


async def test_the_lowest_priority_number_gets_everything_while_it_is_up(start_hop: StartHop, open_route: Open) -> None:
    first, second, third = [await start_hop() for _ in range(3)]
    hops = (at(third.port, priority=30), at(first.port, priority=5), at(second.port, priority=20))
    async with open_route(*hops) as route:
        for number in range(10):
            await route.deliver(copy_of(number))
        await first.stop()
        for number in range(10, 20):
            assert (await route.deliver(copy_of(number))).status is Status.DELIVERED
    assert [len(recipients(peer)) for peer in (first, second, third)] == [10, 10, 0]


@pytest.mark.parametrize("greeting", [b"421 4.3.2 later\r\n", b"450 4.3.2 no\r\n", b"554 5.3.2 never\r\n", CLOSE])
async def test_a_hop_that_does_not_greet_is_as_one_that_is_down(
    start_hop: StartHop, open_route: Open, metrics: Metrics, greeting: bytes
) -> None:
    first, second = await start_hop(), await start_hop()
    first.always["GREETING"] = greeting
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        outcomes = [await route.deliver(copy_of(number)) for number in range(3)]
    assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
    assert len(second.messages) == 3
    assert first.stages["GREETING"] == 1  # then it is left out for a while
    assert state(metrics, "relay_next_hop_up", first.port) == 0


async def test_tls_or_auth_that_fails_moves_on_without_sending_anything(start_hop: StartHop, open_route: Open) -> None:
    no_tls, no_auth, third = [await start_hop() for _ in range(3)]
    no_auth.extensions.append("AUTH PLAIN")
    no_auth.always["AUTH"] = b"535 5.7.8 wrong\r\n"
    hops = (
        at(no_tls.port, priority=1, tls="must"),
        at(no_auth.port, priority=2, tls="none", username="u", password="p"),
        at(third.port, priority=3),
    )
    async with open_route(*hops) as route:
        assert (await route.deliver(copy_of())).next_hop == f"127.0.0.1:{third.port}"
    assert no_tls.stages["MAIL"] == no_auth.stages["MAIL"] == 0
    assert no_auth.stages["AUTH"] == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_421_moves_on(start_hop: StartHop, open_route: Open, stage: str) -> None:
    first, second = await start_hop(), await start_hop()
    first.always[stage] = b"421 4.3.2 shutting down\r\n"
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        assert (await route.deliver(copy_of())).next_hop == f"127.0.0.1:{second.port}"
    assert (first.messages, len(second.messages)) == ([], 1)


REFUSALS = [
    ("MAIL", b"451 4.7.1 later\r\n", Status.DEFERRED),
    ("MAIL", b"550 5.7.1 never\r\n", Status.REFUSED),
    ("RCPT", b"450 4.2.1 greylisted\r\n", Status.DEFERRED),
    ("RCPT", b"550 5.1.1 who\r\n", Status.REFUSED),
    ("DATA", b"452 4.3.1 full\r\n", Status.DEFERRED),
    ("CONTENT", b"451 4.3.0 scanner down\r\n", Status.DEFERRED),
    ("CONTENT", b"421 4.3.0 scanner down\r\n", Status.DEFERRED),
    ("CONTENT", b"552 5.2.3 too large\r\n", Status.REFUSED),
]


@pytest.mark.parametrize(("stage", "reply", "status"), REFUSALS)
async def test_what_a_hop_says_to_the_transaction_is_the_answer(
    start_hop: StartHop, open_route: Open, metrics: Metrics, stage: str, reply: bytes, status: Status
) -> None:
    first, second = await start_hop(), await start_hop()
    first.always[stage] = reply
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        outcome = await route.deliver(copy_of())
        assert (outcome.status, outcome.reply.encode()) == (status, reply)
        assert outcome.next_hop == f"127.0.0.1:{first.port}"
        assert state(metrics, "relay_next_hop_up", first.port) == 1
    assert second.stages["GREETING"] == 0


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_connection_lost_before_the_content_moves_on(
    start_hop: StartHop, open_route: Open, metrics: Metrics, stage: str, end: bytes
) -> None:
    first, second = await start_hop(), await start_hop()
    first.extensions.remove("PIPELINING")
    first.script[stage] = [end]
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        assert (await route.deliver(copy_of(0))).next_hop == f"127.0.0.1:{second.port}"
        # One lost connection is no reason to leave a hop out: the message may have been the reason.
        assert (await route.deliver(copy_of(1))).next_hop == f"127.0.0.1:{first.port}"
        assert state(metrics, "relay_next_hop_up", first.port) == 1
    assert (recipients(first), recipients(second)) == (["r1@b.example"], ["r0@b.example"])


@pytest.mark.parametrize("chunking", [True, False])
async def test_a_copy_that_may_have_been_taken_goes_nowhere_else(
    start_hop: StartHop, open_route: Open, *, chunking: bool
) -> None:
    first, second = await start_hop(), await start_hop()
    if chunking:
        first.extensions.append("CHUNKING")
    first.script["CONTENT"] = [CLOSE]
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        outcome = await route.deliver(copy_of())
        assert (outcome.status, outcome.next_hop) == (Status.UNCERTAIN, f"127.0.0.1:{first.port}")
    assert second.stages["GREETING"] == 0


# What not every hop can take


async def test_a_copy_goes_to_a_hop_that_can_take_it(start_hop: StartHop, open_route: Open) -> None:
    plain, able = await start_hop(), await start_hop()
    plain.extensions = ["PIPELINING", "SIZE 10"]
    async with open_route(at(plain.port, priority=1), at(able.port, priority=2)) as route:
        assert (await route.deliver(copy_of(0))).status is Status.DELIVERED
        assert (await route.deliver(copy_of(1, smtputf8=True))).status is Status.DELIVERED
    assert recipients(able) == ["r0@b.example", "r1@b.example"]
    assert plain.stages["MAIL"] == 0


async def test_a_copy_that_no_hop_can_take_is_refused_for_good(start_hop: StartHop, open_route: Open) -> None:
    first, second = await start_hop(), await start_hop()
    first.extensions, second.extensions = ["SIZE 10"], ["SIZE 11"]
    async with open_route(at(first.port, priority=1), at(second.port, priority=2)) as route:
        outcome = await route.deliver(copy_of())
    assert (outcome.status, outcome.reply.code, outcome.reply.enhanced) == (Status.REFUSED, 552, "5.3.4")
    assert "limit of 10 octets" in outcome.reply.text


async def test_it_is_deferred_while_a_hop_that_might_take_it_is_down(
    hop: Peer, closed_port: int, open_route: Open
) -> None:
    hop.extensions = ["SIZE 10"]
    async with open_route(at(hop.port, priority=1), at(closed_port, priority=2)) as route:
        for _ in range(2):  # the second time the other hop is paused
            outcome = await route.deliver(copy_of())
            assert (outcome.status, outcome.reply.code) == (Status.DEFERRED, 451)
    async with open_route(at(hop.port, priority=1), at(closed_port, priority=2), failover_seconds=0) as route:
        outcome = await route.deliver(copy_of())
        assert (outcome.status, str(outcome.reply)[:9]) == (Status.DEFERRED, "451 4.4.1")


# Pauses


async def test_a_hop_that_was_down_is_left_alone_until_its_pause_is_over_then_gets_its_mail_back(
    start_hop: StartHop, open_route: Open, time: Time, metrics: Metrics
) -> None:
    first, second = await start_hop(), await start_hop()
    port = first.port
    await first.stop()
    async with open_route(at(port, priority=1), at(second.port, priority=2)) as route:
        await route.deliver(copy_of(0))
        await first.start(port)
        time.seconds += 0.5
        await route.deliver(copy_of(1))
        assert recipients(second) == ["r0@b.example", "r1@b.example"]
        time.seconds += 1.0
        await route.deliver(copy_of(2))
        await route.deliver(copy_of(3))
        assert recipients(first) == ["r2@b.example", "r3@b.example"]
        assert state(metrics, "relay_next_hop_up", port) == 1


async def test_one_copy_probes_and_the_others_do_not_wait_for_it(
    start_hop: StartHop, open_route: Open, time: Time
) -> None:
    first, second = await start_hop(), await start_hop()
    first.script["GREETING"] = [b"421 4.3.2 no\r\n", HANG]
    async with open_route(at(first.port, priority=1, max_connections=1), at(second.port, priority=2)) as route:
        await route.deliver(copy_of(0))
        time.seconds += 2
        probing = asyncio.create_task(route.deliver(copy_of(1)))
        await first.until(lambda: first.stages["GREETING"] == 2)
        outcomes = await asyncio.gather(*(route.deliver(copy_of(number)) for number in range(2, 12)))
        assert {outcome.next_hop for outcome in outcomes} == {f"127.0.0.1:{second.port}"}
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        await route.deliver(copy_of(12))  # a cancelled probe hands its right on
        assert recipients(first) == ["r12@b.example"]


async def test_with_all_hops_down_the_one_whose_pause_ends_first_is_tried(
    start_hop: StartHop, open_route: Open, time: Time, metrics: Metrics
) -> None:
    first, second = await start_hop(), await start_hop()
    ports = first.port, second.port
    await first.stop()
    async with open_route(at(ports[0], priority=1), at(ports[1], priority=2)) as route:
        await route.deliver(copy_of(0))  # pauses the first
        time.seconds += 0.5
        await second.stop()
        outcome = await route.deliver(copy_of(1))  # pauses the second, and tries the first as a last resort
        assert (outcome.status, str(outcome.reply)) == (Status.UNREACHABLE, "451 4.4.1 No next hop can be reached")
        assert all(f"127.0.0.1:{port}: cannot connect" in outcome.reason for port in ports)
        assert state(metrics, "relay_attempts_total", ports[0], "unreachable") == 2
        await second.start(ports[1])
        assert (await route.deliver(copy_of(2))).status is Status.DELIVERED  # at once, though it is paused
        assert state(metrics, "relay_attempts_total", ports[0], "unreachable") == 2


async def test_a_route_of_one_hop_tries_it_each_time(hop: Peer, open_route: Open) -> None:
    port = hop.port
    await hop.stop()
    async with open_route(at(port)) as route:
        for _ in range(3):
            outcome = await route.deliver(copy_of())
            assert outcome.status is Status.UNREACHABLE
            assert str(outcome.reply) == f"451 4.4.1 Next hop 127.0.0.1:{port} cannot be reached"
        await hop.start(port)
        assert (await route.deliver(copy_of())).status is Status.DELIVERED


async def test_no_further_hop_is_tried_when_time_is_up(start_hop: StartHop, open_route: Open, time: Time) -> None:
    slow, last = await start_hop(), await start_hop()
    slow.script["GREETING"] = [HANG]

    async def pass_time() -> None:
        await slow.until(lambda: slow.stages["GREETING"] == 1)
        time.seconds += 31

    passing = asyncio.create_task(pass_time())
    hops = (at(slow.port, priority=1, greeting_timeout=0.3), at(last.port, priority=2))
    async with open_route(*hops, failover_seconds=30) as route:
        assert (await route.deliver(copy_of())).status is Status.UNREACHABLE
    await passing
    assert last.stages["GREETING"] == 0


# Shares


async def test_copies_are_shared_out_by_weight(start_hop: StartHop, open_route: Open) -> None:
    peers = [await start_hop() for _ in range(3)]
    hops = [at(peer.port, weight=weight) for peer, weight in zip(peers, (5, 3, 2), strict=True)]
    async with open_route(*hops) as route:
        for number in range(100):
            await route.deliver(copy_of(number))
            shares = [len(peer.messages) for peer in peers]
            expected = [(number + 1) * share for share in (0.5, 0.3, 0.2)]
            assert all(abs(got - wanted) < 2 for got, wanted in zip(shares, expected, strict=True))
    assert all(peer.stages["GREETING"] == 1 for peer in peers)


async def test_workers_do_not_all_begin_with_the_same_hop(open_route: Open) -> None:
    firsts: Counter[int] = Counter()
    for seed in range(400):
        async with open_route(at(1, weight=3, tls="none"), at(2, tls="none"), seed=seed) as route:
            chosen = route._usable(route._members)
            firsts[chosen.hop.settings.port] += 1
    assert firsts[1] > firsts[2] > 20


async def test_a_hop_of_weight_0_gets_copies_only_while_the_others_are_down(
    start_hop: StartHop, open_route: Open
) -> None:
    first, spare = await start_hop(), await start_hop()
    async with open_route(at(first.port), at(spare.port, weight=0)) as route:
        for number in range(20):
            await route.deliver(copy_of(number))
        assert (len(first.messages), len(spare.messages)) == (20, 0)
        await first.stop()
        for number in range(20):
            assert (await route.deliver(copy_of(number))).status is Status.DELIVERED
    assert len(spare.messages) == 20


async def test_hops_of_weight_0_alone_share_alike(start_hop: StartHop, open_route: Open) -> None:
    first, second = await start_hop(), await start_hop()
    async with open_route(at(first.port, weight=0), at(second.port, weight=0)) as route:
        for number in range(20):
            await route.deliver(copy_of(number))
    assert (len(first.messages), len(second.messages)) == (10, 10)


async def test_the_share_of_a_hop_that_is_down_goes_to_the_others_by_weight(
    start_hop: StartHop, closed_port: int, open_route: Open
) -> None:
    first, second = await start_hop(), await start_hop()
    hops = (at(closed_port, weight=10), at(first.port, weight=2), at(second.port, weight=1))
    async with open_route(*hops) as route:
        for number in range(60):
            await route.deliver(copy_of(number))
    assert abs(len(first.messages) - 40) <= 2
    assert len(first.messages) + len(second.messages) == 60


# Caps


async def test_each_hop_has_its_own_cap_of_connections(start_hop: StartHop, open_route: Open) -> None:
    first, second = await start_hop(), await start_hop()
    async with open_route(at(first.port, max_connections=2), at(second.port, max_connections=5)) as route:
        outcomes = await asyncio.gather(*(route.deliver(copy_of(number)) for number in range(100)))
    assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
    assert (first.most_connections, second.most_connections) == (2, 5)
    assert sorted(recipients(first) + recipients(second)) == sorted(f"r{n}@b.example" for n in range(100))


async def test_a_hop_that_takes_fewer_connections_is_used_with_those_and_counts_as_up(
    start_hop: StartHop, open_route: Open, metrics: Metrics
) -> None:
    first, second = await start_hop(), await start_hop()
    first.max_connections = 2
    async with open_route(at(first.port, max_connections=10), at(second.port, max_connections=10)) as route:
        outcomes = await asyncio.gather(*(route.deliver(copy_of(number)) for number in range(100)))
        assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
        assert state(metrics, "relay_next_hop_up", first.port) == 1
    assert first.messages
    assert len(first.messages) + len(second.messages) == 100


async def test_a_hop_that_hangs_does_not_hold_up_those_beside_it(start_hop: StartHop, open_route: Open) -> None:
    stuck, other = await start_hop(), await start_hop()
    stuck.read_slowly.clear()
    waiting = list(range(60))

    async def send(route: Route) -> None:
        while waiting:
            assert (await route.deliver(copy_of(waiting.pop()))).status is Status.DELIVERED

    async with open_route(at(stuck.port, max_connections=2), at(other.port, max_connections=2)) as route:
        senders = asyncio.gather(*(send(route) for _ in range(6)))
        await other.until(lambda: len(other.messages) >= 60 - 4)  # two in its hands, and at most two in its line
        stuck.read_slowly.set()
        await senders
    assert 2 <= len(stuck.messages) <= 4


# Trouble under load


async def test_hops_that_die_and_come_back_under_load_lose_and_double_nothing(
    start_hop: StartHop, open_route: Open, time: Time
) -> None:
    peers = [await start_hop() for _ in range(3)]
    ports = [peer.port for peer in peers]
    chance = random.Random(7)
    outcomes: dict[str, Outcome] = {}
    waiting = list(range(600))
    progress = asyncio.Event()

    async def send(route: Route) -> None:
        while waiting:
            number = waiting.pop()
            outcomes[f"r{number}@b.example"] = await route.deliver(copy_of(number))
            time.seconds += 0.05
            progress.set()

    async def disturb() -> None:
        while waiting:
            peer, left = chance.randrange(3), len(waiting)
            await peers[peer].stop()
            while waiting and len(waiting) > left - 20:
                progress.clear()
                await progress.wait()
            await peers[peer].start(ports[peer])

    async with open_route(*(at(port, max_connections=4) for port in ports)) as route:
        await asyncio.gather(disturb(), *(send(route) for _ in range(16)))
    taken = Counter(recipient for peer in peers for recipient in recipients(peer))
    delivered = {recipient for recipient, outcome in outcomes.items() if outcome.status is Status.DELIVERED}
    uncertain = {recipient for recipient, outcome in outcomes.items() if outcome.status is Status.UNCERTAIN}
    assert len(outcomes) == 600
    assert delivered | uncertain == set(outcomes)  # two of three are always there
    assert delivered <= set(taken) <= delivered | uncertain
    assert max(taken.values()) == 1
    assert len(uncertain) < 100
