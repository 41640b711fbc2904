"""Links for unsubscribing through a real server: who leaves the list, who is shown a page, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mailwake.clock import ManualClock
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.tracker.address_rate import AddressRate
from mailwake.tracker.app import TrackerApp
from mailwake.tracker.client_facts import ClientFactsReader
from mailwake.tracker.domains import Domain, Domains
from mailwake.tracker.messages import Request
from mailwake.tracker.outcome import Outcome, Shown
from mailwake.tracker.responses import page

Serve = Callable[..., AbstractAsyncContextManager[Any]]
FORM = b"List-Unsubscribe=One-Click"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n'
    b'--b\r\nContent-Disposition: form-data; name="from"\r\n\r\npage\r\n--b--\r\n'
)


class Links:
    """Every token but two is good; those that left are remembered."""

    def __init__(self) -> None:
        self.left: list[str] = []

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        return Shown.UNSUBSCRIBE if family == "u" and token != "forged" else Shown.NOTHING

    async def unsubscribe(self, token: str, request: Request) -> Outcome:
        if token == "forged":
            return Shown.NOTHING
        if token == "fails":
            return Shown.NOT_RECORDED
        self.left.append(token)
        return Shown.UNSUBSCRIBED


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(links: Links, metrics: Metrics) -> TrackerApp:
    domains = Domains(
        {
            "own.example": Domain(
                unsubscribe_page=page(200, b"<p>our own page</p>"), unsubscribed_url="https://own.example/bye?a=1"
            )
        }
    )
    return TrackerApp(links, domains, metrics, make_logger("json", "error"))


def post(
    path: str, body: bytes = FORM, *, kind: str = "application/x-www-form-urlencoded", host: str = "links.example"
) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def fields(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("path", ["/u/token", "/u/token/", "/u/token?from=somewhere"])
async def test_a_post_of_the_form_unsubscribes(serve: Serve, app: TrackerApp, links: Links, path: str) -> None:
    async with serve(app) as tracker:
        urlencoded = await tracker.ask(post(path))
        multipart = await tracker.ask(post(path, MULTIPART, kind="multipart/form-data; boundary=b"))
    for answer in (urlencoded, multipart):
        assert status(answer) == 200
        assert b"You are unsubscribed" in answer
        assert fields(answer)["cache-control"] == "no-store"
    assert links.left == ["token", "token"]


async def test_looking_at_it_shows_a_button_that_posts_the_form(serve: Serve, app: TrackerApp, links: Links) -> None:
    async with serve(app) as tracker:
        looked = await tracker.get("/u/token")
        head = await tracker.get("/u/token", method="HEAD")
    assert (status(looked), status(head), links.left) == (200, 200, [])
    assert head.partition(b"\r\n\r\n")[2] == b""
    assert fields(head)["content-length"] == fields(looked)["content-length"]
    assert fields(looked)["referrer-policy"] == "no-referrer"
    text = looked.decode()
    (form,) = re.findall(r"<form method=\"post\">(.*?)</form>", text, re.DOTALL)
    assert re.search(r'<button name="List-Unsubscribe" value="One-Click"[^>]*>Unsubscribe</button>', form)
    assert '<html lang="en">' in text
    assert text.count("<h1>") == 1


@pytest.mark.parametrize(
    ("method", "answers"), [("PUT", 405), ("DELETE", 405), ("OPTIONS", 405), ("GET", 200), ("HEAD", 200)]
)
async def test_other_methods_unsubscribe_nobody(
    serve: Serve, app: TrackerApp, links: Links, method: str, answers: int
) -> None:
    async with serve(app) as tracker:
        answer = await tracker.get("/u/token", method=method)
    assert status(answer) == answers
    assert links.left == []
    if answers == 405:
        assert fields(answer)["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("request_", "answers", "label"),
    [
        (post("/u/token", b"List-Unsubscribe=Later"), 400, "no_form"),
        (post("/u/token", b""), 400, "no_form"),
        (post("/u/token", b"{}", kind="application/json"), 400, "no_form"),
        (post("/u/forged"), 404, "not_found"),
        (post("/u/fails"), 503, "not_recorded"),
        (post("/u/token", FORM + b"&a=" + b"x" * 5000), 413, "body_refused"),
        (post("/u/a/token"), 404, "not_found"),
        (post("/f/a/token"), 405, "wrong_method"),
        (post("/"), 405, "wrong_method"),
    ],
)
async def test_what_does_not_unsubscribe(
    serve: Serve, app: TrackerApp, links: Links, metrics: Metrics, request_: bytes, answers: int, label: str
) -> None:
    async with serve(app) as tracker:
        answer = await tracker.ask(request_)
    assert status(answer) == answers
    assert links.left == []
    assert metrics.counter("tracker_requests_total", label).value == 1
    if answers == 503:
        assert fields(answer)["retry-after"] == "60"
        assert b"<strong>not</strong> unsubscribed" in answer


async def test_a_domain_has_a_page_of_its_own_and_people_go_on_from_there(
    serve: Serve, app: TrackerApp, links: Links
) -> None:
    async with serve(app) as tracker:
        looked = await tracker.get("/u/token", host="own.example")
        program = await tracker.ask(post("/u/program", host="own.example"))
        person = await tracker.ask(post("/u/person", FORM + b"&from=page", host="own.example:443"))
        elsewhere = await tracker.ask(post("/u/elsewhere", FORM + b"&from=page"))
    assert looked.endswith(b"<p>our own page</p>")
    assert status(program) == 200, "RFC 8058 §3.1: no redirect"
    assert (status(person), fields(person)["location"]) == (303, "https://own.example/bye?a=1")
    assert status(elsewhere) == 200
    assert links.left == ["program", "person", "elsewhere"]


async def test_who_comes_too_often_is_asked_to_come_again(serve: Serve, links: Links, metrics: Metrics) -> None:
    rate = AddressRate(2, ClientFactsReader(), ManualClock(1_800_000_000))
    app = TrackerApp(links, Domains(), metrics, make_logger("json", "error"), rate=rate)
    async with serve(app) as tracker:
        answers = [await tracker.ask(post("/u/token")) for _ in range(3)]
    assert [status(answer) for answer in answers] == [200, 200, 503]
    assert fields(answers[2])["retry-after"] == "60"
    assert links.left == ["token", "token"]


async def test_one_connection_takes_several_forms(serve: Serve, app: TrackerApp, links: Links) -> None:
    body = b"Content-Length: 26\r\n\r\n" + FORM
    head = b"POST /u/%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    async with serve(app) as tracker:
        answer = await tracker.ask(head % b"one" + body + head % b"two" + body + post("/u/three"))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert links.left == ["one", "two", "three"]
