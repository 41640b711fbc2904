"""Sinks of the real service: a file and standard output get what happens, also across a kill of the collector."""

from __future__ import annotations

import json
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario

MESSAGE = (
    b"From: news@sender.example\r\nTo: bob@example.org\r\nSubject: news\r\n"
    b'X-MSYS-API: {"campaign_id": "week", "options": {"click_tracking": true}}\r\n'
    b'Content-Type: text/html\r\n\r\n<a href="https://shop.example/">shop</a>\r\n'
)


def events_in(text: str) -> list[dict[str, Any]]:
    return [event for line in text.splitlines() for event in json.loads(line)["msys"].values()]


def has_clicks(path: Path, count: int) -> bool:
    return path.exists() and path.read_text().count('"type":"click"') == count


def has_lines(mailwake: Mailwake, count: int) -> bool:
    return len(mailwake.output) == count


def collector_pid(mailwake: Mailwake) -> int:
    health = json.loads(mailwake.get("/healthz", server="admin")[2])
    return int(next(facts["pid"] for name, facts in health["workers"].items() if name.startswith("collector")))


def test_a_file_and_standard_output_have_all_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    configuration = tmp_path / "mailwake.toml"
    configuration.write_text(
        f'[sinks.archive]\nkind = "json-lines"\npath = "{path}"\n[sinks.out]\nkind = "stdout"\nevents = ["click"]\n'
    )
    mailwake = Mailwake(tmp_path, "--demo", "--workers", "1", "--config", str(configuration))
    mailwake.start()
    try:
        for clicks in (1, 2):
            mailwake.send("news@sender.example", ["bob@example.org"], MESSAGE)
            copies = sorted((mailwake.data / "maildir" / "new").iterdir(), key=os.path.getmtime)
            found = re.search(r'href="https?://[^/"]+(/f/[^"]+)"', copies[-1].read_text())
            assert found
            assert mailwake.get(found[1])[0] == 302
            wait_until(partial(has_clicks, path, clicks), "the click in the file")
            wait_until(partial(has_lines, mailwake, clicks), "the click on standard output")
            os.kill(collector_pid(mailwake), signal.SIGKILL)
        types = [event["type"] for event in events_in(path.read_text())]
        assert types == ["injection", "delivery", "click"] * 2
        assert [event["campaign_id"] for event in events_in("".join(mailwake.output))] == ["week"] * 2
        wait_until(lambda: mailwake.metric("mailwake_sink_up") == 2, "both sinks are up")
    finally:
        mailwake.stop()
    assert "mailwake: data in" in mailwake.log
