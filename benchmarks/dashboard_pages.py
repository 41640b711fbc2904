"""Every page of the dashboard of a real service over HTTP: how long each takes, and what the collector has used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
from benchmarks.machine import children, peak_megabytes
from benchmarks.made_events import DAY

from mailwake.cli.demo_service import DemoService
from mailwake.cli.log_in_link import log_in
from mailwake.clock import SystemClock, iso_time
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.dashboard.live_page import STREAM
from mailwake.dashboard.page_table import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.report_questions import Known

    from mailwake.service.data_directory import DataDirectory

ASKED = 10
_ANY = "127.0.0.1:0"
_KEY = "benchmark"


def measure_pages(
    directory: DataDirectory, known: Known, judge: Callable[[str, Sequence[float]], None]
) -> tuple[float, list[str]]:
    """Have each page judged by the milliseconds it takes, over 30 days, and over one for those that begin with a day.

    The collector's peak of memory in MB, and what pages were left out: as nothing is known to ask them for, or as they
    were answered with an error.
    """
    keys = ApiKeys(directory.api_keys, SystemClock())
    keys.revoke(_KEY)
    key = keys.create(_KEY, [Scope.ADMIN])
    left_out = []
    service = DemoService(_ANY, _ANY, _ANY, _ANY, say=lambda line: None)
    with service.running(directory.path) as url:
        cookies = dict(each.partition(";")[0].split("=", 1) for each in log_in(url, key))
        with httpx.Client(base_url=url, cookies=cookies, timeout=300, trust_env=False) as browser:
            for name, path in _paths(known):
                if "{" in path:
                    left_out.append(path)
                    continue
                try:
                    judge(name, [_milliseconds(browser, path) for _ in range(ASKED)])
                except httpx.HTTPError as error:
                    left_out.append(f"{name}: {error}")
        memory = max(peak_megabytes(pid) for pid in children(service.pid))
    keys.revoke(_KEY)
    return memory, left_out


def _milliseconds(browser: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    browser.get(path).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _paths(known: Known) -> Iterator[tuple[str, str]]:
    """What each page that shows something is called, and its path; with braces in it where something is not known."""
    values = {"recipient": known.recipients[0], "message": known.messages[0], "campaign": known.campaign}
    wanted = {"address": known.recipients[0]}
    for page in PAGES:
        if page.method != "GET" or page.path == STREAM or page.path.endswith(".csv"):
            continue  # a file takes as long as it is large, the live tail as long as somebody looks
        path = page.path
        for name, value in values.items():
            for placeholder in (f"{{{name}}}", f"{{{name}_id}}", f"{{{name}:path}}"):
                path = path.replace(placeholder, value)
        days = 1 if page.usual_range == "today" else 30
        begins = iso_time(known.newest / 1000 - days * DAY / 1000)
        ends = iso_time(known.newest / 1000 + 1)
        query = {"from": begins, "to": ends}
        for each in page.query:
            if each.required:
                query[each.name] = wanted.get(each.name, "{}")
        yield f"{page.path}, {days} day{'s' if days > 1 else ''}", f"{path}?{urlencode(query, safe='{}')}"
