"""A scanner that follows every link of a message, the hidden one too, and a person: both become events, judged."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .conftest import Mailwake, Sink, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.scenario

LINK = re.compile(rb'href="(http://[^"]*/f/[^"]*)"')
MESSAGE = (
    b"Subject: offer\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\nX-MSYS-API: "
    b'{"options": {"open_tracking": true, "click_tracking": true}}\r\n\r\n'
    b'<html><body><a href="https://shop.example/1">1</a><a href="https://shop.example/2">2</a></body></html>\r\n'
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)


OFF = '[[rule]]\nname = "{}"\nenabled = false\n'


def follow(service: Mailwake, url: str, method: str = "GET") -> None:
    connection = http.client.HTTPConnection(*service.tracker, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, "/" + url.split("/", 3)[3], headers={"User-Agent": CHROME})
        assert connection.getresponse().status == 302


def test_a_scanner_and_a_person(
    tmp_path: Path, start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    rules = tmp_path / "rules.toml"
    # A test is quicker than any person.
    rules.write_text(OFF.format("before-anybody-could") + OFF.format("hardly-anybody-could"))
    sink = start_sink()
    options = ("--set", "honeypot_link=true", "--set", f"enrichment.bot_rules={rules}")
    service = start_mailwake("--next-hop", sink.address, "--workers", "1", *options)
    assert service.send("shop@sender.example", ["scanned@a.example", "read@b.example"], MESSAGE) == {}
    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
    links = {recipient: [url.decode() for url in LINK.findall(copy)] for recipient, copy in sink.messages()}
    assert {len(found) for found in links.values()} == {3}  # with the hidden one

    for url in links["scanned@a.example"]:
        follow(service, url, "HEAD")
        follow(service, url)
    follow(service, links["read@b.example"][1])

    clicks = wait_until(
        lambda: found if len(found := [e for e in service.events() if e.get("is_bot") is not None]) == 4 else None,
        "all clicks are judged",
    )
    judged = [
        (click["rcpt_to"], click["target_link_url"], click["is_bot"], click.get("bot_reason")) for click in clicks
    ]
    root = "http://localhost:8080/"
    assert sorted(judged) == [
        ("read@b.example", "https://shop.example/2", False, None),
        ("scanned@a.example", root, True, "honeypot"),
        ("scanned@a.example", "https://shop.example/1", True, "honeypot"),
        ("scanned@a.example", "https://shop.example/2", True, "honeypot"),
    ]
    assert {click["user_agent_parsed"]["agent_family"] for click in clicks} == {"Chrome"}

    (person,) = [click for click in clicks if not click["is_bot"]]
    command = [sys.executable, "-m", "mailwake", "bots", "explain", person["event_id"], "--rules", str(rules)]
    said = subprocess.run(
        [*command, "--data", str(service.data)], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.startswith("click of read@b.example at ")
    assert said.stdout.endswith("judged    person, as far as can be told\n")
    assert service.stop() == 0


def test_a_bad_file_of_rules_keeps_it_from_starting(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "x"\nevents = ["clicks"]\nagents = ["y"]\n')
    command = [sys.executable, "-m", "mailwake", "serve", "--demo", "--data", str(tmp_path / "data")]
    ports = ["--smtp", "127.0.0.1:0", "--tracker", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    command += [*ports, "--set", f"enrichment.bot_rules={rules}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"mailwake: {rules}:3: rule.0.events: ")
    assert done.stderr.count("\n") == 1
