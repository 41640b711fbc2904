"""What docs/recipes/postfix-smart-host.md warns of: a Postfix before and behind mailwake. The mail is returned."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .newsletters import newsletter
from .page import Recipe
from .postfix import Postfix

pytestmark = pytest.mark.scenario


def test_a_loop_of_postfix_and_mailwake_ends(address: str, wire: Callable[..., WiredMailwake], world: World) -> None:
    page = Recipe("postfix-smart-host.md", "mailwake before Postfix", {"127.0.0.1": address})
    service = wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    server = Postfix(address, world.address)
    server.main = re.sub(r"^default_transport.*\n", "", server.main, flags=re.MULTILINE)
    server.add_to_main(f"relayhost = [127.0.0.1]:{service.smtp[1]}\n")
    try:
        server.begin(25)
        assert service.send("news@example.com", ["ann@example.org"], newsletter("loop")) == {}
        # The message, and then the bounce, which has the same way to go.
        refused = re.compile(r"to=<(ann@example\.org|news@example\.com)>.* status=bounced .*too many hops")
        wait_until(lambda: len(set(refused.findall(server.log))) == 2, "Postfix has counted its hops")
        wait_until(lambda: not server.queue(), "Postfix has nothing left to do")
    finally:
        server.remove()
    assert 2 * 20 < len(service.events_of("loop")) <= 2 * 26
