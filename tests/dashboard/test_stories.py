"""A message's and a person's story: everything in it, in order, in words, and nobody else's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import unescape
from importlib.resources import files
from typing import Any

from tests.dashboard.conftest import Served, logged_in
from tests.dashboard.stories import HOUR, NASTY, NASTY_LINK, PHONE, TAKEN, an_event, one_message

from mailwake.dashboard.event_words import REASONS, judgements
from mailwake.dashboard.formats import later, openable
from mailwake.dashboard.timelines import copies, story
from mailwake.events.model import Event, EventType
from mailwake.events.privacy import RecipientHash

Load = Callable[[Sequence[Event]], Any]
MESSAGE = "/dashboard/messages/0123456789abcdef0001"
JANE = "jane.doe@example.com"
RECIPIENT = "/dashboard/recipient?address="


def plain(page: str) -> str:
    """A page as it reads: without markup, white space collapsed, in thin spaces none."""
    body = page.split("<main", 1)[1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


async def test_a_message_tells_all_that_happened_to_it(served: Served, load: Load) -> None:
    await load([*one_message(), *one_message(50, "0123456789abcdef0002", rcpt_to="else@example.com")])
    async with logged_in(served, served.key()) as client:
        answer = await client.get(f"{MESSAGE}?tz=America/New_York")
        assert answer.status_code == 200
        text = plain(answer.text)
        told = (
            "Taken in 2026-11-25 06:33:20",
            "by node1.shop.example · pathway newsletters · 25.1 kB",
            "Put off by the next hop 2026-11-25 06:33:25 5 s later",
            "451 4.7.1 greylisted",
            "Delivered to the next hop 2026-11-25 06:43:25 10 min later",
            "250 2.0.0 Ok: queued as 7A1",
            "Attempt 2.",
            "Opened, the image at the end was loaded 2026-11-25 06:43:26 1 s later Machine",
            "Very likely a machine (90 %): a mail security service looked at it.",
            "Opened, the image at the top was loaded 2026-11-25 08:43:25 1 h 59 min later Person",
            "Mobile Safari on iOS · Lyon, FR · 192.0.2.7",
            PHONE,
            "Link clicked 2026-11-25 08:44:25 1 min later",
            "banner → https://shop.example/spring?a=1&b=2",
            f"{NASTY} → {NASTY_LINK}",
            "Left the list by a link in the mail",
        )
        place = 0
        for each in told:
            assert each in text[place:], each
            place = text.index(each, place)
        for fact in (
            "Shop <shop@shop.example>",
            "bounces@shop.example",
            "Jane.Doe@example.com",
            "news spring",
            "Metadata plan gold Metadata visits 7",
            "opens, clicks",
            "Outcome Delivered 10 min 5 s after injection",
            "Unsubscribed Yes",
        ):
            assert fact in text, fact
        assert "else@example.com" not in text


async def test_only_targets_of_the_web_are_links(served: Served, load: Load) -> None:
    await load(one_message())
    async with logged_in(served, served.key()) as client:
        page = (await client.get(MESSAGE)).text
        target = re.search(r'<a class="target" href="https://shop.example/spring\?a=1&amp;b=2"[^>]*>', page)
        assert target is not None
        assert 'rel="noopener noreferrer nofollow"' in target[0]
        assert 'referrerpolicy="no-referrer"' in target[0]
        assert f'<code class="target">{NASTY_LINK}</code>' in page
        assert 'href="javascript' not in page
        assert NASTY not in page
    for url in ("javascript:alert(1)", "JavaScript:x", " https://a", "data:text/html,x", "//a", "https://a\n", "vbs:"):
        assert not openable(url), url
    assert openable("HTTPS://a.example/ü")


async def test_another_customers_message_and_person_are_as_if_not_there(served: Served, load: Load) -> None:
    await load([*one_message(), an_event(100, rcpt_to="jane.doe@example.com", customer_id="other", subject="Mine")])
    async with logged_in(served, served.key(customer="other")) as client:
        assert (await client.get(MESSAGE)).status_code == 404
        text = plain((await client.get(f"{RECIPIENT}jane.doe@example.com&customer=shop")).text)
        assert "1 event " in text
        assert "Mine" in text
        assert "Spring" not in text
    async with logged_in(served, served.key(customer="third", name="eve")) as client:
        text = plain((await client.get(f"{RECIPIENT}jane.doe@example.com")).text)
        assert "Nothing is known of jane.doe@example.com" in text
        assert "kept for your customer" in text


async def test_a_message_without_events_is_not_there(served: Served, load: Load) -> None:
    await load(one_message())
    async with logged_in(served, served.key()) as client:
        for path in ("ffff", "..%2f..", "%3Cscript%3E", "a/b", "0123456789ABCDEF0001"):
            assert (await client.get(f"/dashboard/messages/{path}")).status_code == 404, path


async def test_a_message_whose_beginning_is_gone_says_so(served: Served, load: Load) -> None:
    nobody = an_event(70, EventType.OPEN, rcpt_to="", message_id="000000000000ffff", transmission_id=255)
    await load([*one_message()[5:6], nobody])
    async with logged_in(served, served.key()) as client:
        assert "Its injection is not kept any more" in (await client.get(MESSAGE)).text
        assert "Outcome Not known" in plain((await client.get(MESSAGE)).text)
        anonymous = plain((await client.get("/dashboard/messages/000000000000ffff")).text)
        assert "tracked anonymously" in anonymous
        assert "those of all its recipients stand here" in anonymous


async def test_a_person_has_all_their_messages_and_what_they_did(served: Served, load: Load) -> None:
    more = [
        an_event(100, EventType.INJECTION, rcpt_to=JANE, subject="The second", timestamp=TAKEN + HOUR),
        an_event(101, EventType.BOUNCE, rcpt_to=JANE, message_id=f"{100:020x}", transmission_id=100),
        an_event(102, rcpt_to="else@example.com", subject="Not hers"),
    ]
    await load([*one_message(), *more])
    async with logged_in(served, served.key()) as client:
        text = plain((await client.get(f"{RECIPIENT}JANE.Doe@example.com&tz=Asia/Tokyo")).text)
        assert "10 events" in text
        assert "Messages 2 1 delivered Opened 1 1 by a person Clicked 1 1 by a person Lists left 1" in text
        assert "Last seen 23 h ago 2026-11-25 23:33:20" in text
        assert text.index("The second") < text.index("Spring <script>")  # the newest first
        assert "Bounced" in text
        assert "Left the list" in text
        assert "Reads with Mobile Safari on iOS Mostly from Lyon, FR" in text
        assert "mailwake privacy export jane.doe@example.com" in text
        assert "mailwake privacy erase jane.doe@example.com" in text
        assert "Not hers" not in text


async def test_a_hashed_person_is_found_by_the_address_and_by_the_hash(served: Served, load: Load) -> None:
    hashing = RecipientHash(bytes(range(32)))
    served.parts = replace(served.parts, hashing=hashing)
    served.start()
    name = hashing.hashed("jane.doe@example.com")
    await load(one_message(rcpt_to=name, raw_rcpt_to=name))
    async with logged_in(served, served.key()) as client:
        for asked in ("Jane.Doe@example.com", name):
            text = plain((await client.get(f"{RECIPIENT}{asked}")).text)
            assert "8 events" in text
            assert name in text
            assert "hashes recipients" in text
        assert "8 events" in (await client.get("/dashboard/messages?range=7d&recipient=jane.doe@example.com")).text


async def test_a_persons_name_is_no_command(served: Served, load: Load) -> None:
    await load([an_event(1, rcpt_to="$(reboot)`id`;'@example.com")])
    async with logged_in(served, served.key()) as client:
        answer = await client.get("/dashboard/recipient", params={"address": "$(reboot)`id`;'@example.com"})
        assert "mailwake privacy erase '$(reboot)`id`;'\"'\"'@example.com'" in plain(answer.text)


async def test_a_person_with_very_many_events_has_the_newest_and_a_way_to_all(served: Served, load: Load) -> None:
    await load([an_event(number, EventType.OPEN, message_id="01" * 10) for number in range(1, 702)])
    async with logged_in(served, served.key()) as client:
        page = (await client.get(f"{RECIPIENT}ann@example.org")).text
        assert "There are 701 events of this recipient. This page looks at the newest 500" in plain(page)
        assert page.count('<li class="opened">') == 100
        message = plain((await client.get("/dashboard/messages/" + "01" * 10)).text)
        assert "Opens 701" in message


async def test_nobody_has_no_page(served: Served, load: Load) -> None:
    await load([an_event(1, rcpt_to="")])
    async with logged_in(served, served.key()) as client:
        assert (await client.get("/dashboard/recipient")).status_code == 400
        assert (await client.get("/dashboard/recipient?address=%20", follow_redirects=True)).status_code == 400
        assert (await client.get("/dashboard/recipient?address=" + "a" * 400)).status_code == 400


def test_every_reason_of_our_rules_has_words() -> None:
    rules = tomllib.loads(files("mailwake.enrichment").joinpath("bot_rules.toml").read_text())
    assert {rule["reason"] for rule in rules["rule"]} == set(REASONS)


def test_judgements_say_who_it_was_and_how_sure_that_is() -> None:
    def said(**fields: Any) -> list[tuple[str, str]]:
        return [(each.word, each.reason.replace("\u202f", " ")) for each in judgements(an_event(1, **fields))]

    assert said() == []
    assert said(is_bot=False) == [("Person", "Nothing speaks for a machine")]
    assert said(is_bot=True) == [("Machine", "Taken for a machine")]
    ((word, reason),) = said(is_bot=True, bot_reason="our-own", bot_confidence=0.65)
    assert (word, reason) == ("Machine", "Likely a machine (65 %): rule our-own")
    ((word, reason),) = said(is_bot=False, bot_reason="head_then_get", bot_confidence=0.4)
    assert (word, reason.endswith("counted as a person")) == ("Perhaps a machine", True)
    assert [word for word, _ in said(is_bot=False, is_proxy=True)] == ["By proxy", "Person"]
    assert [word for word, _ in said(is_bot=False, is_proxy=True, is_prefetched=True)] == ["Prefetched"]


def test_times_between_events() -> None:
    wanted = {0: "", 999: "", 1000: "1 s later", 61_000: "1 min 1 s later", 2 * HOUR: "2 h later"}
    wanted |= {50 * HOUR: "2 d 2 h later", 48 * HOUR + 5: "2 d later"}
    assert {ms: later(ms).replace("\u202f", " ") for ms in wanted} == wanted


def test_a_story_keeps_each_messages_own_time() -> None:
    two = [an_event(3, message_id="b"), an_event(1, message_id="a"), an_event(2, message_id="b")]
    assert [(each.event.event_id, each.after) for each in story(two)] == [(1, None), (2, None), (3, 1)]
    same = [an_event(1, EventType.DELIVERY, timestamp=5), an_event(2, EventType.INJECTION, timestamp=5)]
    assert [each.event.event_id for each in story(same)] == [2, 1]  # an injection comes first
    assert {copy.outcome for copy in copies(same)} == {"Delivered", "On its way"}
