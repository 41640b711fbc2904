"""Pictures of every page of the dashboard, in headless Chromium: light, dark, and at the width of a phone.

    make screenshots                                  # into screenshots/
    python tools/screenshots.py DIR [--events 300000] [--data DIR] [--page /dashboard/engagement …] [--look light …]

A demo of its own is filled and served for it, on ports that the system chooses; all of it ends after ten minutes at
most. Pages about something (a message, a person) are found by following links. Needs playwright, and a Chromium:
Debian's, or the one that MAILWAKE_CHROMIUM names.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwake.cli.demo_data import DemoData
from mailwake.cli.demo_service import DemoService
from mailwake.cli.log_in_link import log_in_link
from mailwake.dashboard.live_page import STREAM
from mailwake.dashboard.page_table import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}
CHROMIUM = os.environ.get("MAILWAKE_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
MOST_SECONDS = 600
DRAWING_MS = 400
_ANY = "127.0.0.1:0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where the pictures go")
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--data", type=Path, help="a demo's data directory, to be made or used again")
    parser.add_argument("--page", nargs="+", help="these pages alone, with their queries")
    parser.add_argument("--look", nargs="+", choices=LOOKS, default=[*LOOKS])
    parser.add_argument("--height", type=int, default=4_000, help="what is lower on a page is cut off")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("no Chromium: install Debian's chromium, or name one in MAILWAKE_CHROMIUM")
    signal.alarm(MOST_SECONDS)
    arguments.directory.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="mailwake-screenshots-"))
    try:
        data = DemoData((arguments.data or temporary / "data").absolute())
        data.make(arguments.events, 30, 7)
        service = DemoService(_ANY, _ANY, _ANY, _ANY, say=lambda line: None)
        with data.key() as key, service.running(data.path) as url:
            take_all(url, key, arguments.directory, arguments.look, arguments.page, arguments.height)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def take_all(
    url: str, key: str, directory: Path, looks: Sequence[str], pages: Sequence[str] | None, height: int
) -> None:
    """Take a picture of each page in each look."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for look in looks:
            context = browser.new_context(base_url=url, reduced_motion="reduce", timezone_id="UTC", **LOOKS[look])
            page = context.new_page()
            with log_in_link(url, key) as link:
                page.goto(link)
            pages = pages or [*_found(page)]
            for path in pages:
                _take(page, path, directory / f"{_name(path)}-{look}.png", height)
            context.close()
        browser.close()


def _take(page: Any, path: str, file: Path, most: int) -> None:
    page.goto(path, wait_until="load")  # not until the network rests: the live tail's never does
    # As high as it is: what keeps to the edge of a window is then at the edge of the picture.
    height = page.evaluate("document.documentElement.scrollHeight")
    usual = page.viewport_size
    page.set_viewport_size({"width": usual["width"], "height": min(height, most)})
    page.wait_for_timeout(DRAWING_MS)
    page.screenshot(path=file)
    page.set_viewport_size(usual)
    print(f"{file}  {file.stat().st_size // 1024} KB", flush=True)


def _found(page: Any) -> Iterator[str]:
    """The pages of the navigation, and one of each kind that is about something, to which links of others lead."""
    there = [each for each in PAGES if each.method == "GET"]
    looking_for = {
        each.path: _pattern(each.path)
        for each in there
        if not each.nav and not each.path.endswith(".csv") and each.path != STREAM
    }
    waiting = [each.path for each in there if each.nav]
    seen = set(waiting)
    while waiting:
        path = waiting.pop(0)
        yield path
        page.goto(path, wait_until="load")
        links = page.eval_on_selector_all("a[href]", "all => all.map(each => each.getAttribute('href'))")
        for kind, pattern in [*looking_for.items()]:
            found = next((link for link in links if pattern.fullmatch(link.partition("?")[0])), None)
            if found is not None and found not in seen:
                del looking_for[kind]
                seen.add(found)
                waiting.append(found)
    for kind in looking_for:
        print(f"no link leads to {kind}: no picture of it", file=sys.stderr)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", path)))


def _name(path: str) -> str:
    """The kind of page, for the file's name."""
    kind = next((each.path for each in PAGES if _pattern(each.path).fullmatch(path.partition("?")[0])), path)
    words = re.sub(r"\{[^}]*\}", "one", kind.removeprefix("/dashboard")).strip("/").replace("/", "-")
    return words or "overview"


if __name__ == "__main__":
    main()
