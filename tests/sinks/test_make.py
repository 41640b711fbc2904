"""Which sinks run, whose positions are forgotten, and what is said before anything runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.feed.conftest import payloads
from tests.sinks.conftest import Node, outgoing, running, until

from mailwake.config.sink_settings import Sink
from mailwake.errors import StartupError
from mailwake.feed.contract import Position
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.make import check_sinks
from mailwake.sinks.own_thread import OwnThread
from mailwake.sinks.standard_output import StandardOutput

KAFKA = Sink(kind="kafka", brokers=("127.0.0.1:1",))
NATS = Sink(kind="nats", servers=("nats://127.0.0.1:1",))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for sink, module, extra in ((KAFKA, "confluent_kafka", "kafka"), (NATS, "nats", "nats")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            patch.setattr("importlib.util.find_spec", lambda name: None)
            patch.setattr("mailwake.sinks.make.find_spec", lambda name: None)
            with pytest.raises(StartupError) as caught:
                check_sinks({"a": sink})
        assert str(caught.value) == (
            f"sinks.a: kind = \"{extra}\" needs a package that is not installed: pip install 'mailwake[{extra}]'"
        )


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        (
            {"kind": "kafka", "brokers": ("k:1",), "librdkafka": {"x": "1"}},
            "sinks.a: librdkafka: No such",
        ),
        (
            {"kind": "kafka", "brokers": ("k:1",), "librdkafka_file": Path("/missing")},
            "sinks.a: /missing: cannot",
        ),
        (
            {"kind": "nats", "servers": ("nats://n:1",), "tls_ca_file": Path("/missing")},
            "sinks.a: /missing: cannot",
        ),
        (
            {"kind": "json-lines", "path": Path("/")},
            "sinks.a: path: / is a directory; name a file in it",
        ),
    ],
)
def test_what_cannot_work_is_said_at_the_start(others: dict[str, Any], problem: str) -> None:
    with pytest.raises(StartupError) as caught:
        check_sinks({"a": Sink(**others)})
    assert str(caught.value).startswith(problem)


def test_what_may_come_by_and_by_is_not_asked_for() -> None:
    check_sinks({"a": KAFKA, "b": NATS, "c": Sink(kind="json-lines", path=Path("/missing/events.jsonl"))})


def test_an_inactive_sink_keeps_its_position_and_a_removed_one_does_not(node: Node) -> None:
    for consumer in ("sink:paused", "sink:gone", "webhook:gone", "store"):
        node.positions.keep(consumer, Position(1, 2))
    assert node.sinks({"paused": Sink(kind="stdout", active=False)}) == []
    assert set(node.positions.all()) == {"sink:paused", "webhook:gone", "store"}
    assert node.said("a sink is configured no more, its position is forgotten", "sink") == "gone"


def test_a_new_sink_begins_when_it_is_made_and_not_only_when_it_runs(node: Node) -> None:
    node.writer.append(payloads([1]), {})
    node.sinks({"new": Sink(kind="stdout"), "old": Sink(kind="stdout", start="beginning")})
    begun = node.positions.get("sink:new")
    assert begun == node.feed.end()
    node.writer.append(payloads([2]), {})
    assert [each.event.event_id for each in node.feed.read(begun).events] == [2]
    assert node.positions.get("sink:old") is None
    node.sinks({"new": Sink(kind="stdout")})
    assert node.positions.get("sink:new") == begun


async def test_a_runner_can_be_begun_again(node: Node) -> None:
    read, write = os.pipe()
    (runner,) = node.sinks({"out": Sink(kind="stdout", start="beginning")}, output=write)
    for number in range(2):
        node.add_numbers([number])
        async with running(runner):
            await until(lambda: node.has_all("out"))
    os.close(write)
    os.close(read)


async def test_a_closed_standard_output_is_said() -> None:
    thread = OwnThread("out")
    with pytest.raises(DestinationError, match="standard output: it is closed"):
        await StandardOutput(-1, thread).write(outgoing([1]))
    thread.end()
