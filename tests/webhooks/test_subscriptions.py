"""Webhooks as the API makes, shows, changes and removes them: tested before they are made, no secret is shown."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from tests.webhooks.conftest import Node, Target, hang, raw, reply

from mailwake.webhooks.webhook import WebhookError


@pytest.fixture
def subscriptions(node: Node) -> Any:
    return node.open().subscriptions


async def test_a_webhook_is_made_once_its_target_has_answered_a_test_batch(
    node: Node, target: Target, subscriptions: Any
) -> None:
    made = await subscriptions.create({"name": "crm", "target": target.url, "events": ["click", "bounce"]})
    (request,) = target.requests
    assert request.body == b'[{"msys":{}}]'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"target.example:{target.port}"
    assert request.headers["user-agent"].startswith("mailwake/")
    uuid.UUID(request.batch_id)
    assert request.headers["webhook-id"] == request.batch_id
    assert made["signing_secret"].startswith("whsec_")
    shown = await subscriptions.get(made["id"])
    assert shown == {
        "id": made["id"],
        "name": "crm",
        "target": target.url,
        "events": ["click", "bounce"],
        "active": True,
        "auth_type": "none",
        "auth_request_details": {},
        "auth_credentials": {},
        "auth_token": "",
        "custom_headers": {},
        "exception_subaccounts": [],
        "gzip": False,
        "read_only": False,
    }
    assert await subscriptions.all() == [shown]
    assert node.positions.get(f"webhook:{made['id']}") == node.feed.end()


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (reply(500), "it answered 500"),
        (reply(204, b""), "it answered 204, not 200"),
        (reply(302, headers=["Location: http://127.0.0.1/x"]), "it answered 302 to http://127.0.0.1: not followed"),
        (raw(b""), "closed the connection without an answer"),
        (raw(b"SSH-2.0-x\r\n\r\n"), "no HTTP/1.1"),
        (hang, "did not answer within 0.2 seconds"),
    ],
    ids=["500", "204", "redirect", "closes", "no-http", "hangs"],
)
async def test_a_target_that_does_not_answer_200_makes_no_webhook(
    node: Node, target: Target, behaviour: Any, said: str
) -> None:
    node.delivery = type(node.delivery)(
        allow_http=True, allow_private_targets=node.delivery.allow_private_targets, timeout=0.2
    )
    target.always = behaviour
    subscriptions = node.open().subscriptions
    with pytest.raises(WebhookError) as caught:
        await subscriptions.create({"name": "crm", "target": target.url, "events": ["click"]})
    assert (caught.value.status, caught.value.message) == (400, "POST to webhook target URL failed")
    assert said in caught.value.description
    assert await subscriptions.all() == []
    assert node.positions.all() == {}


async def test_what_the_api_shows_can_be_sent_back_and_changes_nothing(
    node: Node, target: Target, subscriptions: Any
) -> None:
    made = await subscriptions.create(
        {
            "name": "crm",
            "target": target.url,
            "events": ["click"],
            "auth_type": "basic",
            "auth_token": "t0p",
            "auth_credentials": {"username": "u", "password": "s3cret"},
            "custom_headers": {"x-api-key": "k3y"},
            "auth_request_details": {"url": target.url, "body": {"client_id": "c", "client_secret": "cs3cret"}},
        }
    )
    shown = await subscriptions.get(made["id"])
    assert "s3cret" not in str(shown)
    assert "k3y" not in str(shown)
    assert "t0p" not in str(shown)
    assert made["signing_secret"] not in str(shown)
    assert shown["auth_credentials"] == {"username": "u", "password": "(hidden)"}
    before = node.webhooks._tables.subscriptions.get(made["id"]).webhook
    await subscriptions.update(made["id"], shown)
    assert node.webhooks._tables.subscriptions.get(made["id"]).webhook == before
    assert len(target.requests) == 1
    assert target.requests[0].basic == "u:s3cret"
    assert target.requests[0].headers["x-messagesystems-webhook-token"] == "t0p"
    assert target.requests[0].headers["x-api-key"] == "k3y"


async def test_a_new_target_is_tested_and_refused_as_the_first_one_is(target: Target, subscriptions: Any) -> None:
    made = await subscriptions.create({"name": "crm", "target": target.url, "events": ["click"]})
    await subscriptions.update(made["id"], {"name": "other", "events": ["open"]})
    assert len(target.requests) == 1
    target.always = reply(404)
    with pytest.raises(WebhookError, match="it answered 404"):
        await subscriptions.update(made["id"], {"target": f"{target.url}/other"})
    assert (await subscriptions.get(made["id"]))["target"] == target.url
    await subscriptions.update(made["id"], {"active": False})
    await subscriptions.update(made["id"], {"target": f"{target.url}/later"})
    assert [request.path for request in target.requests] == ["/events", "/events/other"]


GOOD = {"name": "crm", "target": "http://target.example/x", "events": ["click"]}


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"name": None}, "1400", "'name' is required"),
        ({"target": ""}, "1400", "'target' is required"),
        ({"events": []}, "1300", "'events' must be an array of event types that is not empty"),
        ({"events": ["clik"]}, "1300", "'events' has 'clik', which is no event type"),
        ({"events": [["click"]]}, "1300", "'events' has ['click'], which is no event type"),
        ({"name": "a\r\nb"}, "1300", "'name' must not have control characters or line breaks"),
        ({"target": "ftp://x/"}, "1300", "'target' must begin with https:// or http://"),
        ({"target": "http://u:p@x.example/"}, "1300", "'target' must not have a name or password in it"),
        ({"target": "http://x.example/#f"}, "1300", "'target' must not have a fragment"),
        ({"target": "http:///x"}, "1300", "'target' has no usable host name"),
        ({"target": "http://x.example:99999/"}, "1300", "'target' is no URL"),
        ({"target": "http://x.example:25/"}, "1300", "'target' has port 25, which is not allowed"),
        ({"target": "http://bücher.example/"}, "1300", "'target' must be a URL of at most 2048 ASCII characters"),
        ({"active": "yes"}, "1300", "'active' must be true or false"),
        ({"auth_type": "digest"}, "1300", "'auth_type' must be none, basic or oauth2"),
        ({"auth_type": "basic"}, "1300", "'auth_credentials' must have a username"),
        ({"auth_credentials": {"username": "a:b"}}, "1300", "'auth_credentials' must not have a colon"),
        ({"auth_type": "oauth2"}, "1300", "'auth_request_details' must have a url"),
        (
            {"auth_type": "oauth2", "auth_request_details": {"url": "http://u@x/"}},
            "1300",
            "'auth_request_details.url' must not have a name or password",
        ),
        ({"custom_headers": {"X": "a\r\nEvil: 1"}}, "1300", "'custom_headers' has a value for 'X' that is not ASCII"),
        ({"custom_headers": {"X:": "a"}}, "1300", "'custom_headers' has 'X:', which cannot be the name"),
        ({"custom_headers": {"Content-Type": "a"}}, "1300", "'custom_headers' has 'Content-Type', which is set by"),
        ({"custom_headers": {"Webhook-Signature": "a"}}, "1300", "which is set by mailwake itself"),
        ({"custom_headers": {"x": "1", "X": "2"}}, "1300", "or stands there twice"),
        ({"custom_headers": {"X": "a" * 9000}}, "1300", "must not be longer than 8192 octets together"),
        ({"auth_token": "a\nb"}, "1300", "'auth_token' must not have control characters"),
        ({"batch_size": 0}, "1300", "'batch_size' must be a whole number from 1 to 10000"),
        ({"batch_seconds": -1}, "1300", "'batch_seconds' must be a number from 0 to 3600"),
        ({"signing_secret": "whsec_abc"}, "1300", "'signing_secret' must be whsec_ and 24 to 64 octets"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_used_is_refused_before_anything_is_connected_to(
    node: Node, subscriptions: Any, change: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(WebhookError) as caught:
        await subscriptions.create({**GOOD, **change})
    assert (caught.value.status, caught.value.code) == (422, code)
    assert said in caught.value.description


async def test_a_body_that_is_no_object_is_refused(subscriptions: Any) -> None:
    bodies: tuple[object, ...] = (None, [], "x", 1)
    for body in bodies:
        with pytest.raises(WebhookError, match="must be a JSON object"):
            await subscriptions.create(body)


async def test_the_vendors_types_that_mailwake_never_makes_are_taken(target: Target, subscriptions: Any) -> None:
    events = ["click", "out_of_band", "spam_complaint", "generation_failure", "relay_delivery"]
    made = await subscriptions.create({"name": "crm", "target": target.url, "events": events, "unknown_field": 1})
    assert (await subscriptions.get(made["id"]))["events"] == events


async def test_a_customers_key_sees_and_makes_its_own_webhooks_only(target: Target, subscriptions: Any) -> None:
    body = {"name": "crm", "target": target.url, "events": ["click"]}
    theirs = await subscriptions.create(body, customer="42")
    everybody = await subscriptions.create(body)
    assert (await subscriptions.get(theirs["id"]))["customer_id"] == "42"
    assert [each["id"] for each in await subscriptions.all(customer="42")] == [theirs["id"]]
    assert len(await subscriptions.all()) == 2
    with pytest.raises(WebhookError, match="bound to customer 42"):
        await subscriptions.create({**body, "customer_id": "43"}, customer="42")
    with pytest.raises(WebhookError, match="bound to customer 42"):
        await subscriptions.update(theirs["id"], {"customer_id": "43"}, customer="42")
    calls = (
        subscriptions.get,
        subscriptions.delete,
        subscriptions.batch_status,
        subscriptions.dead_letters,
        subscriptions.replay_dead_letters,
        subscriptions.drop_dead_letters,
        subscriptions.rotate_secret,
        subscriptions.validate,
    )
    for call in calls:
        with pytest.raises(WebhookError) as caught:
            await call(everybody["id"], customer="42")
        assert (caught.value.status, caught.value.code) == (404, "1600")
    for call in (subscriptions.update, subscriptions.replay_from):
        with pytest.raises(WebhookError, match="there is no webhook"):
            await call(everybody["id"], {} if call == subscriptions.update else 0, customer="42")


async def test_deleting_forgets_everything(node: Node, target: Target, subscriptions: Any) -> None:
    made = await subscriptions.create({"name": "crm", "target": target.url, "events": ["click"]})
    await subscriptions.delete(made["id"])
    assert await subscriptions.all() == []
    assert node.positions.all() == {}
    with pytest.raises(WebhookError, match="there is no webhook"):
        await subscriptions.delete(made["id"])


async def test_validate_shows_what_the_target_answered(target: Target, subscriptions: Any) -> None:
    made = await subscriptions.create({"name": "crm", "target": target.url, "events": ["click"]})
    target.always = reply(200, b"thanks" * 2000, ["X-Who: me"])
    shown = await subscriptions.validate(made["id"], {"message": {"msys": {"track_event": {"type": "click"}}}})
    assert shown["msg"] == "Test POST to endpoint succeeded"
    assert shown["response"]["status"] == 200
    assert shown["response"]["headers"]["X-Who"] == "me"
    assert len(shown["response"]["body"]) == 4096
    assert target.requests[-1].body == b'[{"msys":{"track_event":{"type":"click"}}}]'
    target.always = reply(401)
    with pytest.raises(WebhookError, match="it answered 401"):
        await subscriptions.validate(made["id"])
    with pytest.raises(WebhookError, match="'message' must be an object"):
        await subscriptions.validate(made["id"], {"message": "x"})


async def test_null_takes_back_what_can_be_without_a_value(target: Target, subscriptions: Any) -> None:
    made = await subscriptions.create(
        {"name": "crm", "target": target.url, "events": ["click"], "batch_size": 5, "customer_id": 42}
    )
    assert (await subscriptions.get(made["id"]))["batch_size"] == 5
    await subscriptions.update(made["id"], {"batch_size": None, "customer_id": None, "name": None})
    shown = await subscriptions.get(made["id"])
    assert "batch_size" not in shown
    assert "customer_id" not in shown
    assert shown["name"] == "crm"


async def test_the_file_is_its_owners_alone(node: Node, subscriptions: Any) -> None:
    for path in sorted(node._directory.glob("webhooks.sqlite3*")):
        assert path.stat().st_mode & 0o077 == 0


async def test_many_are_made_at_once(target: Target, subscriptions: Any) -> None:
    body = {"target": target.url, "events": ["click"]}
    await asyncio.gather(*(subscriptions.create({**body, "name": f"w{number}"}) for number in range(10)))
    assert sorted(each["name"] for each in await subscriptions.all()) == [f"w{number}" for number in range(10)]
