"""Webhooks of the configuration: the same ones after each start, read-only in the API, and never lost by a slip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.webhooks.conftest import Node, Target, until

from mailwake.config.load import load
from mailwake.config.webhook_settings import ConfiguredWebhook
from mailwake.errors import StartupError
from mailwake.webhooks.webhook import EVENT_TYPES, WebhookError, configured_id


async def shown(node: Node, number: int) -> list[dict[str, Any]]:
    async def so_many() -> bool:
        return len(await node.webhooks.subscriptions.all()) == number

    await until(so_many)
    return await node.webhooks.subscriptions.all()


async def test_it_is_there_without_being_made_and_goes_on_after_a_restart(node: Node, target: Target) -> None:
    node.configured = {"crm": ConfiguredWebhook(target=target.url, batch_size=2)}
    node.start()
    (webhook,) = await shown(node, 1)
    assert (webhook["id"], webhook["name"], webhook["read_only"]) == (configured_id("crm"), "crm", True)
    assert set(webhook["events"]) == EVENT_TYPES
    secret = await node.webhooks.subscriptions.secret(webhook["id"])
    node.append(range(4))
    await node.until_delivered(webhook["id"], target, 2)
    await node.until_position(webhook["id"], node.feed.end())
    await node.stop()
    node.append([4, 5])
    node.start()
    await target.until_requests(3)
    assert target.ids == list(range(6))
    assert await node.webhooks.subscriptions.secret(webhook["id"]) == secret


async def test_the_api_does_not_change_it(node: Node, target: Target) -> None:
    node.configured = {"crm": ConfiguredWebhook(target=target.url)}
    node.start()
    (webhook,) = await shown(node, 1)
    subscriptions = node.webhooks.subscriptions
    for call in (
        subscriptions.update(webhook["id"], {"active": False}),
        subscriptions.delete(webhook["id"]),
        subscriptions.rotate_secret(webhook["id"]),
    ):
        with pytest.raises(WebhookError, match=r"it is \[webhooks.crm\] of the configuration") as caught:
            await call
        assert (caught.value.status, caught.value.code) == (409, "1602")


async def test_one_that_is_configured_no_more_is_switched_off_and_comes_back_where_it_was(
    node: Node, target: Target
) -> None:
    node.configured = {"crm": ConfiguredWebhook(target=target.url, events=("click",))}
    node.start()
    (webhook,) = await shown(node, 1)
    node.append([1])
    await node.until_delivered(webhook["id"], target, 1)
    await node.stop()
    former, node.configured = node.configured, {}
    node.start()
    await node.until_consumers(set())
    (gone,) = await shown(node, 1)
    assert (gone["active"], gone["read_only"]) == (False, False)
    node.append([2])
    await node.stop()
    node.configured = former
    node.start()
    await target.until_requests(2)
    assert target.ids == [1, 2]
    await node.stop()
    node.configured = {}
    node.start()
    await node.until_consumers(set())
    await node.webhooks.subscriptions.delete(webhook["id"])
    assert await node.webhooks.subscriptions.all() == []


async def test_all_of_it_as_it_is_written(node: Node, target: Target, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(
        f"""
        [webhooks.crm]
        target = "{target.url}"
        events = ["click"]
        customer_id = "42"
        username = "u"
        password = "p:ä"
        auth_token = "t"
        custom_headers = ["X-Api-Key: abcd", "X-Empty:"]
        signing_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        gzip = false
        batch_size = 7
        batch_seconds = "5s"
        [webhooks."with oauth"]
        target = "{target.url}"
        active = false
        oauth_token_url = "http://tokens.example/"
        oauth_client_id = "me"
        oauth_client_secret = "s"
        """
    )
    node.configured = dict(load(file, host_name="n").settings.webhooks)
    node.start()
    crm, other = sorted(await shown(node, 2), key=lambda each: str(each["name"]))
    assert (crm["customer_id"], crm["batch_size"], crm["batch_seconds"]) == ("42", 7, 5.0)
    assert other["auth_request_details"] == {
        "url": "http://tokens.example/",
        "body": {"client_id": "me", "client_secret": "(hidden)"},
    }
    await node.webhooks.subscriptions.validate(crm["id"])
    headers = target.requests[0].headers
    assert target.requests[0].basic == "u:p:ä"
    assert headers["x-messagesystems-webhook-token"] == "t"
    assert (headers["x-api-key"], headers["x-empty"]) == ("abcd", "")
    assert await node.webhooks.subscriptions.secret(crm["id"]) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "https://u@x.example/"}, "webhooks.crm: 'target' must not have a name or password in it"),
        ({"events": ("clik",)}, "webhooks.crm: 'events' has 'clik', which is no event type"),
        ({"custom_headers": ("Content-Type: x",)}, "webhooks.crm: 'custom_headers' has 'Content-Type', which is set"),
        ({"signing_secret": "whsec_x"}, "webhooks.crm: 'signing_secret' must be whsec_ and"),
        ({"oauth_token_url": "ftp://x"}, "webhooks.crm: 'auth_request_details.url' must begin with https://"),
        ({"username": "a:b"}, "webhooks.crm: 'auth_credentials' must not have a colon"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_said_at_the_start(node: Node, options: dict[str, Any], said: str) -> None:
    node.configured = {"crm": ConfiguredWebhook(**{"target": "https://x.example/", **options})}
    with pytest.raises(StartupError) as caught:
        node.open()
    assert said in str(caught.value)
