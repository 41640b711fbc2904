"""Which route a copy takes: policy's, the pathway's, the customer's, the default one; and what depends on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.flows.routing import Routing
from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy
from mailwake.smtp.replies import Refusal, Reply

from .message_harness import MessageHarness, NextHop

ANN, BOB, CY, DAN = "ann@a.example", "bob@b.example", "cy@c.example", "dan@d.example"
PLAIN = b"Subject: nothing to track\r\n\r\nhello\r\n"
CONFIGURATION = """\
[relays.bulk]
next_hop = "bulk.example:25"
[relays.fast]
next_hop = "fast.example:25"
[customers.42]
relay = "fast"
[customers.43]
relay = "default"
[pathway.news]
relay = "bulk"
[pathway.group-only]
group = "marketing"
[pathway.plain]
[pathway.own]
relay = "default"
group = "marketing"
[pathway_group.marketing]
relay = "bulk"
"""
POLICY = """
from mailwake.policy import CONT

ROUTES = {"b.example": "bulk", "c.example": "bulk", "d.example": "fast"}

def validate_data_spool_each_rcpt(message, accept, context):
    route = ROUTES.get(message.routing_domain)
    if route:
        context.set("mailwake_relay", route)
    return CONT
"""
Begin = Callable[..., Awaitable[MessageHarness]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(CONFIGURATION)
    return path


@pytest.mark.parametrize(
    ("variables", "pathway", "route", "source"),
    [
        ({}, None, "default", "default"),
        ({"mo_customer_id": "7"}, None, "default", "default"),
        ({"mo_customer_id": "42"}, None, "fast", "customer 42"),
        ({"mo_customer_id": "43"}, None, "default", "customer 43"),
        ({"mo_customer_id": "42"}, "plain", "fast", "customer 42"),
        ({"mo_customer_id": "42"}, "news", "bulk", "pathway news, m.toml:10"),
        ({"mo_customer_id": "42"}, "own", "default", "pathway own, m.toml:15"),
        ({}, "group-only", "bulk", "pathway_group marketing, m.toml:18"),
        ({}, "not configured", "default", "default"),
        ({"mailwake_relay": "fast"}, "news", "fast", "context mailwake_relay"),
        ({"mailwake_relay": "default", "mo_customer_id": "42"}, "news", "default", "context mailwake_relay"),
        ({"mailwake_relay": "", "mo_customer_id": "42"}, None, "fast", "customer 42"),
    ],
)
def test_policy_comes_before_the_pathway_before_the_customer(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    pathway: str | None,
    route: str,
    source: str,
) -> None:
    monkeypatch.chdir(file.parent)
    configuration = load(file.name)
    scopes = ScopedOptions(configuration)
    options = scopes.resolve(scopes.listeners[0], "127.0.0.1", pathway)
    found = Routing.of(configuration.settings).route(variables, options)
    assert (found.value, found.source) == (route, source)


def test_a_route_that_is_not_configured_refuses_for_now(file: Path) -> None:
    configuration = load(file)
    scopes = ScopedOptions(configuration)
    options = scopes.resolve(scopes.listeners[0], "127.0.0.1")
    with pytest.raises(Refusal) as refused:
        Routing.of(configuration.settings).route({"mailwake_relay": "fsat"}, options)
    assert str(refused.value.reply).startswith("451 4.3.5 ")
    assert refused.value.log == "context variable mailwake_relay is 'fsat': there is no such relay"


@pytest.fixture
async def begin(tmp_path: Path, file: Path) -> AsyncIterator[Begin]:
    started: list[MessageHarness] = []

    async def start(policy: str | None = POLICY, **overrides: str) -> MessageHarness:
        harness = MessageHarness(tmp_path, {"trace_header": "false", **overrides}, file)
        harness.further_hops = {"bulk": NextHop(), "fast": NextHop()}
        if policy is not None:
            path = tmp_path / "policy.py"
            path.write_text(policy)
            harness.policy_hosts.append(ConfiguredPolicy(PythonPolicy(path)))
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for harness in started:
        await harness.stop()


def taken(harness: MessageHarness) -> dict[str, list[str]]:
    hops = {"": harness.hop, **harness.further_hops}
    return {name: sorted(recipient for recipient, _ in hop.taken) for name, hop in hops.items()}


async def test_policy_routes_each_recipient_by_itself(begin: Begin) -> None:
    harness = await begin()
    assert (await harness.receive([ANN, BOB, CY, DAN], PLAIN)).code == 250
    assert taken(harness) == {"": [ANN], "bulk": [BOB, CY], "fast": [DAN]}


async def test_a_customer_has_its_route_and_a_pathway_comes_before_it(begin: Begin) -> None:
    harness = await begin(policy=None)
    session = harness.session()
    session.context.set("mo_customer_id", "42")
    assert (await harness.receive([ANN], PLAIN, session=session)).code == 250
    session.context.set("pathway", "news")
    assert (await harness.receive([BOB], PLAIN, session=session)).code == 250
    assert (await harness.receive([CY], PLAIN)).code == 250
    assert taken(harness) == {"": [CY], "bulk": [BOB], "fast": [ANN]}


async def test_a_route_that_is_down_does_not_stop_the_copies_of_others(begin: Begin) -> None:
    harness = await begin()
    await harness.further_hops["bulk"].stop()
    everybody = [BOB, CY, *(f"bob{n}@b.example" for n in range(20)), ANN, DAN]
    assert (await harness.receive(everybody, PLAIN)).code == 250
    assert taken(harness) == {"": [ANN], "bulk": [], "fast": [DAN]}
    assert harness.spool.count() == 22
    # Of those for the route that is down only the first few were tried: the others would have met the same fate.
    assert harness.metrics.counter("copies_total", "unreachable").value <= 8


async def test_what_waits_in_the_spool_is_tried_on_its_own_route(begin: Begin) -> None:
    harness = await begin()
    harness.further_hops["bulk"].answers[BOB] = Reply(450, "4.2.1", "mailbox busy")
    assert (await harness.receive([ANN, BOB], PLAIN)).code == 250
    harness.further_hops["bulk"].answers.clear()
    await harness.retry_until_empty()
    assert taken(harness) == {"": [ANN], "bulk": [BOB], "fast": []}


async def test_mail_taken_into_the_spool_first_takes_its_route_too(begin: Begin) -> None:
    harness = await begin(**{"spool.acceptance": "spool"})
    assert (await harness.receive([ANN, BOB, DAN], PLAIN)).code == 250
    await harness.retry_until_empty()
    assert taken(harness) == {"": [ANN], "bulk": [BOB], "fast": [DAN]}


async def test_an_unknown_route_from_policy_leaves_the_message_with_its_sender(begin: Begin) -> None:
    harness = await begin(POLICY.replace('"b.example": "bulk"', '"b.example": "gone"'))
    reply = await harness.receive([ANN, BOB], PLAIN)
    assert (reply.code, reply.enhanced) == (451, "4.3.5")
    assert taken(harness) == {"": [], "bulk": [], "fast": []}
