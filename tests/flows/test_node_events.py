"""Looking on: the feed and the journal as one list of events, while the collector runs, stops and starts."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest
from tests.flows.event_harness import HOLD_MS, Collector, Worker, click

from mailwake.feed.contract import BEGINNING
from mailwake.feed.lock import is_written
from mailwake.flows.node_events import NodeEvents, Seen
from mailwake.links.token import decode_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


@pytest.fixture
def running(collector: Collector) -> Iterator[Callable[[bool], None]]:
    """Says whether a collector counts as running: whether somebody has the feed's lock."""
    (collector.base / "feed").mkdir(exist_ok=True)
    descriptor = os.open(collector.base / "feed" / "lock", os.O_RDWR | os.O_CREAT)

    def set_running(is_running: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX if is_running else fcntl.LOCK_UN)

    yield set_running
    os.close(descriptor)


def node_events(collector: Collector) -> NodeEvents:
    return NodeEvents(collector.base / "feed", collector.journal, decode_body)


def shown(batches: Iterator[Seen]) -> list[int]:
    ids = []
    for seen in batches:
        assert not seen.troubles
        ids += [event.event_id for event in seen.events]
    return ids


def test_without_a_collector_there_is_the_journal(collector: Collector) -> None:
    Worker(collector.journal, "tracker-0").write(click(1), click(2, 5))
    assert shown(node_events(collector).batches(BEGINNING)) == [1, 2]


def test_what_is_not_in_the_feed_yet_follows_it(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1), click(2, 5))
    collector.later(HOLD_MS + 10)
    worker.write(click(3, HOLD_MS + 10))
    collector.later(1)
    assert collector.ids() == [1, 2]
    assert shown(node_events(collector).batches(BEGINNING)) == [1, 2, 3]


def test_an_event_that_is_merged_meanwhile_is_shown_once(collector: Collector, running: Callable[[bool], None]) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1))
    collector.later(10_000)
    steps: list[Callable[[], None]] = [
        lambda: worker.write(click(2, 10_000)),  # no collector runs: it comes from the journal
        lambda: running(True),
        lambda: collector.later(10_000),  # and into the feed
        lambda: worker.write(click(3, 30_000)),
        lambda: collector.later(20_000),
        lambda: running(False),  # the collector ends
        lambda: worker.write(click(4, 41_000)),
        lambda: collector.later(50_000),  # another merges, without being seen to run
    ]

    def wait(seconds: float) -> bool:
        if not steps:
            return True
        steps.pop(0)()
        return False

    assert shown(node_events(collector).batches(BEGINNING, wait=wait)) == [1, 2, 3, 4]


def test_while_the_collector_runs_events_come_as_it_completes_them(
    collector: Collector, running: Callable[[bool], None]
) -> None:
    running(True)
    assert is_written(collector.base / "feed")
    worker = Worker(collector.journal, "tracker-0")
    worker.write(click(1))
    pauses = iter((0, 10_000))

    def wait(seconds: float) -> bool:
        pause = next(pauses, None)
        if pause is not None:
            collector.later(pause)
        return pause is None

    (seen,) = [each for each in node_events(collector).batches(BEGINNING, wait=wait) if each.events]
    assert seen.events[0].agent_family == "seen 1"


def test_what_cannot_be_read_is_said_and_passed_over(collector: Collector) -> None:
    Worker(collector.journal, "tracker-0").write(b"\xc1", click(1))
    (seen,) = [each for each in node_events(collector).batches(BEGINNING) if each.events]
    assert [event.event_id for event in seen.events] == [1]
    assert len(seen.troubles) == 1
    assert "cannot be read" in seen.troubles[0]


def test_a_feed_that_does_not_exist_has_no_collector(tmp_path: Path) -> None:
    assert not is_written(tmp_path / "feed")
