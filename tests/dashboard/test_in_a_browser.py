"""The dashboard in Chromium: clean for axe in both themes and at the width of a phone, and what its scripts do.

One browser and one server for all of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from tests.api.conftest import serving
from tests.dashboard.conftest import Served, with_mail
from tests.dashboard.mail import NASTY
from tests.dashboard.stories import an_event
from tests.rewrite.test_in_a_browser import ARGUMENTS, CHROMIUM
from tests.webhooks.conftest import Node, Target

from mailwake.api.app import limits_of
from mailwake.clock import ManualClock
from mailwake.control.api_keys import Scope
from mailwake.dashboard.event_stream import Streams
from mailwake.dashboard.page_table import PAGES
from mailwake.events.model import EventType

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = "CHROMIUM OR AXE IS ABSENT: nobody looks at the dashboard; install {}"
HTML = [page.path for page in PAGES if page.nav]
WITH_FILTERS = "/dashboard/engagement?campaign=spring+sale&tag=news&cut=human&range=7d&tz=Europe%2FBerlin"
NOTHING = "/dashboard/campaigns?campaign=none"
LOOKED_AT = [*HTML, WITH_FILTERS, NOTHING, "/dashboard/login?", "/dashboard/campaigns?range=forever"]
"""And the page of a webhook, once there is one."""
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


class Browser:
    """A program, and contexts of it that have logged in."""

    def __init__(self, program: Any, axe: Any, url: str, key: str) -> None:
        self.program, self.axe, self.url, self.key = program, axe, url, key

    async def page(self, **options: Any) -> Any:
        """A page of somebody who has logged in; what its console complains of is in `complaints`."""
        context = await self.program.new_context(base_url=self.url, viewport=DESK, **options)
        page = await context.new_page()
        page.complaints = []
        page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        await page.goto("/dashboard/login")
        await page.fill("#key", self.key)
        await page.click("text=Log in >> nth=-1")
        assert page.url == f"{self.url}/dashboard"
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    node, target = Node(tmp_path_factory.mktemp("node")), Target()
    node.start()
    await target.start()
    async with with_mail(tmp_path_factory.mktemp("dashboard")) as served:
        served.streams = Streams(asyncio.Event())
        served.parts = replace(served.parts, webhooks=node.webhooks.subscriptions)
        served.start()
        hook = await node.create(target, name="crm")
        node.append(range(3))
        await node.until_delivered(hook, target, 1)
        LOOKED_AT.append(f"/dashboard/webhooks/{hook}")
        yield served
    await target.stop()
    await node.stop()
    node.writer.close()
    node.positions.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(served: Served) -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(REASON.format("Debian's chromium"))
    api: Any = pytest.importorskip("playwright.async_api", reason=REASON.format("playwright from PyPI"))
    axe: Any = pytest.importorskip("axe_playwright_python.async_playwright", reason=REASON.format("it from PyPI"))
    async with (
        serving(served.app, limits_of(served.parts), ManualClock()) as server,
        api.async_playwright() as playwright,
    ):
        program = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield Browser(program, axe.Axe(), server.url, served.key(Scope.ADMIN))
        await program.close()


async def violations(browser: Browser, page: Any, *rules: str) -> list[str]:
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = await browser.axe.run(page, options=options)
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


@pytest.fixture(scope="module")
def narrow() -> str:
    """Whether the page, and not only a table in it, is wider than the window."""
    return "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


async def test_axe_finds_nothing_on_any_page(browser: Browser, narrow: str) -> None:
    wrong = {}
    page = await browser.page(color_scheme="light", reduced_motion="reduce")
    for path in LOOKED_AT:
        if path == "/dashboard/login?":
            await page.context.clear_cookies()
        await page.set_viewport_size(DESK)
        await page.emulate_media(color_scheme="light")
        answer = await page.goto(path)
        assert answer.status == (400 if path.endswith("forever") else 200), path
        faults = [f"light: {each}" for each in await violations(browser, page)]
        await page.emulate_media(color_scheme="dark")
        faults += [f"dark: {each}" for each in await violations(browser, page, "color-contrast")]
        await page.set_viewport_size(PHONE)
        faults += [f"phone: {each}" for each in await violations(browser, page)]
        if await page.evaluate(narrow):
            faults.append("wider than a phone")
        if faults:
            wrong[path] = faults
        if path == "/dashboard/login?":
            await page.fill("#key", browser.key)
            await page.click("text=Log in >> nth=-1")
    assert wrong == {}
    # The policy for contents forbids nothing that our pages do; the page that cannot be read is a 400.
    assert [each for each in page.complaints if "400" not in each] == []
    await page.context.close()


async def test_open_panels_are_clean_and_close(browser: Browser, narrow: str) -> None:
    page = await browser.page(reduced_motion="reduce")
    for size in (DESK, PHONE):
        await page.set_viewport_size(size)
        for place in (0, 1):
            summary = page.locator("details.pop > summary").nth(place)
            await summary.focus()
            await page.keyboard.press("Enter")
            panel = page.locator("details.pop .panel").nth(place)
            assert await panel.is_visible()
            assert await violations(browser, page) == []
            assert not await page.evaluate(narrow)
            await page.keyboard.press("Tab")
            await page.keyboard.press("Escape")
            assert not await panel.is_visible()
            assert await summary.evaluate("(each) => each === document.activeElement")
    await page.context.close()


async def test_from_the_funnel_of_a_campaign_to_what_it_shows(browser: Browser) -> None:
    """A filter is chosen from what is proposed, a curve tells its points, a table is ordered, a link narrows it all."""
    page = await browser.page()
    await page.click("nav >> text=Engagement")
    await page.click("summary:has-text('Filter')")
    async with page.expect_response(re.compile("/dashboard/suggestions")):
        await page.focus("input[name=tag]")
    await page.wait_for_selector("#suggest-tag option[value=vip]", state="attached")
    options = await page.eval_on_selector_all("#suggest-tag option", "(all) => all.map((each) => each.value)")
    assert NASTY in options
    await page.fill("input[name=tag]", "vip")
    await page.click("button:has-text('Add')")
    assert page.url.endswith("/dashboard/engagement?tag=vip")
    assert await page.inner_text(".funnel .targeted .step-count") == "40"
    await page.hover(".u-over")
    assert await page.inner_text(".legend .at") != ""
    await page.click("th >> text=Unique clicks")
    assert await page.get_attribute("th:has-text('Unique clicks')", "aria-sort") == "descending"
    await page.click("#links >> text=imprint")
    assert "link=imprint" in page.url
    assert await page.inner_text(".funnel .clicked .step-count") == "10"
    await page.click("[aria-label='Remove the filter Tag vip']")
    assert "tag=" not in page.url
    assert "link=imprint" in page.url
    assert page.complaints == []
    await page.context.close()


async def test_the_theme_is_kept(browser: Browser) -> None:
    page = await browser.page(color_scheme="light")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    await page.wait_for_load_state("networkidle")  # its scripts are there, or the form would be sent without them
    light = await page.evaluate(ground)
    async with page.expect_response(re.compile("/dashboard/theme")):
        await page.click("[aria-label='Dark']")
    await page.wait_for_load_state("networkidle")
    dark = await page.evaluate(ground)
    assert dark != light
    await page.reload()
    assert await page.evaluate(ground) == dark
    assert await page.get_attribute("[aria-label='Dark']", "aria-pressed") == "true"
    await page.context.close()


async def test_everything_but_the_curve_works_without_scripts(browser: Browser) -> None:
    page = await browser.page(java_script_enabled=False)
    await page.click("nav >> text=Engagement")
    await page.click("summary:has-text('Last 30 days')")
    await page.click("text=Last 7 days")
    assert page.url.endswith("range=7d")
    await page.click("summary:has-text('Figures by day')")
    assert await page.locator("table:has(th:has-text('Time (UTC)')) tbody tr").count() == 7
    await page.click("summary:has-text('Filter')")
    await page.fill("input[name=campaign]", "spring sale")
    await page.click("button:has-text('Add')")
    assert page.url.endswith("?range=7d&campaign=spring+sale")
    await page.click("[aria-label='Dark']")
    assert page.url.endswith("?range=7d&campaign=spring+sale")
    assert await page.get_attribute("html", "data-theme") == "dark"
    await page.click("[aria-label='Log out']")
    assert page.url.endswith("/dashboard/login")
    await page.goto("/dashboard")
    assert "/dashboard/login" in page.url
    await page.context.close()


async def test_a_link_on_another_site_opens_the_page_logged_in(browser: Browser) -> None:
    page = await browser.page()
    elsewhere = "http://elsewhere.test/"
    link = f'<a href="{browser.url}/dashboard/campaigns?tag=vip">report</a>'
    await page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    await page.goto(elsewhere)
    await page.click("a")
    await page.wait_for_url(re.compile("/dashboard/campaigns"))
    await page.wait_for_selector("h1:has-text('Campaigns')")
    assert page.url == f"{browser.url}/dashboard/campaigns?tag=vip"
    await page.context.close()


async def test_the_keyboard_skips_to_the_content(browser: Browser) -> None:
    page = await browser.page()
    await page.goto("/dashboard/campaigns")
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.querySelector('main').contains(document.activeElement)")
    await page.context.close()


async def test_the_live_tail_shows_what_comes_holds_it_and_finds_its_way_back(served: Served, browser: Browser) -> None:
    node, streams = served.node, served.streams
    assert node is not None
    assert streams is not None
    page = await browser.page()
    await page.goto("/dashboard/live?events=click")
    await page.wait_for_selector("[data-state][data-tone=live]")

    def add(*numbers: int) -> None:
        node.append(numbers, lambda number: an_event(number, subject=NASTY))

    add(5001, 5002)
    node.append([5003], lambda number: an_event(number, EventType.OPEN))
    await page.wait_for_selector("[data-event='5002']")
    assert await page.locator("[data-rows] tr").first.get_attribute("data-event") == "5002"
    assert NASTY in await page.inner_text("[data-event='5001'] .mail")

    await page.focus("[data-pause]")
    await page.keyboard.press("Enter")
    add(5004)
    await page.wait_for_selector("text=Paused, 1 new")
    assert await page.locator("[data-event='5004']").count() == 0
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-event='5004']")

    streams.stopping.set()  # the service is loaded anew
    await page.wait_for_selector("[data-state][data-tone=live]")
    streams.stopping.clear()
    add(5005)
    await page.wait_for_selector("[data-event='5005']")
    assert await page.locator("[data-event='5004']").count() == 1
    assert await page.locator("[data-event='5003']").count() == 0

    add(*range(6000, 6300))
    await page.wait_for_selector("[data-event='6299']")
    assert await page.locator("[data-rows] tr").count() <= 200
    assert await page.locator("[data-skipped]").is_visible()
    assert await violations(browser, page) == []
    assert page.complaints == []
    await page.context.close()


async def test_the_live_tail_without_scripts_says_so(browser: Browser) -> None:
    page = await browser.page(java_script_enabled=False)
    await page.goto("/dashboard/live")
    await page.click(".notice a")
    assert page.url.endswith("/dashboard/messages?range=24h")
    await page.context.close()


async def test_a_message_and_a_person_are_clean_and_one_leads_to_the_other(browser: Browser, narrow: str) -> None:
    page = await browser.page(reduced_motion="reduce")
    await page.goto("/dashboard/messages?events=click")
    await page.click("tbody .mail a >> nth=0")
    await page.wait_for_selector("h2:has-text('What happened')")
    stories = [page.url]
    await page.click(".page-title a")
    await page.wait_for_selector("h2:has-text('The person')")
    stories.append(page.url)
    for url in stories:
        await page.set_viewport_size(DESK)
        await page.emulate_media(color_scheme="light")
        await page.goto(url)
        assert await violations(browser, page) == [], url
        await page.emulate_media(color_scheme="dark")
        assert await violations(browser, page, "color-contrast") == [], url
        await page.set_viewport_size(PHONE)
        assert await violations(browser, page) == [], url
        assert not await page.evaluate(narrow), url
    assert page.complaints == []
    await page.context.close()
