"""Batches on their way: order, the same id for each retry, giving up, restarts in the middle of each step."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as StandardWebhook
from structlog.testing import capture_logs
from tests.feed.conftest import event
from tests.webhooks.conftest import Node, Request, Target, hang, raw, reply, until

from mailwake.clock import SystemClock
from mailwake.events.model import Event, EventType
from mailwake.feed.contract import Position
from mailwake.webhooks import webhooks
from mailwake.webhooks.delivery import SystemPauses
from mailwake.webhooks.signature import signature_headers

HOUR = 3600.0


async def test_events_arrive_in_order_in_batches(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, batch_size=10)
    node.append(range(25))
    await node.until_delivered(webhook, target, 3)
    assert [request.ids for request in target.batches] == [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 25)),
    ]
    assert len({request.batch_id for request in target.batches}) == 3
    status = await node.webhooks.subscriptions.batch_status(webhook)
    assert [each["batch_id"] for each in status] == [request.batch_id for request in reversed(target.batches)]
    assert {(each["state"], each["attempts"], each["response_code"]) for each in status} == {("delivered", 1, 200)}
    assert [each["batch_size"] for each in status] == [5, 10, 10]
    await node.until_position(webhook, node.feed.end())


async def test_a_batch_waits_for_its_time_when_it_is_not_full(node: Node, target: Target) -> None:
    """Whenever the feed is waited for, the next thing happens: an event, another one, and then nothing."""
    began = 0.0
    asked: list[float] = []

    async def happen(beyond: Position, seconds: float) -> bool:
        nonlocal began
        asked.append(seconds)
        if len(asked) <= 2:
            if len(asked) == 1:
                node.clock.jump(event(0).timestamp / 1000 - node.clock.now())
                began = node.clock.monotonic()
            node.append([len(asked) - 1])
            return True
        node.clock.advance(seconds)
        return False

    node.feed.grown = happen  # type: ignore[method-assign]
    node.start()
    webhook = await node.create(target)
    await node.until_delivered(webhook, target, 1)
    assert target.ids == [0, 1]
    assert asked[0] == 30  # an idle look
    waited = sum(node.pauses.waited[: len(asked)]) + asked[2]
    assert waited == pytest.approx(30, abs=0.1)
    assert node.clock.monotonic() - began >= 30


async def test_a_webhook_gets_its_own_types_and_customer_only_and_passes_over_the_rest(
    node: Node, target: Target
) -> None:
    def make(number: int) -> Event:
        kind = EventType.OPEN if number % 2 else EventType.CLICK
        return msgspec.structs.replace(event(number, kind=kind), customer_id=str(number % 3))

    node.start()
    clicks = await node.create(target, events=["click"], customer_id="1")
    node.append(range(60), make)
    await node.until_delivered(clicks, target, 1)
    assert target.ids == [number for number in range(60) if number % 2 == 0 and number % 3 == 1]
    await node.until_position(clicks, node.feed.end())
    await node.webhooks.subscriptions.update(clicks, {"customer_id": None, "exception_subaccounts": [0, "1"]})
    node.append(range(200, 212), make)
    await node.until_delivered(clicks, target, 2)
    assert target.batches[1].ids == [number for number in range(200, 212) if number % 2 == 0 and number % 3 == 2]


async def test_events_that_are_not_for_it_do_not_hold_up_the_feed(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, events=["bounce"])
    node.append(range(5))
    await node.until_position(webhook, node.feed.end())
    assert target.batches == []


async def test_a_target_that_fails_for_hours_gets_the_same_batch_until_it_is_a_dead_letter(
    node: Node, target: Target
) -> None:
    node.start()
    webhook = await node.create(target, batch_size=3)
    target.always = reply(500)
    began = node.clock.now()
    with capture_logs() as logged:
        node.append(range(3))
        (letter,) = await node.until_dead(webhook, 1)
        await node.until_position(webhook, node.feed.end())  # it holds up nothing
    attempts = len(target.batches)
    assert attempts > 20
    assert {request.batch_id for request in target.batches} == {letter["batch_id"]}
    assert {request.body for request in target.batches} == {target.batches[0].body}
    assert node.clock.now() - began >= 4 * HOUR
    last = node.pauses.waited.index(min(node.pauses.waited[attempts - 2 :]))
    assert sum(node.pauses.waited[: last + 1]) <= 4 * HOUR + 60
    assert letter["attempts"] == attempts
    assert (letter["response_code"], letter["failure_code"], letter["batch_size"]) == (500, "status", 3)
    assert letter["events_available"] == 3
    assert [line["event"] for line in logged if line["log_level"] in ("warning", "error")] == [
        "a webhook's target fails",
        "a batch of a webhook is a dead letter",
    ]

    target.always = reply()
    node.append(range(3, 6))
    await node.until_delivered(webhook, target, attempts + 1)
    assert target.batches[-1].ids == [3, 4, 5]
    shown = await node.webhooks.subscriptions.get(webhook)
    assert "failing_since" not in shown
    assert shown["last_failure"] < shown["last_successful"]


async def test_pauses_grow_and_a_target_may_ask_for_longer_ones(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    target.script = [
        *(reply(503) for _ in range(5)),
        reply(429, headers=["Retry-After: 1000"]),
        reply(429, headers=["Retry-After: 999999"]),
        reply(429, headers=["Retry-After: soon"]),
    ]
    node.append([1])
    await node.until_delivered(webhook, target, 9)
    waited = [seconds for seconds in node.pauses.waited if seconds > 1]
    for seconds, pause in zip(waited, (5, 10, 20, 40, 80), strict=False):
        assert pause * 0.8 <= seconds <= pause * 1.2
    assert waited[5:7] == [1000, 3600]
    assert 600 * 0.8 <= waited[7] <= 600 * 1.2
    assert len({request.batch_id for request in target.batches}) == 1


async def test_what_piled_up_in_a_long_outage_is_not_tried_for_four_hours_each(node: Node, target: Target) -> None:
    """Ten hours: each batch has one attempt at least, none is lost, and the backlog goes when the target is back."""
    node.start()
    webhook = await node.create(target, batch_size=1)
    target.always = reply(500)
    began = node.clock.now()

    async def ended(*states: str) -> int:
        return sum(each["state"] in states for each in await node.webhooks.subscriptions.batch_status(webhook))

    for hour in range(1, 11):
        node.append([hour], lambda number: event(number, time=int(node.clock.now() * 1000)))

        async def an_hour_is_over(hour: int = hour) -> bool:
            return node.clock.now() >= began + hour * HOUR

        await until(an_hour_is_over)
    given_up = await ended("dead")
    assert 1 <= given_up <= 7
    target.always = reply()

    async def all_are_done_with() -> bool:
        return await ended("dead", "delivered") == 10

    await until(all_are_done_with)
    assert await ended("delivered") >= 2
    tried = list(dict.fromkeys(target.ids))
    assert tried == list(range(1, 11))


async def test_a_batch_that_is_too_large_for_its_target_comes_again_in_smaller_ones(node: Node, target: Target) -> None:
    async def picky(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reply(413 if len(target.requests[-1].body) > 1500 else 200)(reader, writer)

    node.start()
    webhook = await node.create(target)
    target.always = picky
    node.append(range(40))
    await target.until(lambda: any(39 in each.ids and len(each.body) <= 1500 for each in target.batches))
    await node.until_position(webhook, node.feed.end())
    taken = [request for request in target.batches if len(request.body) <= 1500]
    assert [number for request in taken for number in request.ids] == list(range(40))
    assert len({request.batch_id for request in target.batches}) == len(target.batches)
    status = await node.webhooks.subscriptions.batch_status(webhook)
    assert {each["state"] for each in status} == {"delivered", "withdrawn"}
    assert "failing_since" not in await node.webhooks.subscriptions.get(webhook)


async def test_one_event_that_is_too_large_is_a_failure_as_any_other(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    target.always = reply(413)
    node.append(range(3))
    (letter, *_) = await node.until_dead(webhook, 3)
    assert (letter["batch_size"], letter["response_code"]) == (1, 413)
    assert target.ids[-1] == 2


async def test_a_slow_target_delays_no_other(node: Node, start_target: Callable[..., Awaitable[Target]]) -> None:
    """Fifty targets hang, as long as they may; another one gets all of its batches meanwhile."""
    node.start()
    slow, quick = await start_target(), await start_target()
    slow.script = [reply() for _ in range(50)]
    slow.always = hang
    for number in range(50):
        await node.create(slow, name=f"slow{number}")
    webhook = await node.create(quick, batch_size=1)
    node.append(range(5))
    await slow.until_requests(100)
    await node.until_delivered(webhook, quick, 5)
    assert quick.ids == list(range(5))
    await node.until_position(webhook, node.feed.end())
    assert node.metrics.counter("webhook_batches_total", "delivered").value >= 4  # the fifth is counted any moment
    await node.crash()


async def test_a_batch_keeps_its_events_when_the_webhook_changes(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, events=["click"])
    target.script = [reply(500)]
    node.pauses.held = asyncio.Event()
    node.append([1, 2])
    await target.until_requests(2)
    await node.webhooks.subscriptions.update(webhook, {"events": ["open"], "target": f"{target.url}/new"})
    node.pauses.held.set()
    await node.until_delivered(webhook, target, 2)
    first, second = target.batches
    assert (first.path, second.path) == ("/events", "/events/new")
    assert (first.batch_id, first.body) == (second.batch_id, second.body)
    node.append([3])
    node.append([4], lambda number: event(number, kind=EventType.OPEN))
    await node.until_delivered(webhook, target, 3)
    assert target.batches[2].ids == [4]


async def test_a_webhook_that_is_switched_off_goes_on_later_where_it_was(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    node.append([1])
    await node.until_delivered(webhook, target, 1)
    await node.webhooks.subscriptions.update(webhook, {"active": False})
    await node.until_consumers(set())
    node.append([2])
    await node.webhooks.subscriptions.update(webhook, {"active": True})
    await node.until_delivered(webhook, target, 2)
    assert target.ids == [1, 2]
    assert set(node.positions.all()) == {f"webhook:{webhook}"}


async def test_a_webhook_that_is_switched_off_in_the_middle_of_an_attempt_holds_up_nothing(
    node: Node, target: Target
) -> None:
    node.start()
    webhook = await node.create(target)
    go_on = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reply()(reader, writer)

    target.script = [wait]
    node.append([1])
    await target.until_requests(2)
    await node.webhooks.subscriptions.update(webhook, {"active": False})
    go_on.set()
    await node.until_consumers(set())
    node.append([2])
    await node.webhooks.subscriptions.update(webhook, {"active": True})
    await target.until(lambda: target.ids == [1, 2])
    await node.until_position(webhook, node.feed.end())


async def test_a_webhook_that_is_removed_in_the_middle_of_an_attempt(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    go_on = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reply()(reader, writer)

    target.always = wait
    node.append([1])
    await target.until_requests(2)
    await node.webhooks.subscriptions.delete(webhook)
    go_on.set()
    await node.until_consumers(set())
    assert await node.webhooks.subscriptions.all() == []
    node.append([2])
    await node.stop()
    assert target.ids == [1]


async def test_at_the_end_an_attempt_on_its_way_is_finished(node: Node, target: Target) -> None:
    node.start()
    await node.create(target)
    go_on = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reply()(reader, writer)

    target.always = wait
    node.append([1])
    await target.until_requests(2)
    ending = asyncio.create_task(node.stop())
    await asyncio.sleep(0)
    go_on.set()
    await ending
    node.start()
    target.always = reply()
    node.append([2])
    await target.until_requests(3)
    assert [request.ids for request in target.batches] == [[1], [2]]


async def test_a_change_by_another_process_is_noticed(
    node: Node, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.01)
    node.start()
    running = node.webhooks
    other = node.open()
    node.append([1])
    webhook = await node.create(target)
    node.append([2])
    await target.until_requests(2)
    assert target.ids == [2]
    await other.subscriptions.delete(webhook)
    await node.until_consumers(set())
    other.close()
    node.webhooks = running


async def test_what_is_counted_of_a_webhook_follows_its_new_name(
    node: Node, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lag under the former name would stand still, and an alarm about it ring for ever."""
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.01)
    gauge = node.metrics.counter
    node.start()
    webhook = await node.create(target)
    target.always = reply(500)
    node.pauses.held = asyncio.Event()
    node.append([1])

    async def lags(name: str) -> bool:
        return gauge("webhook_lag_seconds", webhook, name).value > 0

    await until(lambda: lags("crm"))
    await node.webhooks.subscriptions.update(webhook, {"name": "renamed"})
    await until(lambda: lags("renamed"))
    assert not await lags("crm")
    assert gauge("webhook_waiting_events", webhook, "crm").value == 0
    assert gauge("webhook_waiting_events", webhook, "renamed").value == 1
    await node.crash()


