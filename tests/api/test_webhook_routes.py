"""Webhooks by the API: over a real server, with real files, to real targets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import only_error, serving
from tests.api.described import DESCRIBED
from tests.webhooks.conftest import Node, Target, reply

from mailwake.api.app import limits_of, make_app
from mailwake.api.parts import ApiParts
from mailwake.api.webhook_schemas import FIELDS
from mailwake.clock import ManualClock
from mailwake.config.webhook_settings import ConfiguredWebhook
from mailwake.control.api_keys import Scope
from mailwake.webhooks import request_body

NewKey = Callable[..., str]
WEBHOOKS = "/api/v1/webhooks"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    made.start()
    yield made
    await made.stop()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ask(parts: ApiParts, clock: ManualClock, node: Node, new_key: NewKey) -> AsyncIterator[httpx.AsyncClient]:
    with_webhooks = replace(parts, webhooks=node.webhooks.subscriptions)
    headers = {"authorization": new_key(Scope.WEBHOOKS)}
    async with (
        serving(make_app(with_webhooks), limits_of(parts), clock) as served,
        httpx.AsyncClient(base_url=served.url, headers=headers, event_hooks=DESCRIBED, trust_env=False) as client,
    ):
        yield client


def body_for(target: Target, /, **fields: Any) -> dict[str, Any]:
    return {"name": "crm", "target": target.url, "events": ["click", "open"]} | fields


async def created(ask: httpx.AsyncClient, target: Target, **fields: Any) -> str:
    answer = await ask.post(WEBHOOKS, json=body_for(target, **fields))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"]["id"])


async def test_the_life_of_a_webhook_in_the_vendors_shapes(ask: httpx.AsyncClient, target: Target) -> None:
    made = (await ask.post(WEBHOOKS, json=body_for(target))).json()["results"]
    one = f"{WEBHOOKS}/{made['id']}"
    assert made["links"] == [{"href": one, "rel": "urn.msys.webhooks.webhook", "method": ["GET", "PUT", "DELETE"]}]
    assert made["signing_secret"].startswith("whsec_")

    (listed,) = (await ask.get(WEBHOOKS)).json()["results"]
    assert (listed["id"], listed["name"], listed["links"]) == (made["id"], "crm", made["links"])

    changed = (await ask.put(one, json={"name": "renamed"})).json()["results"]
    assert changed == {
        "id": made["id"],
        "links": [{"href": one + "/validate", "rel": "urn.msys.webhooks.validate", "method": ["POST"]}],
    }
    shown = (await ask.get(one)).json()["results"]
    assert (shown["name"], shown["events"], shown["active"]) == ("renamed", ["click", "open"], True)
    assert [link["rel"] for link in shown["links"]] == ["urn.msys.webhooks.validate", "urn.msys.webhooks.batches"]
    assert "signing_secret" not in shown

    gone = await ask.delete(one)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await ask.get(WEBHOOKS)).json() == {"results": []}
    assert only_error(await ask.get(one))["code"] == "1600"


async def test_events_arrive_and_batches_are_told_of(ask: httpx.AsyncClient, target: Target, node: Node) -> None:
    webhook = await created(ask, target)
    node.append(range(3))
    await node.until_delivered(webhook, target, 1)
    (batch,) = (await ask.get(f"{WEBHOOKS}/{webhook}/batch-status?limit=1")).json()["results"]
    assert (batch["response_code"], batch["attempts"], batch["batch_size"]) == ("200", 1, 3)
    assert batch["batch_id"] == target.batches[0].batch_id
    assert (
        (await ask.get(f"{WEBHOOKS}/{webhook}?timezone=Asia/Tokyo"))
        .json()["results"]["last_successful"]
        .endswith("+09:00")
    )
    again = await ask.post(f"{WEBHOOKS}/{webhook}/replay", json={"from": "1970-01-01T00:00"})
    assert again.status_code == 200, again.text
    await node.until_delivered(webhook, target, 2)
    assert target.batches[1].ids == target.batches[0].ids


async def test_dead_letters_are_shown_replayed_and_dropped(ask: httpx.AsyncClient, target: Target, node: Node) -> None:
    node.append([7])  # a feed that has begun
    webhook = await created(ask, target)
    letters = f"{WEBHOOKS}/{webhook}/dead-letters"
    assert (await ask.get(letters)).json() == {"results": []}
    target.always = reply(503)
    node.append(range(2))
    while not (dead := (await ask.get(letters)).json()["results"]):
        pass
    assert dead[0]["events_available"] == 2
    assert dead[0]["response_code"] == "503"
    target.always = reply()
    answer = await ask.post(letters + "/replay", json={"batch_ids": [dead[0]["batch_id"]]})
    assert answer.json() == {"results": {"replayed": 1}}
    while (await ask.get(letters)).json()["results"]:
        pass
    assert (await ask.post(letters + "/replay")).json() == {"results": {"replayed": 0}}
    assert (await ask.delete(letters)).json() == {"results": {"dropped": 0}}
    missing = await ask.delete(letters + "?batch_ids=nobody")
    assert (missing.status_code, only_error(missing)["code"]) == (404, "1600")


async def test_a_target_that_fails_makes_no_webhook(ask: httpx.AsyncClient, target: Target) -> None:
    target.always = reply(500)
    answer = await ask.post(WEBHOOKS, json=body_for(target))
    assert answer.status_code == 400
    error = only_error(answer)
    assert (error["code"], error["message"]) == ("400", "POST to webhook target URL failed")
    assert "it answered 500" in error["description"]
    assert (await ask.get(WEBHOOKS)).json() == {"results": []}


async def test_validate(ask: httpx.AsyncClient, target: Target) -> None:
    one = f"{WEBHOOKS}/{await created(ask, target)}/validate"
    sent: tuple[Any, ...] = ({"message": {"msys": {"x": 1}}}, [{"msys": {}}], None)
    for body in sent:
        answer = await (ask.post(one) if body is None else ask.post(one, json=body))
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"]["response"]["status"] == 200
    assert json.loads(target.requests[1].body) == [{"msys": {"x": 1}}]
    target.always = reply(500)
    assert (await ask.post(one)).status_code == 400


async def test_a_new_secret_is_shown_once(ask: httpx.AsyncClient, target: Target) -> None:
    one = f"{WEBHOOKS}/{await created(ask, target)}"
    secret = (await ask.post(one + "/rotate-secret")).json()["results"]["signing_secret"]
    assert secret not in (await ask.get(one)).text


@pytest.mark.parametrize(
    ("change", "status", "code", "named"),
    [
        ({"name": None}, 422, "1400", "'name' is required"),
        ({"events": "click"}, 422, "1300", "'events' must be an array"),
        ({"events": ["clik"]}, 422, "1300", "'clik'"),
        ({"target": "ftp://x"}, 422, "1300", "'target'"),
        ({"target": 7}, 422, "1300", "'target' must be a string"),
        ({"active": "yes"}, 422, "1300", "'active' must be true or false"),
        ({"custom_headers": {"a b": "x"}}, 422, "1300", "'custom_headers'"),
        ({"name": "x\r\ny: z"}, 422, "1300", "'name' must not have control characters"),
    ],
)
async def test_what_is_wrong_is_named(
    ask: httpx.AsyncClient, target: Target, change: dict[str, Any], status: int, code: str, named: str
) -> None:
    answer = await ask.post(WEBHOOKS, json=body_for(target, **change))
    assert answer.status_code == status
    assert only_error(answer)["code"] == code
    assert named in only_error(answer)["description"]
    assert target.requests == []


async def test_a_webhook_of_the_configuration_is_shown_and_not_changed(
    parts: ApiParts, clock: ManualClock, tmp_path: Path, target: Target, new_key: NewKey
) -> None:
    node = Node(tmp_path)
    node.configured = {"warehouse": ConfiguredWebhook(target=target.url, events=("click",))}
    node.start()
    headers = {"authorization": new_key(Scope.WEBHOOKS)}
    async with (
        serving(make_app(replace(parts, webhooks=node.webhooks.subscriptions)), limits_of(parts), clock) as served,
        httpx.AsyncClient(base_url=served.url, headers=headers, event_hooks=DESCRIBED, trust_env=False) as ask,
    ):
        while not (found := (await ask.get(WEBHOOKS)).json()["results"]):
            pass
        assert found[0]["read_only"]
        answer = await ask.delete(f"{WEBHOOKS}/{found[0]['id']}")
        assert answer.status_code == 409
        assert "[webhooks.warehouse] of the configuration" in only_error(answer)["description"]
    await node.stop()


async def test_another_customers_webhooks_are_as_if_they_were_not_there(
    ask: httpx.AsyncClient, target: Target, new_key: NewKey
) -> None:
    mine = {"authorization": new_key(Scope.WEBHOOKS, customer="42")}
    theirs = await created(ask, target, customer_id="43")
    everybodys = await created(ask, target)
    my_own = (await ask.post(WEBHOOKS, json=body_for(target), headers=mine)).json()["results"]["id"]
    assert (await ask.get(f"{WEBHOOKS}/{my_own}")).json()["results"]["customer_id"] == "42"
    assert [each["id"] for each in (await ask.get(WEBHOOKS, headers=mine)).json()["results"]] == [my_own]
    stolen = await ask.put(f"{WEBHOOKS}/{my_own}", json={"customer_id": "43"}, headers=mine)
    assert stolen.status_code == 403
    requests = (
        *(("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/validate"), ("GET", "/batch-status")),
        *(("GET", "/dead-letters"), ("DELETE", "/dead-letters"), ("POST", "/dead-letters/replay")),
        *(("POST", "/replay"), ("POST", "/rotate-secret")),
    )
    for other in (theirs, everybodys, "12affc24-f183-4e03-9234-3c15c2c818c2"):
        for method, tail in requests:
            body = {"from": "2026-01-01"} if tail == "/replay" else {}
            content = {"json": body} if method in ("PUT", "POST") else {}
            answer = await ask.request(method, f"{WEBHOOKS}/{other}{tail}", headers=mine, **content)  # type: ignore[arg-type]
            assert (method, tail, answer.status_code) == (method, tail, 404), answer.text
    assert len((await ask.get(WEBHOOKS)).json()["results"]) == 3


async def test_a_key_that_may_only_read_sees_no_webhooks(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    answer = await ask.get(WEBHOOKS, headers={"authorization": new_key(Scope.READ)})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 422, "field 'from' is required"),
        ({"from": "yesterday"}, 422, "'from' cannot be 'yesterday'; it is a time like"),
        ({"from": 7}, 422, "field 'from' is of type 'integer', but needs to be of type 'string'"),
        ({"from": "2026-01-01", "to": "2026-01-02"}, 422, "there is no field 'to'"),
    ],
)
async def test_a_replay_says_from_when(
    ask: httpx.AsyncClient, target: Target, body: dict[str, Any], status: int, text: str
) -> None:
    answer = await ask.post(f"{WEBHOOKS}/{await created(ask, target)}/replay", json=body)
    assert answer.status_code == status
    assert text in only_error(answer)["description"]


async def test_without_webhooks_the_answer_is_to_try_again(client: httpx.AsyncClient, new_key: NewKey) -> None:
    answer = await client.get(WEBHOOKS, headers={"authorization": new_key(Scope.WEBHOOKS)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_the_document_has_the_fields_that_are_read() -> None:
    assert list(FIELDS) == list(request_body._FIELDS) or set(FIELDS) == set(request_body._FIELDS)
