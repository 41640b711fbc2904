"""Kafka, against librdkafka's mock cluster: confirmed, in order, nothing lost when brokers fail or go away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sinks.conftest import Node, event, event_id, outgoing, running, until
from tests.sinks.mock_kafka import (
    MESSAGE_TOO_LARGE,
    NOT_LEADER,
    REQUEST_TIMED_OUT,
    TOPIC_AUTHORIZATION_FAILED,
    MockKafka,
)

from mailwake.config.sink_settings import Sink
from mailwake.errors import StartupError
from mailwake.events.model import EventType
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.kafka import KafkaTopic, make_producer, read_properties
from mailwake.sinks.own_thread import OwnThread


@pytest.fixture
def cluster() -> Iterator[MockKafka]:
    cluster = MockKafka()
    yield cluster
    cluster.close()


def settings(cluster: MockKafka | None, **others: Any) -> Sink:
    addresses = cluster.addresses if cluster is not None else ("127.0.0.1:1",)
    return Sink(kind="kafka", brokers=addresses, start="beginning", **others)


async def ids_in(cluster: MockKafka, count: int) -> list[int]:
    found = await asyncio.to_thread(cluster.messages, "mailwake-events", count)
    return [event_id(each.value() or b"") for each in found]


async def test_a_message_is_all_that_it_should_be(node: Node, cluster: MockKafka) -> None:
    cluster.create_topic("mail.open.42", 1)
    node.add([event(7, kind=EventType.OPEN, customer="42")])
    async with running(*node.sinks({"k": settings(cluster, topic="mail.{type}.{customer}")})):
        await until(lambda: node.has_all("k"))
    (message,) = await asyncio.to_thread(cluster.messages, "mail.open.42", 1)
    assert message.key() == b"7"
    assert message.headers() == [("event_id", b"7"), ("type", b"open")]
    assert message.timestamp()[1] == event(7).timestamp
    assert (message.value() or b"").startswith(b'{"msys":{"track_event":{')


async def test_all_of_them_in_order(node: Node, cluster: MockKafka) -> None:
    cluster.create_topic("mailwake-events", 1)
    node.add_numbers(range(2500))
    async with running(*node.sinks({"k": settings(cluster)})):
        await until(lambda: node.has_all("k"))
    assert await ids_in(cluster, 2500) == list(range(2500))


@pytest.mark.parametrize("error", [NOT_LEADER, REQUEST_TIMED_OUT])
async def test_passing_errors_of_a_broker_lose_and_disorder_nothing(node: Node, cluster: MockKafka, error: int) -> None:
    cluster.create_topic("mailwake-events", 1)
    cluster.fail_next(*[error] * 3)
    node.add_numbers(range(300))
    async with running(*node.sinks({"k": settings(cluster)})):
        await until(lambda: node.has_all("k"))
    assert await ids_in(cluster, 300) == list(range(300))


@pytest.mark.parametrize(
    ("error", "said"),
    [(TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed"), (MESSAGE_TOO_LARGE, "Message size too large")],
)
async def test_a_refusal_is_said_and_tried_again_in_order(
    node: Node, cluster: MockKafka, error: int, said: str
) -> None:
    cluster.create_topic("mailwake-events", 1)
    node.add_numbers(range(300))
    cluster.fail_next(error)
    async with running(*node.sinks({"k": settings(cluster, librdkafka={"batch.num.messages": "50"})})):
        await until(lambda: node.has_all("k"))
    assert said.lower() in node.said("a sink fails, its events wait").lower()
    assert "a sink is back" in node.logged
    found = await ids_in(cluster, 300)
    assert list(dict.fromkeys(found)) == list(range(300))


async def test_brokers_that_are_down_are_waited_for(node: Node, cluster: MockKafka) -> None:
    cluster.create_topic("mailwake-events", 1)
    quick = {"reconnect.backoff.ms": "10", "reconnect.backoff.max.ms": "50"}
    node.add_numbers(range(100))
    async with running(*node.sinks({"k": settings(cluster, timeout=2, librdkafka=quick)})):
        await until(lambda: node.has_all("k"))
        failures = node.counted("sink_failures_total", "k")
        cluster.down()
        node.add_numbers(range(100, 200))
        await until(lambda: node.counted("sink_failures_total", "k") > failures)
        assert not node.has_all("k")
        cluster.up()
        await until(lambda: node.has_all("k"))
    assert "Kafka confirms nothing for 2 seconds" in node.said("a sink fails, its events wait")
    found = await ids_in(cluster, 200)
    assert list(dict.fromkeys(found)) == list(range(200))


async def test_what_has_one_key_keeps_its_order_in_many_partitions(node: Node, cluster: MockKafka) -> None:
    cluster.create_topic("mailwake-events", 4)
    node.add(event(number, customer=f"c{number % 7}") for number in range(500))
    async with running(*node.sinks({"k": settings(cluster, key="customer_id", form="flat")})):
        await until(lambda: node.has_all("k"))
    messages = await asyncio.to_thread(cluster.messages, "mailwake-events", 500, 4)
    by_key: dict[bytes, list[int]] = {}
    for each in messages:
        by_key.setdefault(each.key() or b"", []).append(event_id(each.value() or b""))
    assert all(ids == sorted(ids) for ids in by_key.values())
    assert len({each.partition() for each in messages}) > 1


async def test_a_position_is_kept_only_when_all_is_confirmed(node: Node) -> None:
    node.add_numbers(range(10))
    async with running(*node.sinks({"k": settings(None, timeout=0.2)})):
        await until(lambda: "a sink fails, its events wait" in node.logged)
    assert not node.has_all("k")
    assert node.said("a sink fails, its events wait").startswith("Kafka confirms nothing for 0.2 seconds")


async def test_an_end_in_the_middle_does_not_wait(node: Node) -> None:
    thread = OwnThread("k")
    topic = KafkaTopic(settings(None), thread)
    writing = asyncio.create_task(topic.write(outgoing(range(3))))
    await until(lambda: topic._producer)
    thread.ending.set()
    with pytest.raises(DestinationError, match="they come again after the next start"):
        await writing
    await topic.close()
    thread.end()


async def test_an_event_that_is_too_long_is_named(cluster: MockKafka) -> None:
    thread = OwnThread("k")
    topic = KafkaTopic(settings(cluster, librdkafka={"message.max.bytes": "1000"}), thread)
    (short,) = outgoing([9])
    with pytest.raises(DestinationError, match=r"Kafka refuses event 9: .*[Mm]essage size too large"):
        await topic.write([short._replace(content=short.content * 20)])
    await topic.close()
    thread.end()


def test_settings_that_librdkafka_does_not_know_are_said(tmp_path: Path) -> None:
    for librdkafka, problem in (
        ({"security.protocl": "ssl"}, 'librdkafka: No such configuration property: "security.protocl"'),
        ({"security.protocol": "sll"}, "librdkafka: Invalid value"),
    ):
        with pytest.raises(StartupError, match=problem):
            make_producer(settings(None, librdkafka=librdkafka))


def test_properties_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# of the cluster\n\nsasl.username = mailwake\nsasl.password=a=b#c\n")
    assert read_properties(file) == {"sasl.username": "mailwake", "sasl.password": "a=b#c"}
    for text, problem in (("x\n", ":1: is no NAME=VALUE"), ("a=b\nacks=1", ":2: acks is mailwake's own; remove it")):
        file.write_text(text)
        with pytest.raises(StartupError, match=problem):
            read_properties(file)
    with pytest.raises(StartupError, match="missing: cannot be read: No such file or directory"):
        read_properties(tmp_path / "missing")
