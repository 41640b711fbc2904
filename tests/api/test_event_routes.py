"""Searching events by the API, in a real store: what is found, what is refused, and what is never shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.conftest import HASHING, asking, loaded_store, only_error
from tests.store.events import START, event

from mailwake.api.event_routes import QUERY, UNSUPPORTED
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.control.api_keys import Scope
from mailwake.events.model import EventType
from mailwake.events.wire import iso_time, wire_fields
from mailwake.feed.contract import Position
from mailwake.store.duckdb_store import DuckDbStore

NewKey = Callable[..., str]
SEARCH = "/api/v1/events/message"
NOW = START + 10_000_000

EVENTS = [
    event(1, customer_id="42", campaign_id="spring", rcpt_to="anna@example.com", recipient_domain="example.com"),
    event(2, customer_id="42", type=EventType.BOUNCE, bounce_class=10, subject="a, b", rcpt_tags=("x", "y")),
    event(3, customer_id="43", campaign_id="spring", friendly_from="Shop <s@s.example>", sending_domain="s.example"),
    event(4, customer_id="", transmission_id=77, message_id="00ab", target_link_name="top", target_link_url="x:y"),
    event(5, customer_id="43", rcpt_to=HASHING.hashed("eve@example.net"), recipient_domain="example.net"),
]
BY_ID = {str(each.event_id): each for each in EVENTS}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDbStore]:
    async with loaded_store(tmp_path, EVENTS) as made:
        yield made


@pytest.fixture
async def ask(
    parts: ApiParts, store: DuckDbStore, new_key: NewKey, clock: ManualClock
) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": new_key(Scope.READ)}
    async with asking(parts, store, headers, clock, now_ms=NOW) as client:
        yield client


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(each["event_id"]) for each in answer.json()["results"]]


async def test_an_answer_in_the_vendors_shape(ask: httpx.AsyncClient) -> None:
    answer = await ask.get(SEARCH)
    body = answer.json()
    assert list(body) == ["results", "total_count", "links"]
    assert body["total_count"] == 5
    assert body["links"] == {}
    assert ids(answer) == [5, 4, 3, 2, 1]
    assert body["results"][-1]["timestamp"] == iso_time(START + 1000)
    assert body["results"][-1] == {**wire_fields(EVENTS[0])}


FILTERS: list[tuple[str, list[int]]] = [
    ("events=bounce", [2]),
    ("events=bounce,click", [5, 4, 3, 2, 1]),
    ("events=spam_complaint,bounce", [2]),
    ("events=spam_complaint", []),
    ("recipients=ANNA@example.com", [1]),
    ("recipients=eve@example.net", [5]),
    ("recipients=" + HASHING.hashed("eve@example.net"), [5]),
    ("recipients=nobody@example.com", []),
    ("recipient_domains=EXAMPLE.com,example.net", [5, 1]),
    ("campaigns=spring", [3, 1]),
    ("campaigns=Spring", []),
    ("messages=00ab", [4]),
    ("message_ids=00ab", [4]),
    ("transmissions=77,1", [4, 1]),
    ("transmission_ids=77", [4]),
    ("subaccounts=43", [5, 3]),
    ("customers=42,43", [5, 3, 2, 1]),
    ("event_ids=2,4,99", [4, 2]),
    ("tags=y", [2]),
    ("subject=a%2C%20b&delimiter=;", [2]),
    ("subjects=a,b", []),
    ("from_addresses=Shop%20%3Cs@s.example%3E", [3]),
    ("sending_domains=s.example", [3]),
    ("bounce_classes=10,20", [2]),
    ("link_names=top,bottom", [4]),
    ("link_urls=x:y", [4]),
    ("campaigns=spring&events=click&subaccounts=42", [1]),
    (f"from={iso_time(START + 2000)}&to={iso_time(START + 4000)}", [3, 2]),
    (f"from={iso_time(START + 4000)}", [5, 4]),
    (f"to={iso_time(START + 2000)}", [1]),
    ("from=2026-09-29T22:46&timezone=Asia/Tokyo&to=2026-09-29T22:47", [5, 4, 3, 2, 1]),
    ("from=2026-09-29T13:46&to=2026-09-29T22:47%2B09:00", [5, 4, 3, 2, 1]),
    ("from=2026-09-29T13:46&to=2026-09-29T22:47+09:00", [5, 4, 3, 2, 1]),
    ("from=2026-09-01&to=2026-09-02", []),
]


async def test_every_filter(ask: httpx.AsyncClient) -> None:
    for query, found in FILTERS:
        answer = await ask.get(f"{SEARCH}?{query}")
        assert (query, ids(answer)) == (query, found)
        assert answer.json()["total_count"] == len(found)


async def test_every_page_leads_to_the_next_and_all_events_come_once(
    ask: httpx.AsyncClient, store: DuckDbStore, clock: ManualClock
) -> None:
    answer = await ask.get(f"{SEARCH}?per_page=2&cursor=initial&events=click,bounce")
    pages = [ids(answer)]
    assert answer.json()["total_count"] == 5
    while "next" in answer.json()["links"]:
        clock.advance(60)  # what was left out stays what it was
        late = event(200 + len(pages), timestamp=START + 500 * len(pages))
        await store.load([event(100 + len(pages)), late], Position(1, 1 + len(pages)))
        answer = await ask.get(answer.json()["links"]["next"])
        assert answer.json()["total_count"] == 5
        pages.append(ids(answer))
    assert pages == [[5, 4], [3, 2], [1]]


async def test_links_keep_lists_with_a_delimiter_of_their_own(ask: httpx.AsyncClient) -> None:
    answer = await ask.get(SEARCH, params={"campaigns": "spring|a,b & c", "delimiter": "|", "per_page": "1"})
    assert ids(answer) == [3]
    assert ids(await ask.get(answer.json()["links"]["next"])) == [1]


WRONG = [
    ("from=2026-09-30", "must be before 'to'"),
    ("from=yesterday", "parameter 'from' cannot be 'yesterday'; it is a time like 2026-03-01T12:00"),
    ("from=2026-02-30T00:00", "parameter 'from' cannot be"),
    ("from=1969-12-31", "parameter 'from' cannot be"),
    (
        "from=2026-09-29T14:00&to=2026-09-29T13:00",
        "'from' (2026-09-29T14:00:00.000Z) must be before 'to'",
    ),
    ("timezone=Mars/Olympus", "parameter 'timezone' cannot be 'Mars/Olympus'"),
    ("timezone=../../etc/passwd", "parameter 'timezone' cannot be"),
    ("events=opened", "parameter 'events' cannot be 'opened'"),
    ("per_page=0", "parameter 'per_page' cannot be '0'; it is a whole number from 1 to 10000"),
    ("per_page=10001", "parameter 'per_page' cannot be '10001'"),
    ("transmissions=x", "parameter 'transmissions' cannot be 'x'"),
    ("cursor=nonsense", "cursor: is none of ours"),
    ("campaigns=spring*", "parameter 'campaigns': there are no wildcards"),
    ("recipient=a@b.c", "there is no parameter 'recipient'; did you mean 'recipients'?"),
    ("templates=x", "parameter 'templates' is not supported: mail has no templates here"),
    ("recipients=" + ",".join(f"{n}@x.y" for n in range(501)), "'recipients' has 501 items"),
    ("campaigns=a%00b", "parameter 'campaigns' cannot be"),
]


async def test_a_wrong_question_is_400_and_says_what_would_be_right(ask: httpx.AsyncClient) -> None:
    for query, text in WRONG:
        answer = await ask.get(f"{SEARCH}?{query}")
        assert (query, answer.status_code) == (query, 400)
        assert text in only_error(answer)["description"]


async def test_a_cursor_belongs_to_its_question(ask: httpx.AsyncClient) -> None:
    following = (await ask.get(f"{SEARCH}?per_page=1")).json()["links"]["next"]
    answer = await ask.get(following + "&campaigns=spring")
    assert answer.status_code == 400
    assert "belongs to other filters" in only_error(answer)["description"]


def test_what_the_vendor_has_besides_is_named_one_way_or_the_other() -> None:
    vendors = {
        *("from", "to", "delimiter", "cursor", "per_page", "timezone", "bounce_classes", "campaigns", "events"),
        *("ab_tests", "ab_test_version", "from_addresses", "ip_pools", "message_ids", "reason", "recipients"),
        *("recipient_domains", "subject", "sending_domains", "sending_ips", "subaccounts", "templates"),
        *("transmission_ids", "messages", "transmissions", "mailbox_providers"),
    }
    known = {name for each in QUERY for name in (each.name, *each.aliases)}
    assert vendors <= known | set(UNSUPPORTED)
    assert not known & set(UNSUPPORTED)


# --- whose events are seen


@pytest.mark.parametrize("asked", [None, "42"])
async def test_a_key_for_a_customer_sees_its_own_events_only(
    ask: httpx.AsyncClient, new_key: NewKey, asked: str | None
) -> None:
    bound = {"authorization": new_key(customer="42" if asked is None else None)}
    if asked is not None:
        bound["x-msys-subaccount"] = asked
    for query, found in (("", [2, 1]), ("?subaccounts=43", []), ("?campaigns=spring", [1]), ("?event_ids=3", [])):
        answer = await ask.get(SEARCH + query, headers=bound)
        assert ids(answer) == found
        assert answer.json()["total_count"] == len(found)


async def test_a_cursor_of_another_customers_search_shows_nothing_of_it(
    ask: httpx.AsyncClient, new_key: NewKey
) -> None:
    following = (await ask.get(f"{SEARCH}?per_page=1")).json()["links"]["next"]
    answer = await ask.get(following, headers={"authorization": new_key(customer="42")})
    assert answer.status_code == 400


NAMES = sorted({name for each in QUERY for name in (each.name, *each.aliases)})
VALUES = st.text(max_size=15) | st.sampled_from(
    (
        "spring",
        "42",
        "43",
        "click,open",
        "initial",
        "2026-09-29",
        "2026-09-30T00:00",
        "UTC",
        "77",
        "1",
        "' OR 1=1 --",
        "%",
        "*",
    )
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4))
async def test_whatever_is_asked_is_answered_and_shows_nobody_elses_events(
    ask: httpx.AsyncClient, parts: ApiParts, pairs: list[tuple[str, str]]
) -> None:
    if "x-bound" not in ask.headers:
        ask.headers["x-bound"] = parts.keys.create("bound", [Scope.READ], customer="42")
    query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in pairs)
    answer = await ask.get(f"{SEARCH}?{query}", headers={"authorization": ask.headers["x-bound"]})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert all(BY_ID[each["event_id"]].customer_id == "42" for each in answer.json()["results"])


async def test_without_a_store_the_answer_says_so(client: httpx.AsyncClient, new_key: NewKey) -> None:
    answer = await client.get(SEARCH, headers={"authorization": new_key()})
    assert answer.status_code == 503
    assert "store.enabled is false" in answer.text
