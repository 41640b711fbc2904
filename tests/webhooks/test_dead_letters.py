"""Dead letters and replay: what was not taken can be sent again while the feed has it, and is forgotten in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.feed.conftest import START, event
from tests.webhooks.conftest import Node, Target, reply

from mailwake.feed.segments import segments_in
from mailwake.webhooks.webhook import WebhookError


async def give_up(node: Node, target: Target, webhook: str, numbers: range) -> list[dict[str, Any]]:
    """Dead letters of these events."""
    before = len(await node.dead(webhook))
    target.always = reply(500)
    node.append(numbers)
    dead = await node.until_dead(webhook, before + 1)
    target.always = reply()
    return dead


async def test_a_dead_letter_is_sent_again_with_its_own_id_before_what_is_new(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    (letter,) = await give_up(node, target, webhook, range(3))
    first = target.batches[0]
    target.requests.clear()
    assert await node.webhooks.subscriptions.replay_dead_letters(webhook) == 1
    node.append([10])
    await node.until_delivered(webhook, target, 2)
    again, new = target.batches
    assert (again.batch_id, again.body) == (letter["batch_id"], first.body)
    assert new.ids == [10]
    assert await node.dead(webhook) == []
    await node.until_position(webhook, node.feed.end())


async def test_one_of_several_dead_letters(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    await give_up(node, target, webhook, range(3))
    node.append([50])
    await target.until(lambda: target.ids[-1] == 50)
    first, second = await give_up(node, target, webhook, range(5, 8))
    target.requests.clear()
    subscriptions = node.webhooks.subscriptions
    assert await subscriptions.replay_dead_letters(webhook, [second["batch_id"]]) == 1
    await node.until_delivered(webhook, target, 1)
    assert target.ids == [5, 6, 7]
    assert [each["batch_id"] for each in await node.dead(webhook)] == [first["batch_id"]]
    assert await subscriptions.drop_dead_letters(webhook, [first["batch_id"]]) == 1
    assert await node.dead(webhook) == []
    for call in (subscriptions.replay_dead_letters, subscriptions.drop_dead_letters):
        with pytest.raises(WebhookError, match="no dead letter nothing"):
            await call(webhook, ["nothing"])
    assert await subscriptions.drop_dead_letters(webhook) == 0


async def test_a_replay_that_fails_is_a_dead_letter_again_and_holds_up_nothing_for_ever(
    node: Node, target: Target
) -> None:
    node.start()
    webhook = await node.create(target)
    (letter,) = await give_up(node, target, webhook, range(3))
    target.always = reply(500)
    attempts = len(target.batches)
    await node.webhooks.subscriptions.replay_dead_letters(webhook)
    await target.until(lambda: len(target.batches) > attempts + 20)
    (again,) = await node.until_dead(webhook, 1)
    assert again["batch_id"] == letter["batch_id"]
    await node.until_position(webhook, node.feed.end())


async def test_after_a_kill_a_replay_that_was_asked_for_goes_on(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    await give_up(node, target, webhook, range(3))
    await node.crash()
    node.open()
    await node.webhooks.subscriptions.replay_dead_letters(webhook)
    node.webhooks.close()
    target.requests.clear()
    node.start()
    await node.until_delivered(webhook, target, 1)
    assert target.ids == [0, 1, 2]


async def test_what_the_feed_has_not_any_more_is_said_and_not_sent(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, batch_size=3)
    (letter,) = await give_up(node, target, webhook, range(3))
    assert letter["events_available"] == 3
    node.writer.roll()
    node.append([10])
    await target.until(lambda: 10 in target.ids)
    await node.until_position(webhook, node.feed.end())
    segments_in(node._directory / "feed")[0].path.unlink()
    assert (await node.dead(webhook))[0]["events_available"] == 0
    target.requests.clear()
    with capture_logs() as logged:
        await node.webhooks.subscriptions.replay_dead_letters(webhook)
        node.append([11])
        await target.until_requests(1)
        await node.until_position(webhook, node.feed.end())
    assert target.ids == [11]
    (gone,) = await node.dead(webhook)
    assert (gone["failure_code"], gone["events_available"]) == ("gone", 0)
    lines = [(line["event"], line.get("left"), line.get("reason")) for line in logged]
    assert ("the feed has not all events of a batch any more", 0, None) in lines
    reason = "the feed does not have its events any more"
    assert ("a batch of a webhook is a dead letter", None, reason) in lines


async def test_a_batch_of_which_a_part_is_gone_is_sent_without_it(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    target.always = reply(500)
    node.pauses.held = asyncio.Event()
    node.append([1, 2])
    await target.until_requests(2)
    node.pauses.held.set()
    await node.webhooks.subscriptions.update(webhook, {"active": False})
    await node.until_consumers(set())
    node.writer.roll()
    node.append([3])
    await node.webhooks.subscriptions.update(webhook, {"active": True, "batch_size": 3})
    # the batch in hand has events 1 and 2; the next one has 3
    segments_in(node._directory / "feed")[0].path.unlink()
    target.always = reply()
    await target.until(lambda: 3 in target.ids)
    assert target.batches[-1].ids == [3]
    assert [each["failure_code"] for each in await node.dead(webhook)] == ["gone"]


async def test_dead_letters_are_forgotten_after_their_time(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    await give_up(node, target, webhook, range(3))
    assert node.metrics.counter("webhook_batches_total", "dead letter").value == 1
    tables = node.webhooks._tables.batches
    assert await asyncio.to_thread(tables.dead_counts) == {webhook: 1}
    await node.stop()
    node.clock.advance(31 * 86400)
    node.start()

    await node.until_dead_count(webhook, 0)


async def test_replay_from_a_time_sends_all_since_then_in_new_batches(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target, batch_size=10)
    node.append(range(20))
    await node.until_delivered(webhook, target, 2)
    former = [request.batch_id for request in target.batches]
    target.requests.clear()
    shown = await node.webhooks.subscriptions.replay_from(webhook, event(5).timestamp)
    assert shown["from"] == "2026-09-29T13:46:40.005Z"
    await node.until_delivered(webhook, target, 2)
    await target.until(lambda: 19 in target.ids)
    assert target.ids == list(range(5, 20))
    assert not {request.batch_id for request in target.batches} & set(former)
    await node.until_position(webhook, node.feed.end())


async def test_a_replay_in_the_middle_of_an_attempt(node: Node, target: Target) -> None:
    """The batch on its way is withdrawn: what it brings does not move the webhook on over what is to come again."""
    node.start()
    webhook = await node.create(target, batch_size=2)
    go_on = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reply()(reader, writer)

    target.script = [reply(), wait]
    node.append(range(4))
    await target.until_requests(3)
    await node.webhooks.subscriptions.replay_from(webhook, START)
    go_on.set()
    await target.until(lambda: len(target.ids) == 8)
    assert target.ids == [0, 1, 2, 3, 0, 1, 2, 3]
    await node.until_position(webhook, node.feed.end())


async def test_a_replay_from_a_time_that_a_webhook_has_not_reached_passes_over_nothing(
    node: Node, target: Target
) -> None:
    """Somebody whose target was away for hours asks for the last one: what waited longer is not lost by that."""
    node.start()
    webhook = await node.create(target)
    target.always = reply(500)
    node.pauses.held = asyncio.Event()
    node.append(range(6))
    await target.until_requests(2)
    await node.webhooks.subscriptions.replay_from(webhook, event(4).timestamp)
    target.always = reply()
    node.pauses.held.set()
    await node.until_position(webhook, node.feed.end())
    assert [request.ids for request in target.batches] == [list(range(6))] * 2
    assert len({request.batch_id for request in target.batches}) == 1


async def test_a_replay_from_a_time_that_is_not_yet_passes_over_what_waits(node: Node, target: Target) -> None:
    node.start()
    webhook = await node.create(target)
    target.always = reply(500)
    node.pauses.held = asyncio.Event()
    node.append(range(3))
    await target.until_requests(2)
    await node.webhooks.subscriptions.replay_from(webhook, START + 10**9)
    target.always = reply()
    node.pauses.held.set()
    node.append([7])
    await target.until(lambda: 7 in target.ids)
    assert [request.ids for request in target.batches] == [[0, 1, 2], [7]]
