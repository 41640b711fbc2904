"""The pages of reports over a real store: what they count, what they escape, and whose data they never show."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
import pytest_asyncio
from starlette.responses import PlainTextResponse, Response
from tests.dashboard.conftest import LIMITS, Served, logged_in, with_mail
from tests.dashboard.mail import NASTY, OTHERS, OURS, SECRET_OF_OTHERS, mail

from mailwake.api.http_limits import HttpLimits
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.control.api_keys import Scope
from mailwake.dashboard.page_table import PAGES
from mailwake.dashboard.pages import Page, Visit
from mailwake.feed.contract import Position
from mailwake.store.duckdb_store import DuckDbStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPORTS = ("campaigns", "tags", "customers", "domains")
WITHOUT_STORE = ("/dashboard/webhooks", "/dashboard/link", "/dashboard/live")
"""Pages that ask other parts than the store."""
ENDLESS = "/dashboard/live/events"
GETS = sorted(page.path for page in PAGES if page.method == "GET" and "{" not in page.path and page.path != ENDLESS)
FIELDS = {"/dashboard/suggestions": "field=campaign", "/dashboard/recipient": "address=nobody@example.com"}
"""Parameters that a page cannot do without."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A dashboard over a store with mail in it, for all tests here."""
    async with with_mail(tmp_path_factory.mktemp("dashboard")) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may see everything."""
    async with logged_in(served, served.key(Scope.ADMIN, name="boss")) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bound(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody of one customer."""
    async with logged_in(served, served.key(Scope.ADMIN, name="shop", customer=OURS)) as client:
        yield client


def words(page: str) -> str:
    """The text of a page as it is read, without what is only for charts."""
    text = re.sub(r"<svg.*?</svg>|<script.*?</script>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u202f", "").split())


def at(path: str, query: str = "") -> str:
    parts = [each for each in (FIELDS.get(path, ""), query) if each]
    return path + ("?" + "&".join(parts) if parts else "")


# --- what they count


async def test_the_overview_answers_at_one_look(bound: httpx.AsyncClient) -> None:
    page = words((await bound.get("/dashboard")).text)
    # The nasty message counts, too: 41 were sent today, 39 accepted.
    assert "Yes, people read it Today: 21 of 39 accepted messages were opened or clicked, 13 of them by people" in page
    assert "last Thursday until this time 20." in page
    assert "Targeted 41 +2% was 40" in page
    assert "Accepted 39 +3% was 38" in page
    assert "Unique confirmed opens 21 +5% was 20" in page
    assert "Unique clicks 11 +10% was 10" in page
    assert "Open rate 53.8% +1.2 pp was 52.6%" in page
    assert "Bounce rate 4.9% −0.1 pp was 5.0%" in page
    assert "spring sale 40 52.6% 26.3%" in page


@pytest.mark.parametrize(
    ("cut", "opened", "clicked", "opens", "clicks"),
    [("all", 41, 21, 81, 21), ("nonprefetched", 33, 21, 65, 21), ("human", 25, 13, 49, 13)],
)
async def test_the_funnel_in_each_cut(
    bound: httpx.AsyncClient, cut: str, opened: int, clicked: int, opens: int, clicks: int
) -> None:
    page = words((await bound.get(f"/dashboard/engagement?cut={cut}")).text)
    assert f"Targeted 81 100.0% Accepted 77 95.1% Unique confirmed opens {opened} " in page
    assert f"Unique clicks {clicked} {100 * clicked / 81:.1f}%" in page
    assert f"Open rate of accepted {100 * opened / 77:.1f}%" in page
    assert f"Click to open of opened {100 * clicked / opened:.1f}%" in page
    assert f"Opens {opens} Clicks {clicks}" in page  # of the curve
    assert f"Links {clicks} clicks" in page


