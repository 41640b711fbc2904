"""swaks → mailwake → smtp-sink, clicks, `mailwake privacy erase`: then no file of the data directory names anybody."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailwake.control.erasures import Erasures
from mailwake.events.privacy import RecipientHash
from mailwake.feed.person_events import PersonEvents

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

ANN, BOB = "Ann.Somebody@people.example", "bob@elsewhere.example"
VERP = "bounces+ann.somebody=people.example@list.example"
MESSAGE = (
    'X-MSYS-API: {"options": {"open_tracking": true, "click_tracking": true}, "metadata": {"list": "news"}}\r\n'
    "From: news@list.example\r\nSubject: News\r\nContent-Type: text/html\r\n\r\n"
    '<a href="https://www.example.org/story">story</a>\r\n'
)
CLICK = re.compile(rb'href="http://[^/]*(/f/a/[^"]*)"')


def _privacy(service: Mailwake, *arguments: str) -> str:
    command = [sys.executable, "-m", "mailwake", "privacy", *arguments, "--data", str(service.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def _exported(service: Mailwake, address: str) -> list[str]:
    lines = _privacy(service, "export", address).splitlines()
    return sorted(event["type"] for line in lines for event in json.loads(line)["msys"].values())


def _recorded(service: Mailwake, address: str) -> int:
    # Asked for again and again: not by a process of its own each time.
    events = PersonEvents(service.data / "feed", service.data / "journal", RecipientHash(bytes(32)))
    return sum(1 for _ in events.of(address))


def _send(service: Mailwake, sender: str, recipient: str) -> None:
    host, port = service.smtp
    data = MESSAGE.replace("\r\n", "\n")
    command = [
        "swaks",
        "--server",
        f"{host}:{port}",
        "--from",
        sender,
        "--to",
        recipient,
        "--data",
        data,
        "--silent",
        "2",
    ]
    subprocess.run(command, timeout=PATIENCE, check=True)


def _naming(directory: Path, *names: str) -> list[str]:
    return [
        str(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and any(name.encode() in path.read_bytes().lower() for name in names)
    ]


def test_what_is_erased_is_in_no_file_and_the_others_events_stay(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--workers", "1", "--set", "spool.acceptance=spool")
    _send(service, VERP, ANN)
    _send(service, "news@list.example", BOB)
    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
    for _, content in sink.messages():
        for path in CLICK.findall(content):
            assert service.get(path.decode())[0] == 302
    wait_until(lambda: _recorded(service, ANN) == _recorded(service, BOB) == 3, "the deliveries are recorded")
    wait_until(lambda: _naming(service.data / "store", "ann.somebody"), "the store has them, too")
    assert _exported(service, ANN.upper()) == ["click", "delivery", "injection"]
    assert _naming(service.data, "ann.somebody"), "else this test could not fail"

    told = _privacy(service, "erase", ANN)
    assert "erasure 1 is pending; the collector does it" in told
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)  # new workers: the segments of the former ones are closed
    wait_until(lambda: not Erasures(service.data / "erasures.sqlite3").pending(), "the person is erased")

    assert "done" in _privacy(service, "status")
    assert _exported(service, ANN) == []
    assert _recorded(service, BOB) == 3
    assert "a person's events are erased" in service.log
    assert service.stop() == 0
    assert _naming(service.data, "ann.somebody", "people.example") == []
