"""A damaged store: mail goes on, events wait in the feed, searches say so; and it is made anew from the feed."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.scenarios.conftest import PATIENCE, Mailwake, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.scenario

NOT_LOADED = "the store is not loaded; events wait in the feed"


def command(service: Mailwake, *arguments: str) -> str:
    """What `mailwake …` says of this service's data."""
    ran = subprocess.run(
        [sys.executable, "-m", "mailwake", *arguments, "--data", str(service.data)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return ran.stdout + ran.stderr


def search(service: Mailwake, key: str) -> tuple[int, dict[str, Any]]:
    host, port = service._address(r"API on http://([\d.]+):(\d+)")
    request = urllib.request.Request(
        f"http://{host}:{port}/api/v1/events/message?recipients=Ann@example.org", headers={"Authorization": key}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def send(service: Mailwake) -> None:
    assert service.send("news@shop.example", ["ann@example.org"], b"Subject: spring\r\n\r\nhello\r\n") == {}


def test_a_damaged_store_costs_searches_alone(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--demo", "--workers", "1")
    key = command(service, "apikey", "create", "reader", "--scope", "read").split()[0]
    send(service)
    wait_until(lambda: service.metric("mailwake_store_events") == 2, "injection and delivery can be searched")
    assert search(service, key)[1]["total_count"] == 2
    assert service.stop() == 0

    file = service.data / "store" / "store.duckdb"
    file.write_bytes(b"not what it was" * 1000)
    service.output.clear()
    service.start()
    send(service)
    wait_until(lambda: NOT_LOADED in service.log, "the log says that the store is damaged")
    wait_until(lambda: service.metric("mailwake_feed_events_total") == 2, "events come into the feed")
    (line,) = (json.loads(each) for each in service.log.splitlines() if NOT_LOADED in each)
    assert "store.duckdb cannot be used" in line["error"]
    assert "`mailwake store rebuild`" in line["error"]
    status, answer = search(service, key)
    assert (status, list(answer)) == (503, ["errors"])
    assert service.metric("mailwake_store_up") == 0
    assert service.stop() == 0

    assert "4 events from the feed" in command(service, "store", "rebuild")
    assert "the store is whole" in command(service, "store", "verify")
    service.output.clear()
    service.start()
    wait_until(lambda: service.metric("mailwake_store_up") == 1, "the store is loaded again")
    status, answer = search(service, key)
    assert (status, answer["total_count"]) == (200, 4)
    assert [each["type"] for each in answer["results"]] == ["delivery", "injection"] * 2
    assert "Traceback" not in service.log
