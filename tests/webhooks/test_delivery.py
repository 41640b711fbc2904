"""Batches on their way: order, retries with the same id, giving up, restarts in the middle of each step."""

from __future__ import annotations

from tests.webhooks.conftest import Node, Target


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
