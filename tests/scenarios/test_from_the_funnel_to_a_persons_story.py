"""Somebody tries the demo in a browser: from the funnel's last number to the one person behind it, click by click."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.rewrite.test_in_a_browser import ARGUMENTS, CHROMIUM

from mailwake.cli.demo_data import DemoData
from mailwake.cli.demo_service import DemoService
from mailwake.cli.log_in_link import log_in_link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANY = "127.0.0.1:0"
REASON = "CHROMIUM IS ABSENT: nobody clicks through the dashboard; install {} or set MAILWAKE_CHROMIUM"


@pytest.fixture
def data(tmp_path: Path) -> DemoData:
    # Before the browser: its library keeps an event loop running.
    data = DemoData(tmp_path / "data")
    data.make(2_000, 3, 7)
    return data


@pytest.fixture
def page(data: DemoData) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip(REASON.format("Debian's chromium"))
    sync_api: Any = pytest.importorskip("playwright.sync_api", reason=REASON.format("playwright from PyPI"))
    with sync_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = program.new_page()
        page.complaints = []
        page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        program.close()


def number(text: str) -> int:
    """The number in a text; digits are grouped by narrow spaces."""
    found = re.search(r"\d[\d\s]*", text)
    assert found, text
    return int(re.sub(r"\s", "", found[0]))


def test_from_the_funnel_to_a_persons_story(data: DemoData, page: Any) -> None:
    with data.key() as key, DemoService(ANY, ANY, ANY, ANY).running(data.path) as url:
        with log_in_link(url, key) as link:
            page.goto(link)
        assert page.url == f"{url}/dashboard"
        page.click("nav >> text=Engagement")
        page.click("text=People only")
        clicks = page.locator("ol.funnel li", has_text="Unique clicks").locator(".step-count a")
        clicked_messages = number(clicks.inner_text())
        assert clicked_messages > 10

        clicks.click()
        rows = page.locator("table.events tbody tr")
        events = number(page.inner_text("#found"))
        assert clicked_messages <= events <= 50  # all on one page
        assert rows.count() == events
        assert {each.strip() for each in rows.locator(".what").all_inner_texts()} <= {"Click", "AMP click"}
        assert {each.strip() for each in rows.locator(".judged").all_inner_texts()} == {"Person"}
        named = rows.filter(has=page.locator(".whom a"))
        address = named.first.locator(".whom a").inner_text()
        subject = named.first.locator(".mail a").inner_text()

        named.first.locator(".mail a").click()
        assert page.inner_text("h1") == subject
        story = page.inner_text("ol.story")
        assert story.index("Taken in") < story.index("Delivered to the next hop") < story.index("Link clicked")

        page.locator(f"main a:text-is('{address}')").first.click()
        assert page.inner_text("h1") == address
        assert "hashes recipients" not in page.inner_text("body")
        timeline = page.locator("ol.story > li")
        assert timeline.filter(has_text=subject).filter(has_text="Link clicked").count() >= 1
        found = httpx.get(
            f"{url}/api/v1/events/message",
            headers={"authorization": key},
            params={"recipients": address, "from": "2020-01-01T00:00"},
        )
        assert timeline.count() == found.json()["total_count"]
    assert page.complaints == []