async def test_links_are_counted_ordered_and_shared(bound: httpx.AsyncClient) -> None:
    async def names(query: str) -> list[str]:
        page = (await bound.get(f"/dashboard/engagement?{query}")).text
        table = page[page.index('id="links"') : page.index('id="heat"')]
        return [words(each)[:7] for each in re.findall(r'<th scope="row">(.*?)</th>', table, re.DOTALL)]

    page = words((await bound.get("/dashboard/engagement?link=offer&link=imprint")).text)
    assert "offer https://shop.example/offer 10 10 50.0%" in page
    assert "imprint https://shop.example/imprint 10 10 50.0%" in page
    assert "Targeted 81" in page  # what was sent has no link, and is counted all the same
    assert "Unique clicks 20 " in page
    assert (await names(""))[:2] == ["imprint", "offer h"]
    assert (await names("sort=name"))[1:] == ["imprint", "offer h"]
    assert (await names("sort=clicks&order=asc"))[-1] == "offer h"
    assert await names("page=2") == []


async def test_a_filter_of_links_is_about_clicks_on_every_page(bound: httpx.AsyncClient) -> None:
    page = words((await bound.get("/dashboard/engagement?link=offer")).text)
    assert "Unique confirmed opens 41 " in page
    assert "Opens 81 Clicks 10" in page
    page = words((await bound.get("/dashboard?range=today&link=offer")).text)
    assert "Unique clicks 5 " in page
    assert "spring sale 40 52.6% 13.2%" in page
    for order, first in (("sort=clicked", "spring sale"), ("sort=clicked&order=asc", "")):
        answer = await bound.get(f"/dashboard/campaigns.csv?range=30d&link=offer&{order}")
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert len(rows) > 1
        assert (rows[0]["campaign"] == "spring sale") == bool(first)
        (sale,) = (row for row in rows if row["campaign"] == "spring sale")
        names = ("targeted", "accepted", "opened", "clicked", "clicks")
        assert [sale[name] for name in names] == ["80", "76", "40", "10", "10"]
        assert {row["clicked"] for row in rows if row is not sale} == {"0"}


async def test_curve_and_map_count_by_the_clock_of_the_time_zone(bound: httpx.AsyncClient) -> None:
    # 20 messages were opened twice, one an hour, one 61 minutes after it was sent, from 9:33 UTC on, a minute apart.
    for zone, hour in (("UTC", 10), ("Asia/Kolkata", 16), ("America/New_York", 5)):
        page = (await bound.get(f"/dashboard/engagement?range=today&campaign=spring+sale&tz={zone}")).text
        heat = page[page.index('<table class="heat') :]
        cells = re.findall(r'<td class="h(\d)" title="(\w+) (\d+):00: (\d+)"', heat)
        assert len(cells) == 7 * 24
        counted = {(day, int(hour)): (int(number), int(shade)) for shade, day, hour, number in cells if number != "0"}
        assert counted == {("Thursday", hour): (40, 7)}
        table = page[page.index("Figures by hour") : page.index('<table class="heat')]
        rows = re.findall(r'<th scope="row">(.*?)</th><td class="number" data-value="(\d+)"', table)
        assert len(rows) == 24
        assert [row for row in rows if row[1] != "0"] == [(f"Thu 26 Nov {hour:02}:00", "40")]


@pytest.mark.parametrize(
    ("query", "span", "points"),
    [
        ("range=24h", "hour", 25),
        ("from=2026-11-24&to=2026-11-26", "hour", 72),
        ("range=30d", "day", 30),
        ("range=12m", "week", 53),
        ("from=2020-01-01&to=2026-11-26", "month", 83),
        ("from=2025-06-01&to=2026-11-26", "week", 79),
        ("from=2026-10-24&to=2026-10-26&tz=Europe/Berlin", "hour", 73),  # clocks go back
    ],
)
async def test_a_curve_has_as_many_points_as_fit(bound: httpx.AsyncClient, query: str, span: str, points: int) -> None:
    page = (await bound.get(f"/dashboard/engagement?{query}")).text
    if "data-span" not in page:  # no mail yet then
        page = (await bound.get(f"/dashboard?{query}")).text
        assert f"Figures by {'day' if span == 'hour' else span}" in page
        return
    assert f'data-span="{span}"' in page
    assert page.count("<tr data-time=") == points


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("campaigns", "spring sale 80 76 95.0% 4 40 52.6% 20 26.3% 0"),
        ("tags", "vip 40 38 95.0% 2 20 52.6% 10 26.3% 0"),
        ("tags", "news 80 76 95.0% 4 40 52.6% 20 26.3% 0"),
        ("domains", "example.com 80 76 95.0% 4 40 52.6% 20 26.3% 0"),
        ("customers", "42 81 77 95.1% 4 41 53.2% 21 27.3% 0"),
    ],
)
async def test_breakdowns_count_each_row(client: httpx.AsyncClient, name: str, row: str) -> None:
    answer = await client.get(f"/dashboard/{name}")
    assert row in words(answer.text)


