"""Who gets in, for how long, and what forms of others do: nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import Response
from structlog.testing import LogCapture
from tests.api.conftest import serving
from tests.dashboard.conftest import PROXY, Served, hidden, log_in, logged_in

from mailwake.api.app import limits_of, make_app
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
from mailwake.control.api_keys import Scope
from mailwake.dashboard import log_in as log_in_module
from mailwake.dashboard.own_paths import own_path
from mailwake.dashboard.pages import Page, Visit


async def _plain(visit: Visit) -> Response:
    return await visit.render("frame.html")


async def _did(visit: Visit) -> Response:
    return visit.redirect(visit.url("/dashboard"))


PLAIN = Page(path="/dashboard", answer=_plain, nav="Overview", group="Reports", icon="overview")
DOING = Page(path="/dashboard/do", answer=_did, method="POST", scope=Scope.WEBHOOKS)


@pytest.fixture
def served(parts: ApiParts, log: LogCapture) -> Served:
    """A dashboard with one page, which has the frame and nothing in it."""
    return Served(parts, DashboardSettings(), log, pages=(PLAIN,))


@pytest.fixture
def doing(served: Served) -> Served:
    """One that also has a page that does something."""
    served.pages = (PLAIN, DOING)
    served.start()
    return served


USER, CUSTOMER = "X-Forwarded-User", "X-Forwarded-Customer"
BY_PROXY = DashboardSettings(user_header=USER, customer_header=CUSTOMER)


async def test_the_root_leads_to_the_log_in_and_back_to_the_page_that_was_wanted(served: Served) -> None:
    async with served.client() as client:
        root = await client.get("/")
        assert (root.status_code, root.headers["location"]) == (303, "/dashboard")
        wanted = "/dashboard?range=7d&campaign=spring%26autumn"
        first = await client.get(wanted)
        assert first.status_code == 303
        goal = urlsplit(first.headers["location"])
        assert goal.path == "/dashboard/login"
        assert parse_qs(goal.query) == {"next": [wanted]}
        answer = await log_in(client, served.key(), wanted)
        assert (answer.status_code, answer.headers["location"]) == (303, wanted)
        assert (await client.get(wanted)).status_code == 200


async def test_a_page_with_a_very_long_url_leads_to_a_log_in_that_can_be_asked_for(served: Served) -> None:
    async with served.client() as client:
        first = await client.get("/dashboard?campaign=" + "%25" * 4000)
        assert first.headers["location"] == "/dashboard/login?next=%2Fdashboard"


PROMISE = (
    b"POST /dashboard/login HTTP/1.1\r\nHost: mail.test\r\nContent-Length: 500\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)


async def test_forms_that_never_come_hold_up_nobody(served: Served) -> None:
    limits = limits_of(served.parts)
    async with (
        serving(served.app, limits, ManualClock()) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as honest,
        AsyncExitStack() as ending,
    ):
        for _ in range(limits.requests + 1):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            ending.callback(writer.close)
            writer.write(PROMISE)
        assert (await reader.readline()).split()[1] == b"429"
        assert (await honest.get("/dashboard/login")).status_code == 200


async def test_a_form_has_its_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_in_module, "FORM_SECONDS", 0.01)
    async with serving(served.app, limits_of(served.parts), ManualClock()) as server:
        for _ in range(log_in_module.MOST_FORMS + 1):  # each leaves its place
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(PROMISE)
            assert (await reader.readline()).split()[1] == b"408"
            writer.close()


async def test_the_cookie_is_for_this_site_only_and_scripts_cannot_read_it(served: Served) -> None:
    async with served.client() as client:
        answer = await log_in(client, served.key())
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("mailwake_session=")
        assert {"HttpOnly", "Path=/", "SameSite=strict", "Max-Age=43200"} <= set(cookie.split("; "))
        assert "Secure" not in cookie


async def test_behind_tls_the_cookie_is_for_tls_only(served: Served) -> None:
    async with served.client(PROXY, "https", headers={"x-forwarded-proto": "https"}) as client:
        answer = await log_in(client, served.key())
        assert answer.headers["set-cookie"].startswith("__Host-mailwake_session=")
        assert "; Secure" in answer.headers["set-cookie"]
    async with served.client("198.51.100.1", headers={"x-forwarded-proto": "https"}) as stranger:
        answer = await stranger.get("/dashboard/login")
        assert "Secure" not in answer.headers["set-cookie"]


async def test_a_wrong_key_is_told_and_too_many_are_slowed_down_but_a_right_one_is_not(
    parts: ApiParts, served: Served
) -> None:
    served.parts = replace(served.parts, settings=replace(parts.settings, max_auth_failures_per_address=2))
    served.start()
    key = served.key()
    async with served.client() as client:
        answers = [await log_in(client, wrong) for wrong in ("", "mwk_wrong", "<b>", "ü" * 150)]
        assert [each.status_code for each in answers] == [401, 401, 429, 429]
        assert "not known, is revoked, or has expired" in answers[0].text
        assert "Too many wrong keys" in answers[2].text
        assert not client.cookies.get("mailwake_session")
        assert (await log_in(client, f"  {key}\n")).status_code == 303
        assert key not in str(served.log.entries)


async def test_a_session_ends_with_its_key_its_time_and_the_log_out(served: Served, clock: ManualClock) -> None:
    key = served.key(name="ann")
    async with logged_in(served, key) as client:
        assert (await client.get("/dashboard")).status_code == 200
        assert served.parts.keys.revoke("ann")
        assert (await client.get("/dashboard")).status_code == 303
        served.key(name="ann")  # another key of the same name is another key
        assert (await client.get("/dashboard")).status_code == 303
    async with logged_in(served, served.key(name="eve", expires=int(clock.now()) + 100)) as client:
        assert (await client.get("/dashboard")).status_code == 200
        clock.advance(101)
        assert (await client.get("/dashboard")).status_code == 303
    async with logged_in(served, served.key(name="bob")) as client:
        clock.advance(12 * 3600 - 1)
        page = await client.get("/dashboard")
        assert page.status_code == 200
        answer = await client.post("/dashboard/logout", data=hidden(page.text))
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/login")
        assert (await client.get("/dashboard")).status_code == 303
    async with logged_in(served, served.key(name="joe")) as client:
        clock.advance(12 * 3600 + 1)
        assert (await client.get("/dashboard")).status_code == 303


async def test_a_session_outlives_a_restart_and_no_other_secret(served: Served) -> None:
    async with logged_in(served, served.key()) as client:
        cookies = dict(client.cookies)
    served.start()
    async with served.client(cookies=cookies) as client:
        assert (await client.get("/dashboard")).status_code == 200
    served.secret = bytes(32)
    served.start()
    async with served.client(cookies=cookies) as client:
        assert (await client.get("/dashboard")).status_code == 303


async def test_nothing_but_a_sealed_cookie_is_a_session(served: Served) -> None:
    key = served.key()
    async with logged_in(served, key) as client:
        sealed = client.cookies["mailwake_session"]
    changed = sealed[:10] + ("A" if sealed[10] != "A" else "B") + sealed[11:]
    for forged in ("", key, changed, sealed[:-5], "A" * 5000, "é", "%00"):
        async with served.client(headers={"cookie": f"mailwake_session={forged}".encode()}) as client:
            assert (await client.get("/dashboard")).status_code == 303, forged
    assert key not in sealed


async def test_a_form_of_ours_does_what_it_says_and_no_other_does(doing: Served) -> None:
    async with logged_in(doing, doing.key(Scope.WEBHOOKS, Scope.READ)) as client:
        form = hidden((await client.get("/dashboard")).text)
        assert (await client.post("/dashboard/do", data=form)).status_code == 303
        assert (await client.post("/dashboard/do", data={"a": ""})).status_code == 403
        assert (await client.post("/dashboard/do", data={"form_token": "x"})).status_code == 403
        assert (await client.post("/dashboard/do", data={"form_token": "é"})).status_code == 403
        for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil"}):
            answer = await client.post("/dashboard/do", data=form, headers=headers)
            assert answer.status_code == 403, headers
            assert "form was not sent from a page" in answer.text
            assert "This was not done" in answer.text
        for headers in ({"sec-fetch-site": "same-origin"}, {"origin": "http://mail.test"}):
            assert (await client.post("/dashboard/do", data=form, headers=headers)).status_code == 303
        client.cookies.delete("mailwake_form")
        assert (await client.post("/dashboard/do", data=form)).status_code == 403


async def test_the_form_of_one_viewer_is_not_anothers(doing: Served) -> None:
    async with logged_in(doing, doing.key(Scope.ADMIN, name="ann")) as ann:
        form = hidden((await ann.get("/dashboard")).text)
    async with logged_in(doing, doing.key(Scope.ADMIN, name="eve")) as eve:
        assert (await eve.post("/dashboard/do", data=form)).status_code == 403
        eve.cookies.set("mailwake_form", ann.cookies["mailwake_form"])
        assert (await eve.post("/dashboard/do", data=form)).status_code == 403


@pytest.mark.parametrize("path", ["/dashboard/login", "/dashboard/logout", "/dashboard/theme"])
async def test_every_form_has_a_token(served: Served, path: str) -> None:
    async with logged_in(served, served.key()) as client:
        for data in ({"a": ""}, {"form_token": "x", "theme": "dark", "key": served.key(name="more")}):
            answer = await client.post(path, data=data)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


async def test_a_form_that_is_none_or_too_large_is_refused(doing: Served) -> None:
    async with logged_in(doing, doing.key(Scope.ADMIN)) as client:
        assert (await client.post("/dashboard/do", json={})).status_code == 415
        assert (await client.post("/dashboard/do", data={"a": "x" * 70_000})).status_code == 413
        many = "&".join(f"a{number}=" for number in range(300))
        form_type = {"content-type": "application/x-www-form-urlencoded"}
        assert (await client.post("/dashboard/do", content=many, headers=form_type)).status_code == 400
        assert (await client.post("/dashboard/do", content=b"a=\xff", headers=form_type)).status_code == 400


async def test_a_scope_that_is_missing_is_named(doing: Served) -> None:
    async with logged_in(doing, doing.key(Scope.READ, name="<i>ann")) as client:
        form = hidden((await client.get("/dashboard")).text)
        answer = await client.post("/dashboard/do", data=form)
        assert answer.status_code == 403
        assert "the key &#39;&lt;i&gt;ann&#39; may read; this page needs webhooks" in answer.text
    async with doing.client() as client:
        assert (await client.post("/dashboard/do", data=form)).status_code == 401


async def test_a_link_from_another_site_finds_the_session(served: Served) -> None:
    """Browsers send no strict cookie with it; the page asks for itself again, and that is our own request."""
    path = "/dashboard?campaign=%22%3E%3Cscript%3E&range=7d"
    from_elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    async with served.client(headers=from_elsewhere) as client:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert f'content="0; url={path.replace("&", "&amp;")}"' in answer.text
        assert "set-cookie" not in answer.headers
    async with logged_in(served, served.key()) as client:
        assert "Overview" in (await client.get(path, headers={**from_elsewhere, "sec-fetch-site": "same-origin"})).text


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/dashboard/engagement?campaign=a%2Fb&range=7d", "/dashboard/engagement?campaign=a%2Fb&range=7d"),
        ("/dashboard", "/dashboard"),
        *((each, "/dashboard") for each in ("", "/", "//evil.example", "https://evil.example/dashboard", "/api/")),
        *((each, "/dashboard") for each in ("/\\evil.example", "/dashboard\\..\\", "\t//evil.example", "dashboard")),
        *((each, "/dashboard") for each in ("/dashboard//evil", "/dashboard/../api", "javascript:alert(1)")),
        *((each, "/dashboard") for each in ("/dashboardevil", "/dashboard/login", "/dashboard/logout", "http://[")),
        *((each, "/dashboard") for each in ("/dashboard\r\nx: y", "/dashboard/" + "a" * 5000, "/dashboard/static/x")),
    ],
)
async def test_the_log_in_leads_to_pages_of_ours_only(served: Served, wanted: str, path: str) -> None:
    assert own_path(wanted) == path
    async with served.client() as client:
        answer = await log_in(client, served.key(), wanted)
        assert answer.headers["location"] == path


# --- a proxy that knows who it is


async def test_who_has_logged_in_at_a_trusted_proxy_is_in(served: Served) -> None:
    served.settings = BY_PROXY
    served.start()
    async with served.client(PROXY, headers={USER: "ann@example.com", CUSTOMER: "*"}) as client:
        page = await client.get("/dashboard")
        assert page.status_code == 200
        assert "ann@example.com" in page.text
        assert "all customers" in page.text
        assert "Log out" not in page.text
    async with served.client(PROXY, headers={USER: "eve", CUSTOMER: "42"}) as client:
        assert "customer 42" in (await client.get("/dashboard")).text


async def test_the_header_of_anybody_else_is_ignored(served: Served) -> None:
    headers = {USER: "ann", CUSTOMER: "*", "x-forwarded-for": PROXY, "forwarded": f"for={PROXY}"}
    for settings in (BY_PROXY, DashboardSettings(user_header=USER)):
        served.settings = settings
        served.start()
        for peer in ("198.51.100.1", "127.0.0.1", "192.0.2.8", "::1"):
            async with served.client(peer, headers=headers) as client:
                assert (await client.get("/dashboard")).status_code == 303
    served.settings = DashboardSettings()  # nor is a proxy's where it is not asked for
    served.start()
    async with served.client(PROXY, headers=headers) as client:
        assert (await client.get("/dashboard")).status_code == 303


@pytest.mark.parametrize(
    "headers", [[], [(CUSTOMER, "")], [(CUSTOMER, "42"), (CUSTOMER, "*")], [(CUSTOMER, "x" * 300)]]
)
async def test_without_one_clear_customer_nobody_is_in(served: Served, headers: list[tuple[str, str]]) -> None:
    served.settings = BY_PROXY
    served.start()
    async with served.client(PROXY, headers=[(USER, "ann"), *headers]) as client:
        assert (await client.get("/dashboard")).status_code == 403


async def test_two_names_are_nobodys(served: Served) -> None:
    served.settings = DashboardSettings(user_header=USER)
    served.start()
    async with served.client(PROXY, headers=[(USER, "ann"), (USER, "eve")]) as client:
        assert (await client.get("/dashboard")).status_code == 403
    async with served.client(PROXY) as client:
        assert (await client.get("/dashboard")).status_code == 303  # no name: a key can still be used


async def test_a_user_may_what_the_settings_say(doing: Served) -> None:
    for scopes, status in ((("read",), 403), (("read", "webhooks"), 303)):
        doing.settings = DashboardSettings(user_header=USER, user_scopes=scopes)
        doing.start()
        async with doing.client(PROXY, headers={USER: "ann"}) as client:
            form = hidden((await client.get("/dashboard")).text)
            assert (await client.post("/dashboard/do", data=form)).status_code == status


async def test_a_disabled_dashboard_is_not_there(parts: ApiParts) -> None:
    transport = httpx.ASGITransport(make_app(parts), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://mail.test") as client:
        for path in ("/", "/dashboard", "/dashboard/login"):
            assert (await client.get(path)).status_code == 404
