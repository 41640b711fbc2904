"""Which route a copy takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mailwake.logs import make_logger
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.routes import Routes
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    import pytest


class Destination:
    """Takes every copy and remembers it."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.closed = 0

    async def deliver(self, copy: Copy) -> Outcome:
        self.taken.append(copy.recipient)
        return Outcome(Status.DELIVERED, Reply(250, "2.0.0", "ok"), "here", "content")

    async def close(self) -> None:
        self.closed += 1


def copy_for(recipient: str, route: str) -> Copy:
    return Copy("a@a.example", recipient, (b"\r\n",), route=route)


async def test_each_copy_takes_its_route_and_one_that_is_gone_means_the_default_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    default, bulk = Destination(), Destination()
    routes = Routes({"": default, "bulk": bulk}, log=make_logger("json"))
    for recipient, route in [("a@x", ""), ("b@x", "bulk"), ("c@x", "gone"), ("d@x", "gone"), ("e@x", "bulk")]:
        assert (await routes.deliver(copy_for(recipient, route))).status is Status.DELIVERED
    assert (default.taken, bulk.taken) == (["a@x", "c@x", "d@x"], ["b@x", "e@x"])
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["route"] == "gone"
    assert json.loads(line)["level"] == "warning"


async def test_closing_closes_every_route() -> None:
    made = [Destination(), Destination()]
    await Routes({"": made[0], "bulk": made[1]}, log=make_logger("json")).close()
    assert [each.closed for each in made] == [1, 1]
