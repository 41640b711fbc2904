"""smtplib → mailwake → smtp-sink, then curl's part by http.client: the main job from end to end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
from benchmarks.newsletter import newsletter

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

LINK = re.compile(rb'https?://[^"\s<>]*/[fqo]/[^"\s<>]*')


def _urls(content: bytes) -> list[str]:
    return [url.decode() for url in LINK.findall(content)]


def test_two_recipients_get_two_copies_and_a_click_comes_back(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--workers", "2")
    domain = "{}:{}".format(*service.tracker)
    service.stop()
    service = start_mailwake("--next-hop", sink.address, "--workers", "2", "--set", f"tracking_domain={domain}")

    assert service.send("news@sender.example", ["ann@a.example", "bob@b.example"], newsletter()) == {}

    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
    copies = dict(sink.messages())
    assert set(copies) == {"ann@a.example", "bob@b.example"}
    urls = {recipient: _urls(content) for recipient, content in copies.items()}
    assert {len(found) for found in urls.values()} == {22}
    assert not set(urls["ann@a.example"]) & set(urls["bob@b.example"])

    clicks = [url for url in urls["bob@b.example"] if "/f/" in url]
    path = "/" + clicks[7].split("/", 3)[3]
    status, headers, _ = service.get(path)
    assert status == 302
    assert re.fullmatch(
        r"https://news\.example\.org/story/\d+\?issue=47&from=(html&position=\d+|text)", headers["location"]
    )
    assert service.get(path, "HEAD")[:1] == (302,)
    forged = path[:-1] + ("A" if path[-1] != "A" else "Q")
    assert service.get(forged)[0] == 404
    pixel = next(url for url in urls["bob@b.example"] if "/q/" in url)
    assert service.get("/" + pixel.split("/", 3)[3])[2].startswith(b"GIF89a")
    initial = next(url for url in urls["ann@a.example"] if "/o/" in url)
    assert service.get("/" + initial.split("/", 3)[3])[0] == 200

    events = service.events()
    assert Counter(event["type"] for event in events) == {
        "injection": 2,
        "delivery": 2,
        "click": 1,
        "open": 1,
        "initial_open": 1,
    }
    click = next(event for event in events if event["type"] == "click")
    assert click["target_link_url"] == headers["location"]
    assert click["rcpt_to"] == "bob@b.example"
    assert click["campaign_id"] == "newsletter-47"
    assert click["rcpt_tags"] == ["news", "spring"]
    assert click["rcpt_meta"] == {"customer": "4711", "list": "readers"}
    assert click["ip_address"] == "127.0.0.1"
    injected = {event["message_id"] for event in events if event["type"] == "injection"}
    assert click["message_id"] in injected
    assert {event["transmission_id"] for event in events} == {click["transmission_id"]}
    assert wait_until(lambda: service.metric("mailwake_events_total") >= 7, "the counters are reported")
    assert service.get("/healthz", server="admin")[0] == 200
    assert service.stop() == 0