async def test_a_row_leads_to_its_engagement_and_keeps_the_view(client: httpx.AsyncClient) -> None:
    page = (await client.get("/dashboard/campaigns?range=7d&cut=human&tz=Europe%2FBerlin&domain=example.com")).text
    (href,) = [each for each in map(unescape, re.findall(r'href="([^"]+)"', page)) if "campaign=spring" in each]
    assert href == (
        "/dashboard/engagement?cut=human&tz=Europe%2FBerlin&domain=example.com&range=7d&campaign=spring+sale"
    )
    report = words((await client.get(href)).text)
    assert "Targeted 40 100.0%" in report
    assert "Domain example.com" in report
    assert "Campaign spring sale" in report


@pytest.mark.parametrize(("sort", "first", "last"), [("open_rate", "100.0%", "52.6%"), ("targeted", "100", "1")])
async def test_tables_are_ordered_by_counts_and_rates(
    client: httpx.AsyncClient, sort: str, first: str, last: str
) -> None:
    for order, ends in (("desc", (first, last)), ("asc", (last, first))):
        page = (await client.get(f"/dashboard/campaigns?sort={sort}&order={order}&range=today")).text
        place = ["targeted", "accepted", "", "", "", "open_rate"].index(sort)
        rows = re.findall(r"<tr>(.*?)</tr>", page[page.index("<tbody>") :], re.DOTALL)
        cells = [re.findall(r'<td class="number[^"]*">([^<]*)', row)[place] for row in rows]
        assert (cells[0].replace("\u202f", ""), cells[-1].replace("\u202f", "")) == ends
        assert f'aria-sort="{order}ending"' in page


async def test_a_campaign_of_today_leads_to_its_figures_of_today(bound: httpx.AsyncClient) -> None:
    page = (await bound.get("/dashboard")).text
    (href,) = {each for each in map(unescape, re.findall(r'href="([^"]+)"', page)) if "campaign=spring" in each}
    assert href == "/dashboard/engagement?range=today&campaign=spring+sale"
    assert "Targeted 40 100.0%" in words((await bound.get(href)).text)


async def test_filters_narrow_what_is_counted(client: httpx.AsyncClient) -> None:
    for query, targeted in (
        ("", 181),
        ("campaign=spring+sale", 80),
        ("campaign=spring+sale&campaign=none", 80),
        ("campaign=none", 0),
        ("tag=vip", 40),
        ("domain=EXAMPLE.com", 80),
        (f"customer={OTHERS}", 100),
        (f"customer={OTHERS}&customer={OURS}", 181),
        ("range=yesterday", 0),
        ("range=today", 141),
        ("from=2026-11-19&to=2026-11-19", 40),
        ("from=2026-11-19T09:33&to=2026-11-19T09:35", 2),
    ):
        page = words((await client.get(f"/dashboard/engagement?{query}")).text)
        if targeted:
            assert f"Targeted {targeted} 100.0%" in page, query
        else:
            assert "Nothing in this period fits" in page, query


async def test_what_is_printed_says_what_it_is_about(client: httpx.AsyncClient) -> None:
    page = (await client.get("/dashboard/tags?range=7d&cut=human&tz=Europe/Berlin")).text
    (line,) = re.findall(r'<p class="in-print">(.*?)</p>', page)
    assert line == "20 – 26 Nov 2026 (Europe/Berlin). Without prefetching, and without what machines did."


async def test_fields_that_a_form_sends_empty_leave_the_url(client: httpx.AsyncClient) -> None:
    answer = await client.get("/dashboard/engagement?range=7d&campaign=&tag=vip&link=")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/engagement?range=7d&tag=vip")


async def test_suggestions_are_what_is_there(client: httpx.AsyncClient, bound: httpx.AsyncClient) -> None:
    assert (await client.get("/dashboard/suggestions?field=tag")).json() == [
        f"{SECRET_OF_OTHERS}-tag",
        "news",
        "vip",
        NASTY,
    ]
    assert (await bound.get("/dashboard/suggestions?field=tag")).json() == ["news", "vip", NASTY]
    assert (await bound.get("/dashboard/suggestions?field=link&cut=human")).json()[:2] == ["imprint", "offer"]


