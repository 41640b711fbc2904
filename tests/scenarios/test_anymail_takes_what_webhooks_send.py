"""A consumer written for SparkPost, django-anymail in a real Django site, takes mailwake's batches as they are.

The whole way: SMTP in, the tracker's answers, the journal, the feed, the collector's POST, anymail's signals.
"""

from __future__ import annotations

import email
import email.policy
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import anymail_site
from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario

MESSAGE = b"""\
From: Shop <news@shop.example>
To: Ann.Example@a.example
Subject: spring
X-MSYS-API: {"campaign_id": "spring", "metadata": {"order": "4711"}, "tags": ["news"], "options": \
{"open_tracking": true, "click_tracking": true, "initial_open": true}}
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><body><a href="https://shop.example/new?a=1&amp;b=2" data-msys-linkname="new">new</a>
<a href="https://shop.example/leave" data-msys-unsubscribe="1">leave</a></body></html>
""".replace(b"\n", b"\r\n")


class Site:
    """The Django site in a process of its own, and what it was signalled."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(anymail_site.__file__))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.signals: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.signals.append(json.loads(line))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.stop()


def configuration(directory: Path, site: Site, password: str) -> Path:
    file = directory / "mailwake.toml"
    file.write_text(
        f"""
        [webhook_delivery]
        allow_http = true
        allow_private_targets = ["127.0.0.1"]
        batch_seconds = 0.1

        [webhooks.anymail]
        target = "http://127.0.0.1:{site.port}{anymail_site.URL}"
        username = "mailwake"
        password = "{password}"
        """
    )
    return file


def paths(content: bytes) -> dict[str, str]:
    """The paths of the links by their text, and those of the images as `open` and `initial`."""
    html = email.message_from_bytes(content, policy=email.policy.default).get_content()
    found = {text: "/" + url.split("/", 3)[3] for url, text in anchors(html)}
    for name, part in (("open", "/q/"), ("initial", "/o/")):
        (url,) = (each for each in html.split('"') if part in each)
        found[name] = part + url.partition(part)[2]
    return found


def anchors(html: str) -> list[tuple[str, str]]:
    return [(piece.split('"')[1], piece.partition(">")[2].partition("<")[0]) for piece in html.split("<a ")[1:]]


def test_every_event_arrives_as_the_signal_that_it_is(
    start_mailwake: Callable[..., Mailwake], tmp_path: Path, site: Site
) -> None:
    file = configuration(tmp_path, site, "correct horse")
    service = start_mailwake("--demo", "--workers", "1", "--config", str(file))
    assert service.send("news@shop.example", ["Ann.Example@a.example"], MESSAGE) == {}
    (copy,) = (service.data / "maildir" / "new").iterdir()
    links = paths(copy.read_bytes())
    status, headers, _ = service.get(links["new"])
    assert (status, headers["location"]) == (302, "https://shop.example/new?a=1&b=2")
    for name in ("leave", "open", "initial"):
        assert service.get(links[name])[0] in (200, 302)

    wait_until(lambda: len(site.signals) >= 6, "all events were signalled")
    found = {next(iter(each["esp_event"]["msys"].values()))["type"]: each for each in site.signals}
    assert Counter(each["event_type"] for each in site.signals) == {
        "queued": 1,
        "delivered": 1,
        "clicked": 1,
        "opened": 1,
        "unsubscribed": 1,
        "unknown": 1,  # anymail's word for initial_open unless SPARKPOST_TRACK_INITIAL_OPEN_AS_OPENED is set
    }
    events = {each["event_id"]: each for each in service.events()}
    assert len({each["event_id"] for each in site.signals}) == 6
    for each in site.signals:
        ours = events[each["event_id"]]
        assert each["esp_name"] == "SparkPost"
        assert each["recipient"] == "Ann.Example@a.example"
        assert each["message_id"] == ours["transmission_id"]
        assert each["metadata"] == {"order": "4711"}
        assert each["tags"] == ["spring"]  # anymail's tag is the campaign
        assert each["timestamp"].startswith("20")
        assert each["reject_reason"] is None
        (carried,) = each["esp_event"]["msys"].values()
        assert carried["rcpt_tags"] == ["news"]
    assert found["click"]["click_url"] == "https://shop.example/new?a=1&b=2"
    assert found["delivery"]["mta_response"]
    assert service.stop() == 0


def test_without_the_right_password_it_takes_nothing_and_mailwake_says_so(
    start_mailwake: Callable[..., Mailwake], tmp_path: Path, site: Site
) -> None:
    file = configuration(tmp_path, site, "wrong")
    service = start_mailwake("--demo", "--workers", "1", "--config", str(file))
    command = [sys.executable, "-m", "mailwake", "webhooks", "test", "anymail"]
    command += ["--config", str(file), "--data", str(service.data)]

    def said() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return "" if "no webhook" in done.stderr else done.stderr  # it is not there yet

    assert wait_until(said, "the collector has its webhooks") == (
        'mailwake: POST to webhook target URL failed: it answered 400; it must answer 200 to [{"msys":{}}]\n'
    )
    assert site.signals == []