# --- restarts


async def test_after_a_kill_in_the_middle_of_an_attempt_the_same_batch_is_sent(node: Node, target: Target) -> None:
    node.start()
    await node.create(target, batch_size=2)
    target.script = [hang]
    node.append([1, 2, 3])
    await target.until_requests(2)
    await node.crash()
    node.append([4])
    node.start()
    await target.until_requests(4)
    first, again, next_one = target.batches
    assert (first.batch_id, first.body) == (again.batch_id, again.body)
    assert (again.ids, next_one.ids) == ([1, 2], [3, 4])


async def test_whenever_it_is_killed_nothing_is_lost_and_nothing_out_of_order(
    tmp_path: Path, start_target: Callable[..., Awaitable[Target]]
) -> None:
    """The files are copied at each request, as a kill at that moment would leave them; each copy is gone on with."""
    target = await start_target()
    home = tmp_path / "home"
    home.mkdir()
    node = Node(home)
    copies: list[tuple[Path, list[Request]]] = []
    answers = [reply(), raw(b""), reply(500), reply(), reply(302), reply()]

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if target.batches:
            copied = tmp_path / f"copy{len(copies)}"
            shutil.copytree(home, copied)
            copies.append((copied, list(target.batches)))
        await answers[len(copies) % len(answers)](reader, writer)

    node.start()
    webhook = await node.create(target, batch_size=4)
    target.always = copy
    node.append(range(10))
    await target.until(lambda: len({*target.ids}) == 10)
    await node.stop()
    node.writer.close()
    node.positions.close()
    assert len(copies) >= 4
    for directory, before in copies:
        target.requests.clear()
        target.always = reply()
        restarted = Node(directory)
        restarted.start()
        await target.until(lambda: 9 in target.ids)
        await restarted.stop()
        restarted.writer.close()
        restarted.positions.close()
        batches = {request.batch_id: request.ids for request in before}
        assert target.batches[0].batch_id == before[-1].batch_id  # the one that was on its way
        for request in target.batches:
            assert batches.setdefault(request.batch_id, request.ids) == request.ids
        assert [number for ids in batches.values() for number in ids] == list(range(10))
    assert webhook


