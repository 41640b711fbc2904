"""The box for a link: what it says, to those who may know, and nothing to others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from structlog.testing import LogCapture
from tests.dashboard.conftest import NOW, Served, hidden, logged_in
from tests.dashboard.stories import NASTY
from tests.dashboard.test_webhook_pages import plain

from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.config.schema import Keys
from mailwake.events.unique_ids import EPOCH
from mailwake.links.keyring import Keyring
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id
from mailwake.service.collector_parts import link_opener
from mailwake.service.data_directory import DataDirectory
from mailwake.service.parts import KeySource

LINK = "/dashboard/link"
SENT = int(NOW) - 3600
TRANSMISSION = (SENT - EPOCH) * 1000 << 22
MESSAGE = message_id(TRANSMISSION, 0)
Make = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


@pytest.fixture
def served(parts: ApiParts, log: LogCapture, data: DataDirectory) -> Served:
    """With the keys of a data directory, as the collector has them."""
    opener = link_opener(KeySource(Keys(), data, ManualClock(NOW)))
    return Served(replace(parts, open_link=opener), DashboardSettings(), log)


@pytest.fixture
def make_link(data: DataDirectory) -> Make:
    """A tracked link, made with the node's own keys."""
    codec = TokenCodec(KeyringFile(data.keys).load_or_create())

    def make(target: str = "https://shop.example/spring?a=1&b=2", *, customer: str = "shop", life: int = 86_400) -> str:
        context = LinkContext(
            customer_id=customer,
            transmission_id=TRANSMISSION,
            message_id=MESSAGE,
            sent=SENT,
            expires=life,
            recipient="jane.doe@example.com",
            campaign_id=f"spring {NASTY}",
            tags=("news",),
            metadata='{"plan":"gold","visits":7}',
        )
        token = codec.encode(LinkKind.CLICK, codec.pack_context(context), target, "banner")
        return f"https://click.example.com/f/a/{token.decode()}"

    return make


async def ask(client: httpx.AsyncClient, link: str, query: str = "") -> httpx.Response:
    form = hidden((await client.get(LINK)).text)
    return await client.post(f"{LINK}{query}", data={"form_token": form["form_token"], "link": link})


async def test_a_link_says_what_it_carries(served: Served, make_link: Make) -> None:
    async with logged_in(served, served.key()) as client:
        link = make_link()
        for pasted in (link, f"  {link}?utm=1\n", link.rsplit("/", 1)[1]):
            answer = await ask(client, pasted, "?tz=Asia/Tokyo")
            assert answer.status_code == 200
            text = plain(answer.text)
            for said in (
                "Kind Click Leads to https://shop.example/spring?a=1&b=2",
                "Name banner Recipient jane.doe@example.com",
                f"Customer shop Campaign spring {NASTY} Tags news",
                "Metadata plan gold Metadata visits 7",
                "Expires 2026-11-27",
            ):
                assert said in text, said
            assert NASTY not in answer.text
            assert "/dashboard/recipient?address=jane.doe%40example.com&amp;tz=Asia%2FTokyo" in answer.text
            assert f"/dashboard/messages/{MESSAGE}?" in answer.text
        assert "Expired" in plain((await ask(client, make_link(life=60))).text)
        nasty = await ask(client, make_link("javascript:alert(1)"))
        assert '<code class="target">javascript:alert(1)</code>' in nasty.text
        assert 'href="javascript' not in nasty.text


async def test_what_is_no_link_of_ours_is_told(served: Served, make_link: Make) -> None:
    foreign = TokenCodec(Keyring.new(os.urandom, int(NOW)))
    context = foreign.pack_context(LinkContext("shop", TRANSMISSION, MESSAGE, SENT, 60, "a@b.example"))
    other_key = foreign.encode(LinkKind.CLICK, context, "https://x.example/", "").decode()
    async with logged_in(served, served.key()) as client:
        link = make_link()
        for pasted, said in (
            ("https://example.com/", "This is no tracked link"),
            (link[:-4], "This "),
            (f"https://click.example.com/f/a/{other_key}", "This link "),
            (NASTY, "This is no "),
            ("x" * 20_000, "Paste a whole link"),
            ("é" * 300, "This is no link of ours"),
        ):
            answer = await ask(client, pasted)
            assert answer.status_code == 400, pasted
            assert said in plain(answer.text), pasted
            assert NASTY not in answer.text
        assert (await client.post(LINK, data={"link": link})).status_code == 403  # a forged form


async def test_another_customers_link_says_nothing(served: Served, make_link: Make) -> None:
    async with logged_in(served, served.key(customer="other")) as client:
        answer = await ask(client, make_link())
        assert answer.status_code == 403
        assert "a link of another customer" in plain(answer.text)
        for secret in ("jane.doe", "shop.example", "banner", "gold"):
            assert secret not in answer.text
        assert (await ask(client, make_link(customer="other"))).status_code == 200
        assert (await ask(client, make_link(customer=""))).status_code == 403


async def test_a_rotated_key_is_known_at_once(served: Served, data: DataDirectory, make_link: Make) -> None:
    async with logged_in(served, served.key()) as client:
        old = make_link()
        codec = TokenCodec(KeyringFile(data.keys).rotate())
        context = codec.pack_context(LinkContext("shop", TRANSMISSION, MESSAGE, SENT, 60, "a@b.example"))
        new = codec.encode(LinkKind.OPEN, context).decode()
        assert (await ask(client, old)).status_code == 200
        assert "Kind Open" in plain((await ask(client, f"https://x.example/q/{new}")).text)


async def test_a_node_without_keys_says_so_and_where_they_are(served: Served, parts: ApiParts) -> None:
    for opener in (served.parts.open_link, None):
        served.parts = replace(served.parts, open_link=opener)
        served.start()
        async with logged_in(served, served.key(name=f"key {opener is None}")) as client:
            answer = await ask(client, "https://click.example.com/f/a/" + "A" * 100)
            assert answer.status_code == 503
            assert "This node has no keys of links" in plain(answer.text)
            assert "keys.json" not in answer.text
    assert "keys.json" in str(served.log.entries)
