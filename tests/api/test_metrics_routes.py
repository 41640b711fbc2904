"""Metrics by the API, over a real store: the vendor's shapes, exact counts, one clear 400, nobody else's numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.conftest import HASHING, asking, loaded_store, only_error
from tests.store.events import START, event

from mailwake.api.metrics_answers import GROUPINGS, LISTS
from mailwake.api.metrics_parameters import OF_LISTS, OF_ROWS, SPANS, UNSUPPORTED
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.control.api_keys import Scope
from mailwake.events.model import Event, EventType
from mailwake.reports.uncounted import UNCOUNTED
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.measures import MEASURES
from mailwake.store.report_question import DAY

NewKey = Callable[..., str]
METRICS = "/api/v1/metrics"
ALL = f"{METRICS}/deliverability"
NOW = START + 20 * DAY
SINCE = "from=2026-09-29T13:00"  # START is 13:46:40 of that day


def mail(number: int, kind: EventType, message: int, **fields: Any) -> Event:
    return event(
        number,
        type=kind,
        transmission_id=1000 + message,
        message_id=f"{1000 + message:016x}0000",
        rcpt_to=f"person{message}@example.org",
        **fields,
    )


SPRING = {"campaign_id": "spring", "customer_id": "42", "rcpt_tags": ("a", "b"), "sending_domain": "shop.example"}
AUTUMN = {"campaign_id": "autumn", "customer_id": "43", "rcpt_tags": ("a",)}
BANNER = {"target_link_name": "banner", "target_link_url": "https://x.example/1"}
EVENTS = [
    mail(1, EventType.INJECTION, 1, **SPRING),
    mail(2, EventType.DELIVERY, 1, **SPRING),
    mail(3, EventType.CLICK, 1, **SPRING, **BANNER),
    mail(4, EventType.CLICK, 1, **SPRING, **BANNER, is_bot=True),
    mail(5, EventType.CLICK, 1, **SPRING, target_link_name="Raw URL", target_link_url="https://x.example/2"),
    mail(6, EventType.INJECTION, 2, **SPRING | {"recipient_domain": "example.net"}),
    mail(7, EventType.BOUNCE, 2, **SPRING | {"recipient_domain": "example.net"}, bounce_class=10),
    mail(8, EventType.INJECTION, 3, **AUTUMN, timestamp=START + 3 * DAY),
    mail(9, EventType.INITIAL_OPEN, 3, **AUTUMN, timestamp=START + 4 * DAY, is_prefetched=True),
    mail(10, EventType.INJECTION, 4, timestamp=START + 5 * DAY, customer_id="44", subject="hello"),
    event(
        11,
        type=EventType.INJECTION,
        customer_id="44",
        rcpt_to=HASHING.hashed("eve@example.net"),
        timestamp=START + 5 * DAY,
    ),
]


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


async def results(ask: httpx.AsyncClient, path: str, **more: Any) -> Any:
    answer = await ask.get(path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


# --- the vendor's shapes


async def test_the_summary_is_one_row_with_what_was_asked_for(ask: httpx.AsyncClient) -> None:
    answer = await ask.get(f"{ALL}?{SINCE}&metrics=count_targeted,count_accepted,count_clicked,count_human_clicked")
    body = answer.json()
    assert body["results"] == [{"count_targeted": 5, "count_accepted": 1, "count_clicked": 3, "count_human_clicked": 2}]
    assert body["links"][0] == {"href": ALL, "rel": "deliverability", "method": "GET"}


async def test_every_metric_can_be_asked_for_at_once(ask: httpx.AsyncClient) -> None:
    (row,) = await results(ask, f"{ALL}?{SINCE}&metrics={','.join(MEASURES)}")
    assert list(row) == list(MEASURES)
    assert row["count_unique_confirmed_opened"] == 2
    assert row["count_nonprefetched_unique_confirmed_opened"] == 1
    assert row["count_raw_clicked"] == 2


ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "campaign?metrics=count_injected",
        [
            {"campaign_id": "", "count_injected": 2},
            {"campaign_id": "spring", "count_injected": 2},
            {"campaign_id": "autumn", "count_injected": 1},
        ],
    ),
    (
        "domain?metrics=count_bounce,count_clicked&order_by=count_clicked",
        [
            {"domain": "example.org", "count_bounce": 0, "count_clicked": 3},
            {"domain": "example.net", "count_bounce": 1, "count_clicked": 0},
        ],
    ),
    (
        "sending-domain?metrics=count_injected&order=asc",
        [{"sending_domain": "shop.example", "count_injected": 2}, {"sending_domain": "", "count_injected": 3}],
    ),
    ("tag?metrics=count_injected", [{"tag": "a", "count_injected": 3}, {"tag": "b", "count_injected": 2}]),
    (
        "customer?metrics=count_injected&order_by=customer_id",
        [{"customer_id": each, "count_injected": number} for each, number in (("42", 2), ("43", 1), ("44", 2))],
    ),
    (
        "subaccount?metrics=count_injected&order_by=count_bounce&subaccounts=42,43",
        [{"subaccount_id": "42", "count_injected": 2}, {"subaccount_id": "43", "count_injected": 1}],
    ),
    (
        "link-name?metrics=count_clicked,count_raw_clicked,count_human_unique_clicked",
        [
            {"link_name": "banner", "count_clicked": 2, "count_raw_clicked": 1, "count_human_unique_clicked": 1},
            {"link_name": "Raw URL", "count_clicked": 1, "count_raw_clicked": 1, "count_human_unique_clicked": 1},
        ],
    ),
    (
        "link?metrics=count_clicked&order_by=link_name",
        [
            {"link_name": "Raw URL", "link_url": "https://x.example/2", "count_clicked": 1},
            {"link_name": "banner", "link_url": "https://x.example/1", "count_clicked": 2},
        ],
    ),
]


async def test_rows_of_each_grouping(ask: httpx.AsyncClient) -> None:
    for query, expected in ROWS:
        answer = await ask.get(f"{ALL}/{query}&{SINCE}")
        assert answer.json() == {"results": expected, "total_count": len(expected), "links": []}, query


async def test_pages_of_rows_lead_to_the_next(ask: httpx.AsyncClient, clock: ManualClock) -> None:
    path, found = f"{ALL}/campaign?{SINCE}&metrics=count_injected&limit=1&timezone=Asia/Tokyo", []
    while path:
        answer = (await ask.get(path)).json()
        assert answer["total_count"] == 3
        found += [row["campaign_id"] for row in answer["results"]]
        clock.advance(60)
        path = next((link["href"] for link in answer["links"] if link["rel"] == "next"), "")
    assert found == ["", "spring", "autumn"]


async def test_a_series_has_every_day_of_the_zone_and_its_first_is_cut(ask: httpx.AsyncClient) -> None:
    query = "from=2026-09-29T12:00&to=2026-10-03T00:00&timezone=America/New_York&metrics=count_injected"
    answer = await ask.get(f"{ALL}/time-series?{query}&precision=day")
    assert answer.json() == {
        "results": [
            # 13:46 UTC is before noon in New York.
            {"ts": "2026-09-29T00:00:00-04:00", "count_injected": 0},
            {"ts": "2026-09-30T00:00:00-04:00", "count_injected": 0},
            {"ts": "2026-10-01T00:00:00-04:00", "count_injected": 0},
            {"ts": "2026-10-02T00:00:00-04:00", "count_injected": 1},
        ],
        "precision": "day",
    }


FITTING = [
    ("from=2026-09-29T12:00&to=2026-09-29T14:00", "1min"),
    ("from=2026-09-29&to=2026-09-30", "15min"),
    ("from=2026-09-25&to=2026-09-30", "hour"),
    ("from=2026-06-01&to=2026-09-30", "day"),
    ("from=2025-01-01&to=2026-09-30", "week"),
    ("from=2000-01-01", "month"),
]


async def test_a_series_without_a_precision_is_one_that_fits(ask: httpx.AsyncClient) -> None:
    for span, precision in FITTING:
        body = (await ask.get(f"{ALL}/time-series?{span}&metrics=count_injected")).json()
        assert body["precision"] == precision
        assert precision == "month" or len(body["results"]) <= 126


ROUNDED = [
    ("from=2026-09-29T13:47&to=2026-09-29T14:00", 0),  # the first two are of 13:46
    ("from=2026-09-29T13:47&to=2026-09-29T14:00&precision=15min", 2),
    ("from=2026-09-29T14:00&to=2026-09-29T15:00&precision=hour", 0),
    ("from=2026-09-29T14:00&to=2026-09-29T15:00&precision=day", 2),
    ("from=2026-09-28T20:00&to=2026-09-28T21:00&precision=day", 0),
    ("from=2026-09-29T20:00&to=2026-09-29T21:00&precision=day&timezone=Asia/Tokyo", 2),
    ("from=2026-09-29T20:00Z&to=2026-09-29T21:00Z&precision=day&timezone=Asia/Tokyo", 0),
    ("from=2026-10-04T00:00&to=2026-10-04T01:00&precision=week", 5),
    ("from=2026-10-01T00:00&to=2026-10-01T00:01&precision=month", 3),
    ("from=1970-01-01T00:00&to=1970-01-01T00:01&precision=month", 0),
]


async def test_a_precision_makes_the_time_of_sums_longer(ask: httpx.AsyncClient) -> None:
    for span, number in ROUNDED:
        (row,) = await results(ask, f"{ALL}?{span}&metrics=count_injected")
        assert (span, row) == (span, {"count_injected": number})


async def test_the_root_leads_to_what_is_there(ask: httpx.AsyncClient) -> None:
    for path in (METRICS, f"{METRICS}/"):
        body = (await ask.get(path)).json()
        assert body["results"] == {}
        for link in body["links"]:
            found = await ask.get(link["href"], params={"from": "2026-09-01", "metrics": "count_clicked"})
            assert found.status_code in (200, 400), link  # lists have no metrics
            assert found.status_code == 200 or "no parameter" in only_error(found)["description"]


LISTED = [
    ("campaigns", ["autumn", "spring"]),
    ("campaigns?match=SPR", ["spring"]),
    ("campaigns?limit=1", ["autumn"]),
    ("campaigns?from=2026-10-01", ["autumn"]),
    ("domains", ["example.net", "example.org"]),
    ("sending-domains", ["shop.example"]),
    ("tags", ["a", "b"]),
    ("customers", ["42", "43", "44"]),
]


async def test_lists(ask: httpx.AsyncClient) -> None:
    for query, expected in LISTED:
        assert await results(ask, f"{METRICS}/{query}") == {query.partition("?")[0]: expected}


# --- filters


FILTERS = [
    ("campaigns=spring", 2),
    ("campaigns=spring,autumn", 3),
    ("campaigns=Spring", 0),
    ("domains=EXAMPLE.net", 1),
    ("recipient_domains=example.net,example.org", 5),
    ("subaccounts=43", 1),
    ("customers=43,44", 3),
    ("sending_domains=SHOP.example", 2),
    ("tags=b", 2),
    ("tags=a,b", 3),
    ("recipients=Person1@example.org", 1),
    ("recipients=eve@example.net", 1),
    ("messages=" + f"{1001:016x}0000", 1),
    ("transmissions=1001,1002", 2),
    ("subjects=hello", 1),
    ("link_names=banner", 0),
    ("campaigns=spring&domains=example.net", 1),
    ("campaigns=spring|autumn&delimiter=|", 3),
    ("to=2026-10-01", 2),
]


async def test_every_filter(ask: httpx.AsyncClient) -> None:
    for query, number in FILTERS:
        found = await results(ask, f"{ALL}?{SINCE}&metrics=count_injected&{query}")
        assert (query, found) == (query, [{"count_injected": number}])


async def test_filters_of_links_count_their_clicks(ask: httpx.AsyncClient) -> None:
    for query, number in (("link_names=banner", 2), ("link_urls=https://x.example/2", 1)):
        assert await results(ask, f"{ALL}?{SINCE}&metrics=count_clicked&{query}") == [{"count_clicked": number}]


# --- what cannot be answered


WRONG = [
    ("", "metrics=count_clicked", "parameter 'from' is required"),
    ("", SINCE, "parameter 'metrics' is required"),
    ("", f"{SINCE}&metrics=count_clickd", "there is no 'count_clickd'; did you mean count_clicked?"),
    ("", f"{SINCE}&metrics=", "parameter 'metrics' is empty"),
    ("", f"{SINCE}&metrics=count_clicked' OR 1=1 --", "there is no "),
    ("", f"{SINCE}&metrics=count_spam_complaint", "count_spam_complaint is not counted: complaints go to"),
    ("", f"{SINCE}&metrics=count_clicked&limit=5", "no parameter 'limit'"),
    ("", f"{SINCE}&metrics=count_clicked&precision=minute", "parameter 'precision' cannot be 'minute'"),
    ("", f"{SINCE}&metrics=count_clicked&timezone=Mars/Olympus", "parameter 'timezone' cannot be"),
    ("", f"{SINCE}&metrics=count_clicked&templates=x", "mail has no templates here"),
    ("", f"{SINCE}&metrics=count_clicked&query_filters={{}}", "no filters in JSON"),
    ("", f"{SINCE}&metrics=count_clicked&campaigns=spring*", "there are no wildcards"),
    ("", "from=2027-01-01&metrics=count_clicked", "must be before 'to'"),
    ("", "from=1970-01-01&to=9998-12-31&metrics=count_clicked", "more than 100 years"),
    ("", f"{SINCE}&metrics=count_clicked&campaigns=" + ",".join(map(str, range(1001))), "at most 1000 values"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&limit=10000000", "parameter 'limit' cannot be '10000000'"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&limit=0", "a whole number from 1 to 10000"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&offset=-1", "parameter 'offset' cannot be"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&order_by=campaign", "metrics: there is no 'campaign'"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&order_by=campaign_id&order=desc", "go from A to Z"),
    ("/campaign", f"{SINCE}&metrics=count_clicked&order=down", "one of asc, desc"),
    ("/link-name", f"{SINCE}&metrics=count_injected", "count_injected is not counted for each link; clicks are"),
    ("/link-name", f"{SINCE}&metrics=count_clicked&order_by=count_injected", "not counted for each link"),
    ("/time-series", "from=2016-01-01&metrics=count_clicked&precision=1min", "spans of 1 minutes"),
    ("/time-series", "from=1970-01-01&to=9998-12-31&metrics=count_clicked", "more than 100 years"),
]


async def test_what_cannot_be_answered_is_one_clear_400(ask: httpx.AsyncClient) -> None:
    for path, query, said in WRONG:
        answer = await ask.get(f"{ALL}{path}?{query}")
        assert (path, query[:100], answer.status_code) == (path, query[:100], 400)
        assert said in only_error(answer)["description"]
        assert "\n" not in only_error(answer)["description"]


def test_what_the_vendor_has_is_named_one_way_or_the_other() -> None:
    metrics = {
        *("injected", "bounce", "rejected", "delivered", "delivered_first", "delivered_subsequent", "policy_rejection"),
        *("generation_rejection", "generation_failed", "inband_bounce", "initial_rendered", "outofband_bounce"),
        *("nonprefetched_initial_rendered", "soft_bounce", "hard_bounce", "block_bounce", "admin_bounce"),
        *("undetermined_bounce", "delayed", "delayed_first", "rendered", "nonprefetched_rendered", "unique_rendered"),
        *("nonprefetched_unique_rendered", "unique_confirmed_opened", "nonprefetched_unique_confirmed_opened"),
        *("unique_initial_rendered", "nonprefetched_unique_initial_rendered", "clicked", "unique_clicked", "targeted"),
        *("sent", "accepted", "spam_complaint", "inbox_panel", "spam_panel", "inbox_seed", "spam_seed"),
        *("inbox_seed_private", "spam_seed_private", "inbox_seed_virtual", "spam_seed_virtual", "moved_to_inbox"),
        *("moved_to_spam", "raw_clicked", "unsubscribe"),
    }
    assert {f"count_{name}" for name in metrics} <= set(MEASURES) | set(UNCOUNTED)
    assert not set(MEASURES) & set(UNCOUNTED)
    parameters = {
        *("from", "to", "delimiter", "query_filters", "domains", "campaigns", "subject_campaigns", "templates"),
        *("mailbox_providers", "mailbox_provider_regions", "sending_ips", "ip_pools", "sending_domains"),
        *("subaccounts", "precision", "metrics", "timezone", "limit", "order_by"),
    }
    known = {name for each in OF_ROWS for name in (each.name, *each.aliases)}
    assert parameters <= known | set(UNSUPPORTED)
    assert not known & set(UNSUPPORTED)


# --- whose events are counted


PATHS = [f"{ALL}", *(f"{ALL}/{word}" for word in GROUPINGS), f"{ALL}/time-series"]


@pytest.mark.parametrize("asked", [None, "43"])
async def test_a_key_for_a_customer_counts_its_own_events_only(
    ask: httpx.AsyncClient, new_key: NewKey, asked: str | None
) -> None:
    bound = {"authorization": new_key(customer="43" if asked is None else None)}
    if asked is not None:
        bound["x-msys-subaccount"] = asked
    for path in PATHS:
        metric = "count_clicked" if "link" in path else "count_injected"
        for more, number in (("", 1), ("&customers=42", 0), ("&customers=42,43", 1), ("&campaigns=spring", 0)):
            found = await results(ask, f"{path}?{SINCE}&metrics={metric}{more}", headers=bound)
            assert sum(row[metric] for row in found) == (0 if "link" in path else number), (path, more)
    assert await results(ask, f"{METRICS}/campaigns", headers=bound) == {"campaigns": ["autumn"]}
    assert await results(ask, f"{METRICS}/customers", headers=bound) == {"customers": ["43"]}
    assert await results(ask, f"{METRICS}/tags", headers=bound) == {"tags": ["a"]}


NAMES = sorted({name for each in (*OF_ROWS, SPANS, *OF_LISTS) for name in (each.name, *each.aliases)} - {"metrics"})
VALUES = st.text(max_size=15) | st.sampled_from(
    (
        *("spring", "42", "43", "44", "2026-09-29", "2026-09-30T00:00", "UTC", "America/New_York", "1001", "1", "asc"),
        *("' OR 1=1 --", "%", "*", "1); DROP TABLE events; --", "day", "month", "1min", "campaign_id", "count_clicked"),
        *("count_injected", "\N{RIGHT SINGLE QUOTATION MARK}", "9" * 18, "1970-01-01", "9998-12-31"),
    )
)
MARKS = ("spring", "autumn", "42", "43")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*PATHS, *(f"{METRICS}/{word}" for word in LISTS)]),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4, unique_by=lambda pair: pair[0]),
    st.sampled_from(("count_clicked", "count_clicked,count_human_raw_clicked", "count_injected")),
)
async def test_whatever_is_asked_is_answered_and_counts_nobody_elses_events(
    ask: httpx.AsyncClient, parts: ApiParts, path: str, pairs: list[tuple[str, str]], metrics: str
) -> None:
    if "x-bound" not in ask.headers:
        ask.headers["x-bound"] = parts.keys.create("bound", [Scope.READ], customer="44")
    given = {"from": "2026-09-29", "metrics": metrics, **dict(pairs)} if ALL in path else dict(pairs)
    query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in given.items())
    answer = await ask.get(f"{path}?{query}", headers={"authorization": ask.headers["x-bound"]})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        only_error(answer)
        return
    found = answer.json()["results"]
    if isinstance(found, dict):
        ((name, values),) = found.items()
        assert set(values) <= {"customers": {"44"}, "domains": {"example.org"}}.get(name, set())
        return
    for row in found:
        assert row.get("count_injected", 0) <= 2
        assert row.get("count_clicked", 0) == 0
        assert not [value for value in row.values() if value in MARKS]


async def test_without_a_store_the_answer_says_so(client: httpx.AsyncClient, new_key: NewKey) -> None:
    for path in (f"{ALL}?{SINCE}&metrics=count_clicked", f"{METRICS}/campaigns"):
        answer = await client.get(path, headers={"authorization": new_key()})
        assert answer.status_code == 503
        assert "store.enabled is false" in answer.text