# --- what a request carries


async def test_signatures_are_those_that_receivers_libraries_verify(node: Node, target: Target) -> None:
    node.clock = node.pauses._clock = SystemClock()  # type: ignore[assignment]  # the library looks at the real time
    node.pauses = SystemPauses()  # type: ignore[assignment]
    node.start()
    made = await node.webhooks.subscriptions.create({"name": "a", "target": target.url, "events": ["click"]})
    node.append([1])
    await target.until_requests(2)
    for request in target.requests:
        StandardWebhook(made["signing_secret"]).verify(request.body, request.headers)
    rotated = await node.webhooks.subscriptions.rotate_secret(made["id"])
    assert rotated["signing_secret"] != made["signing_secret"]
    node.append([2])
    await target.until_requests(3)
    request = target.requests[-1]
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (made["signing_secret"], rotated["signing_secret"]):
        assert StandardWebhook(secret).verify(request.body, request.headers) == [
            {
                "msys": {
                    "track_event": StandardWebhook(secret).verify(request.body, request.headers)[0]["msys"][
                        "track_event"
                    ]
                }
            }
        ]
    with pytest.raises(Exception, match="No matching signature"):
        StandardWebhook(rotated["signing_secret"]).verify(request.body + b" ", request.headers)


async def test_a_replaced_secret_signs_for_a_day_more(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    await node.webhooks.subscriptions.rotate_secret(webhook)
    node.clock.advance(86401)
    node.append([1])
    await node.until_delivered(webhook, target, 1)
    assert " " not in target.batches[0].headers["webhook-signature"]


async def test_a_compressed_body_is_signed_as_it_is_read(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, gzip=True)
    assert gzip.decompress(target.requests[0].body) == b'[{"msys":{}}]'
    node.append(range(100))
    await target.until_requests(2)
    request = target.requests[1]
    assert request.headers["content-encoding"] == "gzip"
    plain = gzip.decompress(request.body)
    assert len(request.body) < len(plain) / 5
    assert Request("", {}, plain).ids == list(range(100))
    secret = await node.webhooks.subscriptions.secret(webhook)
    seconds = int(request.headers["webhook-timestamp"])
    expected = signature_headers(request.batch_id, seconds, plain, [secret])
    assert request.headers["webhook-signature"] == expected["webhook-signature"]


async def test_oauth_tokens_are_fetched_kept_and_fetched_again(
    node: Node, target: Target, start_target: Callable[..., Awaitable[Target]]
) -> None:
    tokens = await start_target()
    tokens.script = [
        reply(200, b'{"access_token": "one", "expires_in": 3600}'),
        reply(200, b'{"access_token": "two", "expires_in": "3600"}'),
        reply(200, b'{"access_token": "three", "token_type": "Bearer"}'),
    ]
    details = {"url": tokens.url, "body": {"client_id": "me", "client_secret": "s&="}}
    node.start()
    webhook = await node.create(target, batch_size=1, auth_type="oauth2", auth_request_details=details)
    assert tokens.requests[0].body == b"grant_type=client_credentials&client_id=me&client_secret=s%26%3D"
    assert tokens.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    node.append([1, 2])
    await node.until_delivered(webhook, target, 2)
    assert [request.headers["authorization"] for request in target.requests] == [
        "Bearer one",
        "Bearer two",
        "Bearer two",
    ]
    target.script = [reply(401)]  # revoked: another token, once, within the same attempt
    node.append([3])
    await node.until_delivered(webhook, target, 4)
    assert target.requests[-1].headers["authorization"] == "Bearer three"
    assert (await node.webhooks.subscriptions.batch_status(webhook))[0]["attempts"] == 1
    tokens.always = reply(200, b'{"access_token": "four", "expires_in": 3600}')
    node.clock.advance(300)  # its server did not say how long the third one holds
    node.append([4])
    await node.until_delivered(webhook, target, 5)
    assert target.requests[-1].headers["authorization"] == "Bearer four"
    assert len(tokens.requests) == 4


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(500), "no access token: it answered 500"),
        (reply(200, b"{}"), "not JSON with an access_token"),
        (reply(200, b"["), "not JSON with an access_token"),
        (reply(200, b'{"access_token": "a\\r\\nEvil: 1"}'), "cannot be sent in a header"),
        (reply(302, headers=["Location: http://127.0.0.1/"]), "it answered 302 to http://127.0.0.1: not followed"),
        (raw(b""), "closed the connection without an answer"),
    ],
    ids=["500", "empty", "no-json", "line-break", "redirect", "closes"],
)
async def test_without_a_token_nothing_is_sent(
    node: Node, target: Target, start_target: Callable[..., Awaitable[Target]], answer: Any, said: str
) -> None:
    tokens = await start_target()
    tokens.always = answer
    node.open()
    with pytest.raises(Exception, match="POST to webhook tokens URL failed") as caught:
        await node.create(target, auth_type="oauth2", auth_request_details={"url": tokens.url, "body": {}})
    assert said in str(caught.value)
    assert target.requests == []


async def test_a_token_server_must_be_where_targets_may_be(node: Node, target: Target) -> None:
    async def elsewhere(host: str, port: int) -> list[str]:
        return ["127.0.0.1" if host == "target.example" else "169.254.169.254"]

    node.lookup = elsewhere
    node.open()
    with pytest.raises(Exception, match=r"tokens URL failed.*leads to 169.254.169.254 \(the local link\)"):
        await node.create(
            target, auth_type="oauth2", auth_request_details={"url": "http://tokens.example/latest", "body": {}}
        )
    assert target.requests == []
