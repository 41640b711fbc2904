"""Several messages in flight on one connection (BDAT), to Debian's Postfix and Exim: each gets its own reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings

from .conftest import World
from .exim import Exim
from .newsletters import newsletter
from .page import Recipe
from .postfix import Postfix
from .root import Root

pytestmark = pytest.mark.scenario

COPIES = 40
REFUSED = {7: "odd!name@example.org", 8: "odd!other@example.org", 23: "nobody-like-this@mail.example.com"}
"""Exim refuses the first two at RCPT, Postfix the third; what the other server does with those is its own affair."""


@pytest.fixture(params=["postfix", "exim"])
def server(request: pytest.FixtureRequest, address: str, world: World) -> Iterator[Root]:
    if request.param == "postfix":
        postfix = Postfix(address, world.address)
        started: Postfix | Exim = postfix
    else:
        page = Recipe("exim-next-hop.md", "mailwake before Exim", {"127.0.0.1": address})
        started = Exim(address, world.address)
        for path in ("/etc/exim4/update-exim4.conf.conf", "/etc/exim4/conf.d/main/00_local_mailwake"):
            started.write(path, page.file(path))
    try:
        started.begin(25)
        yield started
    finally:
        started.remove()


def _copy(number: int, name: str) -> Copy:
    recipient = REFUSED.get(number, f"r{number}@example.org")
    content = newsletter(f"{name}-{number}")
    return Copy("news@example.com", recipient, (content[:200], content[200:]))


async def _deliver_all(settings: RelaySettings, name: str, metrics: Metrics) -> tuple[list[Outcome], int]:
    host = SmartHost(settings, log=make_logger("json"), metrics=metrics)
    try:
        async with asyncio.timeout(60):
            tasks = [asyncio.create_task(host.deliver(_copy(number, name))) for number in range(COPIES)]
            most = 0
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0)
                most = max([most, *(connection.load for connection in host._pool._connections)])
            return [task.result() for task in tasks], most
    finally:
        await host.close()


def test_each_copy_gets_its_own_reply(server: Postfix | Exim, address: str, world: World) -> None:
    name = f"in-flight-{type(server).__name__}"
    settings = RelaySettings(address, 25, helo_name="mailwake.example.com", tls="none", max_connections=1)
    metrics = Metrics()
    outcomes, most = asyncio.run(_deliver_all(settings, name, metrics))
    assert most == 4, "the server offers CHUNKING and PIPELINING"
    odd = [number for number, outcome in enumerate(outcomes) if outcome.status is not Status.DELIVERED]
    assert odd == ([23] if isinstance(server, Postfix) else [7, 8]), [str(outcomes[number].reply) for number in odd]
    assert {outcomes[number].status for number in odd} == {Status.REFUSED}
    assert {outcomes[number].stage for number in odd} == {"rcpt"}
    for number in set(range(COPIES)) - set(REFUSED):
        assert list(world.copies(f"{name}-{number}")) == [f"r{number}@example.org"]
    assert metrics.counter("copies_resent_total", "421").value == 0
    assert metrics.counter("copies_resent_total", "silence").value == 0