# --- files


async def test_a_file_of_every_table(bound: httpx.AsyncClient) -> None:
    for name, head in (("campaigns", "campaign"), ("tags", "tag"), ("domains", "domain"), ("customers", "customer")):
        answer = await bound.get(f"/dashboard/{name}.csv?range=7d")
        assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
        wanted = f'attachment; filename="{name}-2026-11-20-to-2026-11-26.csv"'
        assert answer.headers["content-disposition"] == wanted
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert {row[head]: row["targeted"] for row in rows if row[head] in ("spring sale", "vip", "example.com", OURS)}
        assert int(rows[0]["targeted"]) >= int(rows[-1]["targeted"])
    answer = await bound.get("/dashboard/links.csv?link=offer")
    (row,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert row == {
        "link_name": "offer",
        "link_url": "https://shop.example/offer",
        "unique_clicks": "10",
        "clicks": "10",
        "share_of_clicks": "1.0",
    }


async def test_no_cell_of_a_file_is_a_formula(bound: httpx.AsyncClient) -> None:
    for name in ("campaigns", "tags", "domains", "links"):
        text = (await bound.get(f"/dashboard/{name}.csv")).text.removeprefix("\ufeff")
        for row in csv.reader(io.StringIO(text)):
            assert not any(re.match(r"[=+\-@\t\r]", cell) for cell in row)
    # NASTY begins with a quotation mark, which is no formula, and comes back as it is.
    assert NASTY in [row[0] for row in csv.reader(io.StringIO((await bound.get("/dashboard/tags.csv")).text))]


# --- what they never do


@pytest.mark.parametrize("path", GETS)
async def test_no_page_shows_anything_of_another_customer(bound: httpx.AsyncClient, path: str) -> None:
    """Whatever is asked for, also by name."""
    attempts = ("", f"customer={OTHERS}", "range=12m", "cut=human", "range=today", "sort=name", "page=2")
    for attempt in attempts:
        answer = await bound.get(at(path, attempt))
        if answer.status_code == 400 and "There is no parameter" in answer.text:
            continue
        assert answer.status_code in (200, 400), (path, attempt)
        text = answer.text.replace(f'value="{OTHERS}"', "")
        assert SECRET_OF_OTHERS not in text, (path, attempt)
    named = urlencode({"campaign": f"{SECRET_OF_OTHERS}-campaign", "customer": OTHERS})
    shown = words((await bound.get(at(path, named))).text)
    assert "100 " not in shown.replace("100.0%", "")


async def test_when_others_last_had_an_event_is_not_told(client: httpx.AsyncClient, bound: httpx.AsyncClient) -> None:
    assert "the last one" in words((await client.get("/dashboard")).text)
    assert "the last one" not in words((await bound.get("/dashboard")).text)


async def test_the_page_of_customers_is_for_those_who_see_several(
    client: httpx.AsyncClient, bound: httpx.AsyncClient
) -> None:
    assert "/dashboard/customers" in (await client.get("/dashboard")).text
    assert "/dashboard/customers" not in (await bound.get("/dashboard")).text
    page = words((await bound.get("/dashboard/customers")).text)
    assert OTHERS not in page


@pytest.mark.parametrize("path", GETS)
async def test_stored_markup_is_text(bound: httpx.AsyncClient, path: str) -> None:
    answer = await bound.get(at(path))
    assert answer.status_code == 200
    if "html" in answer.headers["content-type"]:
        assert "<script>" not in answer.text
        assert "{{7*7}}" in answer.text or NASTY not in unescape(answer.text)
        assert not re.search(r"\s(?:href|src|action)=\"(?!/|#|\?)", answer.text)
    assert "49}" not in answer.text


@pytest.mark.parametrize("path", GETS)
async def test_every_parameter_is_escaped_or_refused(client: httpx.AsyncClient, path: str) -> None:
    parameters = ("range", "from", "to", "tz", "cut", "campaign", "domain", "tag", "customer", "link", "sort", "order")
    for name in (*parameters, "page", "heat", "unknown", NASTY):
        answer = await client.get(at(path, f"{quote(name)}={quote(NASTY)}"))
        assert answer.status_code in (200, 400), (path, name)
        if "html" in answer.headers["content-type"]:  # files and lists have it as it is, and browsers show them as such
            assert "<script>" not in answer.text, (path, name)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("range=forever", "parameter 'range' cannot be 'forever'"),
        ("campain=x", "there is no parameter 'campain'; did you mean 'campaign'?"),
        ("from=2026-11-26&to=2026-11-01", "parameter 'from' must be before 'to'"),
        ("from=1970-01-01&to=2026-11-26", "may be 3660 days apart at most"),
        ("from=2026-13-01", "parameter 'from' cannot be '2026-13-01'"),
        ("from=2026-11-01&range=7d", "parameter 'range' cannot stand beside 'from' and 'to'"),
        ("tz=Mars/Base", "parameter 'tz' cannot be 'Mars/Base'"),
        ("tz=../../etc/passwd", "parameter 'tz' cannot be"),
        ("cut=some", "parameter 'cut' cannot be 'some'"),
        ("page=0", "parameter 'page' cannot be '0'"),
        ("page=99999999999999999999", "parameter 'page' cannot be"),
        ("sort=subject", "parameter 'sort' cannot be 'subject'"),
        ("campaign=%00", "parameter 'campaign' cannot be"),
        ("campaign=%ff", "the query of the URL is not UTF-8"),
        ("&".join(f"campaign={number}" for number in range(21)), "Campaign: at most 20 values at once"),
        ("&".join(f"campaign={number}" for number in range(101)), "more than 100 parameters"),
        ("range=7d&range=30d", "parameter 'range' is given 2 times"),
    ],
)
async def test_what_cannot_be_read_is_said(client: httpx.AsyncClient, query: str, said: str) -> None:
    answer = await client.get(f"/dashboard/campaigns?{query}")
    assert answer.status_code == 400
    assert said in words(answer.text)
    assert 'href="/dashboard/campaigns"' in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_times_at_the_ends_of_the_calendar_fail_in_nothing(client: httpx.AsyncClient) -> None:
    for query in ("from=1970-01-01&to=1970-01-02", "from=9998-12-30&to=9998-12-31", "to=9998-12-31", "to=1970-01-01"):
        for zone in ("UTC", "Pacific/Kiritimati", "America/Adak"):
            for path in ("/dashboard", "/dashboard/engagement", "/dashboard/campaigns"):
                answer = await client.get(f"{path}?{query}&tz={zone}")
                assert answer.status_code in (200, 400), (query, zone, path)


