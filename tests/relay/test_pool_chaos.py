"""A next hop that fails at random: what the outcome says of a copy must be what the hop has of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings

if TYPE_CHECKING:
    from mailwake.logs import Logger

_TROUBLE = (
    b"450 4.0.0 later\r\n",
    b"451-4.0.0 a\r\n451 4.0.0 b\r\n",
    b"550 5.0.0 no\r\n",
    b"421 4.3.0 bye\r\n",
    b"garbage\r\n",
    b"<close>",
    b"<reset>",
)


class _Trouble(dict[str, bytes]):
    """One answer in eight is wrong; but the first connection opens, or nothing at all might be delivered."""

    def __init__(self, seed: int, stages: Counter[str]) -> None:
        self._random = random.Random(seed)
        self._stages = stages

    def get(self, stage: str, default: Any = None) -> Any:
        opens_first = stage in ("GREETING", "EHLO") and self._stages[stage] == 1
        if stage == "QUIT" or opens_first or self._random.random() > 1 / 8:
            return default
        return self._random.choice((*_TROUBLE, b"354 go\r\n") if stage == "DATA" else _TROUBLE)


@pytest.mark.parametrize("extensions", ["PIPELINING", "PIPELINING CHUNKING", "", "CHUNKING"])
@pytest.mark.parametrize(("max_connections", "max_in_flight"), [(5, 1), (2, 4), (1, 30)])
@pytest.mark.parametrize("seed", [1, 2])
async def test_outcomes_are_true(
    hop: Any,
    settings_for: Callable[..., RelaySettings],
    log: Logger,
    extensions: str,
    max_connections: int,
    max_in_flight: int,
    seed: int,
) -> None:
    hop.extensions = extensions.split()
    hop.always = _Trouble(seed, hop.stages)
    host = SmartHost(settings_for(max_connections=max_connections, max_in_flight=max_in_flight), log=log)

    async def deliver(number: int) -> tuple[str, Outcome]:
        copy = Copy("a@a.example", f"r{number}@b.example", (b"N: %d\r\n\r\n" % number, b"%d\r\n" % number))
        for _ in range(number % 50):
            await asyncio.sleep(0)  # not all of them in one line from the start
        return copy.recipient, await host.deliver(copy)

    async with asyncio.timeout(120):
        outcomes = await asyncio.gather(*(deliver(number) for number in range(300)))
        await host.close()
    taken = Counter(recipient for _, recipient, _ in hop.messages)
    for recipient, outcome in outcomes:
        expected = {Status.DELIVERED: (1,), Status.UNCERTAIN: (0, 1)}.get(outcome.status, (0,))
        assert taken[recipient] in expected, (recipient, outcome)
    for _, recipient, content in hop.messages:
        number = recipient[1:].partition("@")[0].encode()
        assert content == b"N: " + number + b"\r\n\r\n" + number + b"\r\n"
    assert "connections=0 idle=0 slots=0/" in repr(host)
    assert len(outcomes) == 300
    assert any(outcome.status is Status.DELIVERED for _, outcome in outcomes)
