"""Webhooks on the dashboard: over real files and a real feed, to real targets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest
from structlog.testing import LogCapture
from tests.dashboard.conftest import Served, hidden, logged_in
from tests.feed.conftest import START
from tests.webhooks.conftest import Node, Target, reply

from mailwake.api.parts import ApiParts
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.config.webhook_settings import ConfiguredWebhook
from mailwake.control.api_keys import Scope
from mailwake.dashboard.webhook_pages import status_of
from mailwake.webhooks.subscriptions import Standing

LIST = "/dashboard/webhooks"
NASTY = "<img src=x onerror=alert(1)>"


def plain(page: str) -> str:
    """A page as it reads."""
    body = page.split("<main", 1)[1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    made.start()
    yield made
    await made.stop()
    made.writer.close()
    made.positions.close()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def served(parts: ApiParts, node: Node, log: LogCapture) -> Served:
    with_webhooks = replace(parts, webhooks=node.webhooks.subscriptions, clock=node.clock)
    return Served(with_webhooks, DashboardSettings(), log)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with logged_in(served, served.key(Scope.WEBHOOKS, name="ops")) as client:
        yield client


async def send(client: httpx.AsyncClient, page: str, action: str, /, **fields: str) -> httpx.Response:
    """What the form with this action answers."""
    form = hidden((await client.get(page)).text)
    return await client.post(
        f"{page}/{action}", data={"form_token": form["form_token"], **fields}, follow_redirects=True
    )


async def test_without_webhooks_a_newcomer_is_told_how_to_make_one(client: httpx.AsyncClient) -> None:
    page = plain((await client.get(LIST)).text)
    assert "There is no webhook yet" in page
    assert "curl http://mail.test/api/v1/webhooks" in page


async def test_each_webhook_says_how_it_is(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    one = await node.create(target, name=f"crm {NASTY}")
    node.append(range(3))
    await node.until_delivered(one, target, 1)
    answer = await client.get(f"{LIST}?tz=Asia/Tokyo")
    page = plain(answer.text)
    assert f"crm {NASTY}" in page
    assert NASTY not in answer.text
    assert "Up to date Nothing waits" in page
    shown = plain((await client.get(f"{LIST}/{one}")).text)
    assert "delivered HTTP 200 after" in shown
    assert target.batches[0].batch_id in shown
    assert "None: nothing was given up" in shown


async def test_one_that_is_deleted_meanwhile_is_not_there(
    served: Served, client: httpx.AsyncClient, node: Node, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await node.create(target, name="crm")
    subscriptions = node.webhooks.subscriptions
    standings = subscriptions.standings

    async def after_it_was_deleted(**arguments: str | None) -> object:
        await subscriptions.delete(one)
        return await standings(**arguments)

    monkeypatch.setattr(subscriptions, "standings", after_it_was_deleted)
    answer = await client.get(f"{LIST}/{one}")
    assert answer.status_code == 404


async def test_no_secret_is_shown(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    made = await node.webhooks.subscriptions.create(
        {
            "name": "crm",
            "events": ["click"],
            "target": f"http://target.example:{target.port}/hook-secret1?token=secret2",
            "auth_type": "basic",
            "auth_credentials": {"username": "ann", "password": "secret3"},
            "custom_headers": {"X-Api-Key": "secret4"},
            "auth_token": "secret5",
        }
    )
    one = made["id"]
    secret = await node.webhooks.subscriptions.secret(one)
    pages = [(await client.get(path)).text for path in (LIST, f"{LIST}/{one}")]
    assert "Basic, as ann" in pages[1]
    assert "X-Api-Key" in pages[1]
    for page in pages:
        assert not re.search(r"secret\d", page)
        assert unescape(page).count(secret) == 0


async def test_dead_letters_are_sent_again_or_forgotten(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    node.append([7])  # a feed that has begun
    one = await node.create(target)
    target.always = reply(503)
    node.append(range(2))
    (dead,) = await node.until_dead(one, 1)
    page = f"{LIST}/{one}"
    shown = plain((await client.get(page)).text)
    assert "Failing Its target has failed for" in shown
    assert "given up HTTP 503" in shown
    assert "1 dead letter" in plain((await client.get(LIST)).text)
    target.always = reply()

    unsure = await send(client, page, "dead-letters", batch=dead["batch_id"], do="replay")
    assert unsure.status_code == 400
    assert "Nothing was done: tick the box" in unsure.text
    assert len(await node.dead(one)) == 1
    wrong = await send(client, page, "dead-letters", batch="nobody", do="replay", confirmed="yes")
    assert wrong.status_code == 404

    had = len(target.batches)
    sure = await send(client, page, "dead-letters", batch=dead["batch_id"], do="replay", confirmed="yes")
    assert sure.status_code == 200
    assert "1 of its dead letters are sent again" in plain(sure.text)
    await target.until(lambda: len(target.batches) > had)
    assert target.batches[-1].batch_id == dead["batch_id"]

    target.always = reply(503)
    node.append(range(10, 12))
    await node.until_dead(one, 1)
    dropped = await send(client, page, "dead-letters", batch="all", do="drop", confirmed="yes")
    assert "1 of its dead letters are forgotten" in plain(dropped.text)
    assert "None: nothing was given up, or it has been sent again or forgotten since." in plain(dropped.text)
    assert await node.dead(one) == []


async def test_a_replay_from_a_time_in_the_time_zone_of_the_page(
    client: httpx.AsyncClient, node: Node, target: Target
) -> None:
    one = await node.create(target)
    node.append(range(3))
    await node.until_delivered(one, target, 1)
    page = f"{LIST}/{one}"
    form = {"form_token": hidden((await client.get(page)).text)["form_token"]}
    # The events are of 2026-09-29T13:46:40 UTC.
    assert START == 1_790_689_600_000
    for wrong, said in (
        ({"from": "2026-09-29T13:00"}, "tick the box"),
        ({"from": "yesterday", "confirmed": "yes"}, "is no time"),
        ({"from": "2030-01-01T00:00", "confirmed": "yes"}, "must be past"),
    ):
        answer = await client.post(f"{page}/replay", data={**form, **wrong})
        assert answer.status_code == 400
        assert said in plain(answer.text)
    right = {**form, "from": "2026-09-29T22:46", "confirmed": "yes"}
    answer = await client.post(f"{page}/replay?tz=Asia/Tokyo", data=right, follow_redirects=True)
    assert "Events since then are sent again" in plain(answer.text)
    await node.until_delivered(one, target, 2)
    assert target.batches[1].ids == target.batches[0].ids


async def test_a_test_batch_shows_what_the_target_answers(
    client: httpx.AsyncClient, node: Node, target: Target
) -> None:
    one = await node.create(target)
    target.always = reply(200, f"taken {NASTY}".encode(), [f"X-Odd: {NASTY}"])
    answer = await send(client, f"{LIST}/{one}", "test")
    assert "The target has taken a test batch. HTTP 200" in plain(answer.text)
    assert NASTY not in answer.text
    assert plain(answer.text).count(NASTY) == 2
    assert hidden(answer.text)["next"] == f"{LIST}/{one}"  # what stands there can be asked for
    assert f'action="{LIST}/{one}/test"' in answer.text
    assert (await client.get(f"{LIST}/{one}?tz=UTC")).status_code == 200
    assert f'<form method="get" action="{LIST}/{one}">' in answer.text
    target.always = reply(500)
    assert "does not take a test batch: it answered 500" in plain((await send(client, f"{LIST}/{one}", "test")).text)


async def test_a_forged_form_does_nothing(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    one = await node.create(target)
    had = len(target.requests)
    page = f"{LIST}/{one}"
    form = hidden((await client.get(page)).text)
    confirmed = {"confirmed": "yes", "batch": "all", "do": "drop", "from": "2026-01-01T00:00"}
    for action in ("test", "replay", "dead-letters"):
        for token, headers in (
            ({}, {}),
            ({"form_token": "x"}, {}),
            ({"form_token": form["form_token"]}, {"sec-fetch-site": "cross-site"}),
        ):
            answer = await client.post(f"{page}/{action}", data={**confirmed, **token}, headers=headers)
            assert answer.status_code == 403
        assert (await client.get(f"{page}/{action}")).status_code == 405
    assert len(target.requests) == had


async def test_another_customers_webhooks_are_as_if_not_there(served: Served, node: Node, target: Target) -> None:
    ours = await node.create(target, name="ours", customer_id="shop")
    theirs = await node.create(target, name="theirs", customer_id="other")
    of_all = await node.create(target, name="of all")
    had = len(target.requests)
    async with logged_in(served, served.key(Scope.WEBHOOKS, customer="shop", name="shop")) as bound:
        page = plain((await bound.get(LIST)).text)
        assert "ours" in page
        assert "theirs" not in page
        assert "of all" not in page
        form = {"form_token": hidden((await bound.get(LIST)).text)["form_token"], "confirmed": "yes", "batch": "all"}
        for other in (theirs, of_all, "nobody", "%00"):
            assert (await bound.get(f"{LIST}/{other}")).status_code == 404
            for action in ("test", "replay", "dead-letters"):
                data = {**form, "from": "2026-01-01T00:00"}
                assert (await bound.post(f"{LIST}/{other}/{action}", data=data)).status_code == 404
        assert (await bound.get(f"{LIST}/{ours}")).status_code == 200
    assert len(target.requests) == had


async def test_who_may_only_read_has_no_webhooks(served: Served, node: Node, target: Target) -> None:
    one = await node.create(target)
    async with logged_in(served, served.key(Scope.READ, name="reader")) as reader:
        for path in (LIST, f"{LIST}/{one}"):
            assert (await reader.get(path)).status_code == 403
        page = (await reader.get("/dashboard/login")).text
        assert (await reader.post(f"{LIST}/{one}/test", data=hidden(page))).status_code == 403


async def test_one_of_the_configuration_says_where_it_is_changed(served: Served, node: Node, target: Target) -> None:
    await node.stop()
    node.configured = {"fixed": ConfiguredWebhook(target=target.url, events=("click",))}
    node.start()
    node.webhooks.adopt()  # as the collector does, before anything runs
    served.parts = replace(served.parts, webhooks=node.webhooks.subscriptions)
    served.start()
    await node.until_consumers({f"webhook:{each['id']}" for each in await node.webhooks.subscriptions.all()})
    (one,) = await node.webhooks.subscriptions.all()
    async with logged_in(served, served.key(Scope.ADMIN, name="boss")) as client:
        assert "It stands in the configuration" in (await client.get(f"{LIST}/{one['id']}")).text


async def test_what_waits_is_counted_up_to_a_limit(node: Node, target: Target) -> None:
    one = await node.create(target, active=False)
    other = await node.create(target, events=["bounce"])
    node.append(range(30))
    standings = await node.webhooks.subscriptions.standings()
    assert standings[one] == Standing(0, False, None, 0)  # it waits for nothing
    assert standings[other].waiting == 0
    third = await node.create(target)
    target.always = reply(503)
    node.append(range(30, 35))
    await target.until(lambda: len(target.batches) > 0)
    standing = (await node.webhooks.subscriptions.standings())[third]
    assert (standing.waiting, standing.more, standing.oldest) == (5, False, (START + 30) / 1000)


def test_statuses_in_words() -> None:
    webhook = {"active": True, "failing_since": None, "batch_seconds": None}
    now = 1_000_000.0
    for shown, standing, said in (
        ({}, Standing(0, False, None, 0), "Up to date: Nothing waits"),
        ({}, Standing(1, False, now - 5, 0), "Up to date: 1 event waits, the oldest for 5 s"),
        ({}, Standing(10_000, True, now - 300, 0), "Behind: 10 000 or more events wait, the oldest for 5 min"),
        ({"batch_seconds": 600}, Standing(2, False, now - 300, 0), "Up to date: 2 events wait, the oldest for 5 min"),
        (
            {"failing_since": int((now - 7200) * 1000)},
            Standing(2, False, now - 9000, 3),
            "Failing: Its target has failed for 2 h; 2 events wait, the oldest for 2 h",
        ),
        ({"active": False}, Standing(0, False, None, 0), "Switched off: It gets nothing until it is switched on"),
    ):
        status = status_of({**webhook, **shown}, standing, now)
        assert f"{status.word}: {status.sentence}".replace("\u202f", " ") == said


async def test_without_webhooks_it_says_that_they_are_not_ready(parts: ApiParts, log: LogCapture) -> None:
    served = Served(parts, DashboardSettings(), log)
    async with logged_in(served, served.key(Scope.WEBHOOKS)) as client:
        answer = await client.get(LIST)
        assert answer.status_code == 503
        assert "webhooks are not ready yet" in answer.text
