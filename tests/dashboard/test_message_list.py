"""The list of events: what is found, in which order, by whom; its pages and its file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.dashboard.conftest import Served, logged_in
from tests.dashboard.stories import NASTY, TAKEN, an_event, one_message

from mailwake.clock import ManualClock
from mailwake.control.api_keys import Scope
from mailwake.dashboard.event_words import EVENT_WORDS
from mailwake.dashboard.message_list import CSV_HEAD, PER_PAGE
from mailwake.events.model import Event, EventType

Load = Callable[[Sequence[Event]], Any]
LIST = "/dashboard/messages"


def ids(page: str) -> list[int]:
    """The events on a page, in its order."""
    return [int(each) for each in re.findall(r'data-event="(\d+)"', page)]


def link(page: str, words: str) -> str:
    """Where the link with this text leads."""
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>(?:(?!</a>).)*{words}', page)
    assert found is not None, words
    return unescape(found[1])


async def found(client: httpx.AsyncClient, **query: str) -> list[int]:
    answer = await client.get(LIST, params={"range": "7d", **query})
    assert answer.status_code == 200, answer.text
    return ids(answer.text)


async def test_a_newcomer_is_told_what_to_do(served: Served) -> None:
    async with logged_in(served, served.key()) as client:
        page = (await client.get(LIST)).text
        assert "No event has come yet" in page
        assert "swaks --server" in page


async def test_events_are_found_by_what_people_know_of_them(served: Served, load: Load) -> None:
    await load([*one_message(), an_event(100), an_event(101, EventType.BOUNCE, campaign_id="other")])
    async with logged_in(served, served.key()) as client:
        assert await found(client) == [8, 7, 6, 5, 4, 3, 2, 101, 100, 1]  # the newest first
        assert await found(client, recipient="  JANE.doe@Example.com ") == [8, 7, 6, 5, 4, 3, 2, 1]
        assert await found(client, subject="Spring has come") == [101, 100]
        assert await found(client, message="0123456789abcdef0001", events="click") == [7, 6]
        assert await found(client, transmission="100") == [100]
        assert await found(client, url="https://shop.example/spring?a=1&b=2") == [6]
        assert await found(client, link="banner") == [6]
        assert await found(client, campaign="other") == [101]
        assert await found(client, events="bounce,initial_open") == [5, 101]
        assert await found(client, recipient="nobody@example.com") == []
        assert await found(client, range="today") == []
        assert 4 not in await found(client, cut="human")
        assert 4 in await found(client, cut="nonprefetched")


async def test_a_row_shows_what_the_next_hop_said(served: Served, load: Load) -> None:
    await load(one_message())
    async with logged_in(served, served.key()) as client:
        page = (await client.get(LIST, params={"range": "7d", "events": "delivery,delay"})).text
        assert re.findall(r'facts-of"><span class="clip">([^<]*)', page) == [
            "250 2.0.0 Ok: queued as 7A1",
            "451 4.7.1 greylisted",
        ]


async def test_what_is_not_found_comes_with_what_to_try(served: Served, load: Load) -> None:
    await load([an_event(1)])
    async with logged_in(served, served.key()) as client:
        page = (await client.get(f"{LIST}?range=today&recipient=eve@example.org&cut=human")).text
        assert "No event fits." in page
        wider = urlsplit(link(page, "Search the last 12 months"))
        assert parse_qs(wider.query) == {"cut": ["human"], "range": ["12m"], "recipient": ["eve@example.org"]}


async def test_each_row_leads_to_its_message_and_its_recipient(served: Served, load: Load) -> None:
    nobody = an_event(9, EventType.OPEN, rcpt_to="", transmission_id=0, message_id="", subject="")
    await load([*one_message()[:1], nobody])
    async with logged_in(served, served.key()) as client:
        page = (await client.get(f"{LIST}?range=7d&tz=Europe/Berlin")).text
        message = link(page, "Spring &lt;script&gt;")
        assert message == "/dashboard/messages/0123456789abcdef0001?tz=Europe%2FBerlin"
        assert (await client.get(message)).status_code == 200
        recipient = link(page, "jane.doe@example.com")
        # Paths are logged, queries are not.
        assert urlsplit(recipient).path == "/dashboard/recipient"
        assert parse_qs(urlsplit(recipient).query)["address"] == ["jane.doe@example.com"]
        assert (await client.get(recipient)).status_code == 200
        assert page.count("anonymous</span>") == 1
        assert page.count("/dashboard/recipient?") == 1
        await client.get(f"{LIST}?recipient=jane.doe@example.com")
    assert "jane.doe" not in str(served.log.entries)


async def test_pages_go_on_where_the_last_one_ended_whatever_comes_meanwhile(
    served: Served, load: Load, clock: ManualClock
) -> None:
    await load([an_event(number) for number in range(1, 2 * PER_PAGE + 11)])
    async with logged_in(served, served.key(expires=int(clock.now()) + 400_000)) as client:
        page = (await client.get(f"{LIST}?range=7d&events=click&recipient=ann@example.org")).text
        seen = ids(page)
        await load([an_event(number, timestamp=TAKEN + 5) for number in range(1000, 1050)])
        clock.advance(3_600 * 11)  # the day after: "7d" begins later now
        while "Older" in page:
            answer = await client.get(link(page, "Older"))
            assert answer.status_code == 200, answer.text
            page = answer.text
            assert "110 events" in page
            seen += ids(page)
        assert seen == [*range(2 * PER_PAGE + 10, 0, -1)]
        first = (await client.get(link(page, "Newest"))).text
        assert 1049 not in ids(first)
        assert "160 events" in first


async def test_a_cursor_of_other_filters_is_refused_in_words(served: Served, load: Load) -> None:
    await load([an_event(number) for number in range(1, PER_PAGE + 5)])
    async with logged_in(served, served.key()) as client:
        older = link((await client.get(f"{LIST}?range=7d")).text, "Older")
        for wrong in (older + "&events=open", f"{LIST}?cursor=%3Cb%3E"):
            answer = await client.get(wrong)
            assert answer.status_code == 400
            assert "cursor: " in answer.text
        for wrong in ("events=clicks", "transmission=-1", "recipient=a&recipient=b", "message=%00", "nothing=1"):
            assert (await client.get(f"{LIST}?{wrong}")).status_code == 400, wrong


async def test_the_file_has_what_the_list_has_and_no_formula(served: Served, load: Load) -> None:
    formula = an_event(100, subject="=HYPERLINK(1)", campaign_id="a,b", event_id=1_234_567_890_123_456_789)
    await load([*one_message(), formula])
    async with logged_in(served, served.key()) as client:
        page = (await client.get(f"{LIST}?range=7d&tz=Europe/Berlin")).text
        answer = await client.get(link(page, "CSV"))
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"] == 'attachment; filename="events-2026-11-20-to-2026-11-26.csv"'
        head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
        assert tuple(head) == CSV_HEAD
        table = [dict(zip(head, row, strict=True)) for row in rows]
        assert [int(row["event_id"]) for row in table] == ids(page)
        assert table[-2]["subject"] == "'=HYPERLINK(1)"
        assert table[0]["time"] == "2026-11-25T15:33:20.000+01:00"
        assert (table[0]["type"], table[0]["is_bot"], table[0]["rcpt_tags"]) == (
            "link_unsubscribe",
            "False",
            "news spring",
        )
        narrow = await client.get(f"{LIST}.csv?range=7d&events=bounce")
        assert len(narrow.text.splitlines()) == 1


async def test_a_file_of_many_pages_has_each_event_once(served: Served, load: Load) -> None:
    await load([an_event(number) for number in range(1, 10_021)])
    async with logged_in(served, served.key()) as client:
        rows = (await client.get(f"{LIST}.csv?range=7d")).content.decode("utf-8-sig").splitlines()
        assert len({row.split(",")[2] for row in rows[1:]}) == len(rows) - 1 == 10_020


async def test_another_customers_events_are_never_shown(served: Served, load: Load) -> None:
    await load([*one_message(), an_event(100, customer_id="other", rcpt_to="jane.doe@example.com")])
    async with logged_in(served, served.key(customer="other")) as client:
        assert await found(client) == [100]
        assert await found(client, recipient="jane.doe@example.com") == [100]
        assert await found(client, customer="shop") == []
        assert await found(client, message="0123456789abcdef0001") == []
        rows = (await client.get(f"{LIST}.csv?range=7d")).text
        assert "shop" not in rows
        assert len(rows.splitlines()) == 2


async def test_nothing_that_was_stored_is_markup(served: Served, load: Load) -> None:
    await load(one_message(rcpt_to=f"{NASTY}@example.com", friendly_from=NASTY))
    async with logged_in(served, served.key()) as client:
        page = (await client.get(f"{LIST}?range=7d")).text
        assert NASTY not in page
        assert "<b>autumn" not in page
        assert unescape(page).count(NASTY) >= 8


@pytest.mark.parametrize("scope", [Scope.WEBHOOKS])
async def test_who_may_not_read_reads_nothing(served: Served, scope: Scope) -> None:
    async with logged_in(served, served.key(scope)) as client:
        for path in (LIST, f"{LIST}.csv", f"{LIST}/1", "/dashboard/recipient?address=a@b"):
            assert (await client.get(path)).status_code == 403


def test_every_type_of_event_has_words() -> None:
    assert set(EVENT_WORDS) == set(EventType)