async def test_errors_are_pages_with_what_to_do(served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.get("/dashboard/nothing/<b>")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    answer = await client.post("/dashboard/campaigns")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "text/html" in answer.headers["content-type"]
    assert (await client.get("/api/v1/nothing")).headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/login", "/dashboard/nothing", "/dashboard?range=x"])
async def test_every_page_has_the_headers_that_keep_others_out(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


async def test_without_events_a_newcomer_is_told_what_to_do(served: Served, tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await store.open()
    empty = Served(replace(served.parts, store=store), DashboardSettings(), served.log)
    async with logged_in(empty, empty.key(name="new")) as client:
        page = words((await client.get("/dashboard")).text)
        assert "No event has come yet" in page
        assert "swaks --server" in page
        for name in ("engagement", *REPORTS):
            page = (await client.get(f"/dashboard/{name}?campaign=x")).text
            assert "Nothing in this period fits" in page
            assert 'href="/dashboard/' + name in page
    store.close()


async def test_without_a_store_the_setting_is_named(served: Served) -> None:
    without = Served(replace(served.parts, store=None), DashboardSettings(), served.log)
    async with logged_in(without, without.key(name="none")) as client:
        for path in sorted({*GETS} - {*WITHOUT_STORE}):
            answer = await client.get(at(path))
            assert answer.status_code == 503
            assert "set `enabled = true` in the section [store]" in words(answer.text)


async def test_a_store_that_cannot_be_used_is_said_and_logged(served: Served, tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "closed", LIMITS, search_timeout=30)
    await store.open()
    store.close()
    closed = Served(replace(served.parts, store=store), DashboardSettings(), served.log)
    async with logged_in(closed, closed.key(name="closed")) as client:
        answer = await client.get("/dashboard?range=7d&campaign=%22%3E%3Cb%3E")
        assert answer.status_code == 503
        assert "mailwake store status" in words(answer.text)
        assert 'href="/dashboard?range=7d&amp;campaign=%22%3E%3Cb%3E"' in answer.text
        assert answer.headers["retry-after"] == "10"
    assert any(each["event"] == "the API cannot answer" for each in served.log.entries)


async def test_a_store_that_is_behind_says_so(served: Served, client: httpx.AsyncClient) -> None:
    assert "behind" not in words((await client.get("/dashboard")).text)
    served.parts.metrics.counter("store_behind_seconds").value = 7300.0
    assert "The store is 2 hours behind" in words((await client.get("/dashboard")).text)
    served.parts.metrics.counter("store_behind_seconds").value = 0.0


async def test_the_parts_of_a_long_table(served: Served, tmp_path: Path) -> None:
    like = next(each for each in mail() if each.campaign_id == "spring sale")
    store = DuckDbStore(tmp_path / "long", LIMITS, search_timeout=30)
    await store.open()
    many = [
        msgspec.structs.replace(like, event_id=number, transmission_id=number, campaign_id=f"c{number:03}")
        for number in range(1, 61)
    ]
    await store.load(many, Position(1, 1))
    long = Served(replace(served.parts, store=store), DashboardSettings(), served.log)
    async with logged_in(long, long.key(name="long")) as client:
        page = await client.get("/dashboard/campaigns?sort=name")
        assert "1–25 of 60" in words(page.text)
        assert "c025" in page.text
        assert "c026" not in page.text
        (href,) = re.findall(r'rel="next" href="([^"]+)"', page.text)
        second = await client.get(unescape(href))
        assert "26–50 of 60" in words(second.text)
        third = await client.get("/dashboard/campaigns?sort=name&page=3")
        assert "51–60 of 60" in words(third.text)
        assert 'rel="next"' not in third.text
        assert "There is no part 4" in words((await client.get("/dashboard/campaigns?sort=name&page=4")).text)
        narrowed = re.findall(r'href="(/dashboard/campaigns\?[^"]*range=7d[^"]*)"', second.text)
        assert narrowed
        assert all("page=" not in each and "sort=name" in each for each in narrowed)
        rows = list(csv.reader(io.StringIO((await client.get("/dashboard/campaigns.csv?page=2")).text)))
        assert len(rows) == 61  # a file has all parts
    store.close()


async def test_one_viewers_slow_pages_leave_room_for_others(served: Served) -> None:
    begun, enough = asyncio.Semaphore(0), asyncio.Event()

    async def answer(visit: Visit) -> Response:
        begun.release()
        await enough.wait()
        return PlainTextResponse("at last")

    pages = (Page(path="/dashboard/slow", answer=answer),)
    site = Served(served.parts, served.settings, served.log, pages)
    most = HttpLimits().requests_of_one
    async with logged_in(site, site.key(name="ann")) as ann, logged_in(site, site.key(name="bob")) as bob:
        slow = [asyncio.create_task(ann.get("/dashboard/slow")) for _ in range(most)]
        for _ in range(most):
            await begun.acquire()
        refused = await ann.get("/dashboard/slow")
        assert refused.status_code == 429
        assert f"{most} requests of yours are in hand" in refused.text
        others = asyncio.create_task(bob.get("/dashboard/slow"))
        await begun.acquire()
        enough.set()
        assert [each.text for each in await asyncio.gather(*slow, others)] == ["at last"] * (most + 1)
        assert (await ann.get("/dashboard/slow")).text == "at last"


async def test_the_loop_is_free_while_a_page_is_written(served: Served) -> None:
    threads = []

    class Value:
        def __str__(self) -> str:
            threads.append(threading.current_thread())
            return "a value"

    async def answer(visit: Visit) -> Response:
        return await visit.render("link_page.html", pasted=Value(), said=None, trouble="", longest=1)

    site = Served(served.parts, served.settings, served.log, (Page(path="/dashboard/written", answer=answer),))
    async with logged_in(site, site.key(name="reader")) as reader:
        assert "a value" in (await reader.get("/dashboard/written")).text
    assert threads
    assert threading.main_thread() not in threads
