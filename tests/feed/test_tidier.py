"""Tidying real files: what is merged and read goes, the rest stays, and the log says who holds what."""

from __future__ import annotations

import asyncio
import fcntl
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.feed.conftest import payloads

from mailwake.clock import ManualClock
from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.reader import FeedReader
from mailwake.feed.retention import Limits
from mailwake.feed.segments import segments_in
from mailwake.feed.tidier import Tidier
from mailwake.feed.writer import FeedWriter
from mailwake.journal.frame import SEGMENT_HEADER, frame
from mailwake.metrics import Metrics

DAY = 86_400
HEADER = len(SEGMENT_HEADER)


class Node:
    """A journal and a feed in a directory, and what tidies them."""

    def __init__(self, base: Path, limits: Limits | None = None, min_free_space: int = 0) -> None:
        self.journal = base / "journal"
        self.journal.mkdir()
        self.feed = base / "feed"
        self.clock = ManualClock(now=time.time())
        self.writer = FeedWriter(self.feed, clock=self.clock)
        self.positions = PositionsFile(base / "positions.sqlite3")
        self.metrics = Metrics()
        self.log = structlog.testing.CapturingLogger()
        self.closed_segments = asyncio.Lock()
        self.tidier = Tidier(
            self.journal,
            self.feed,
            self.positions,
            lambda: self.writer.cursor,
            limits or Limits(30 * DAY),
            min_free_space=min_free_space,
            clock=self.clock,
            metrics=self.metrics,
            log=self.log,
            closed_segments=self.closed_segments,
        )

    def segment(self, name: str, *contents: bytes, tail: bytes = b"") -> Path:
        path = self.journal / f"{name}.segment"
        path.write_bytes(SEGMENT_HEADER + b"".join(map(frame, contents)) + tail)
        return path

    def names(self) -> set[str]:
        return {path.name.removesuffix(".segment") for path in self.journal.iterdir()}

    def numbers(self) -> list[int]:
        return [each.number for each in segments_in(self.feed)]

    def said(self) -> list[dict[str, Any]]:
        """What was logged since the last time."""
        lines = [{"level": call.method_name, "event": call.args[0], **call.kwargs} for call in self.log.calls]
        self.log.calls.clear()
        return lines

    def metric(self, name: str, *labels: str) -> float:
        return self.metrics.counter(name, *labels).value


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_nothing_is_deleted_while_somebody_replaces_segments(node: Node) -> None:
    done = node.segment("done-1", b"one")
    node.writer.append(payloads([1]), {done.name: HEADER + 11})
    node.clock.advance(3700)
    async with node.closed_segments:
        tidying = asyncio.create_task(node.tidier.tidy())
        await asyncio.wait({tidying}, timeout=0.2)
        assert node.names() == {"done-1"}
    await tidying
    assert node.names() == set()


async def test_a_journal_segment_goes_an_hour_after_all_of_it_was_merged(node: Node) -> None:
    done = node.segment("done-1", b"one", b"two", tail=bytes(5000))
    half = node.segment("half-1", b"one", b"two")
    node.segment("new-1", b"one")
    node.writer.append(payloads([1]), {done.name: HEADER + 22, half.name: HEADER + 11})
    await node.tidier.tidy()
    assert node.names() == {"done-1", "half-1", "new-1"}  # they stay for a while
    node.clock.advance(3700)
    await node.tidier.tidy()
    assert node.names() == {"half-1", "new-1"}
    assert node.metric("journal_octets") == sum(path.stat().st_size for path in node.journal.iterdir())


async def test_a_segment_that_is_written_stays(node: Node) -> None:
    path = node.segment("w-1", b"one")
    node.writer.append(payloads([1]), {path.name: HEADER + 11})
    node.clock.advance(DAY)
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        await node.tidier.tidy()
        assert node.names() == {"w-1"}
    await node.tidier.tidy()
    assert node.names() == set()


async def test_a_damaged_segment_is_put_aside_and_goes_when_events_of_its_time_go(node: Node) -> None:
    path = node.segment("w-1", b"one", tail=b"#" * 9)
    content = path.read_bytes()
    node.writer.append(payloads([1]), {path.name: HEADER + 11})
    node.clock.advance(DAY)
    await node.tidier.tidy()
    assert node.names() == {"w-1"}  # the damage is not behind the cursor yet: it has not been told of
    node.writer.append(payloads([2]), {path.name: path.stat().st_size})
    await node.tidier.tidy()
    aside = node.journal / "damaged" / path.name
    assert aside.read_bytes() == content
    assert [line["octets"] for line in node.said() if "put aside" in str(line["event"])] == [9]
    await node.tidier.tidy()
    assert aside.exists()
    node.clock.advance(30 * DAY)
    await node.tidier.tidy()
    assert not aside.exists()


async def test_what_a_kill_left_behind_goes(node: Node) -> None:
    fill(node, 0)
    hidden = node.journal / ".smtp-0-1.segment"
    hidden.write_bytes(SEGMENT_HEADER)
    await node.tidier.tidy()
    assert hidden.exists()
    node.clock.advance(2 * DAY)
    await node.tidier.tidy()
    assert not hidden.exists()


def fill(node: Node, segments: int) -> None:
    for number in range(segments):
        node.writer.append(payloads([number]), {})
        node.writer.roll()
    node.writer.append(payloads([segments]), {})


async def test_old_feed_segments_go_when_everybody_has_read_them(node: Node) -> None:
    fill(node, 3)
    node.positions.keep("store", node.writer.end)
    await node.tidier.tidy()
    assert node.numbers() == [1, 2, 3, 4]
    node.clock.advance(31 * DAY)
    await node.tidier.tidy()
    assert node.numbers() == [4]
    assert node.metric("feed_octets") == segments_in(node.feed)[0].path.stat().st_size


async def test_an_idle_feed_ends_its_segment_and_keeps_what_it_knows(node: Node) -> None:
    node.writer.append(payloads([1]), {"a": 7})
    node.clock.advance(31 * DAY)
    node.writer.roll_if_old()
    node.writer.roll_if_old()  # a segment without events is never old
    assert node.numbers() == [1, 2]
    node.clock.advance(31 * DAY)
    node.writer.roll_if_old()
    await node.tidier.tidy()
    assert node.numbers() == [2]
    again = FeedWriter(node.feed)
    assert again.cursor == {"a": 7}
    again.append(payloads([2]), {"a": 8})
    assert [each.event.event_id for each in FeedReader(node.feed).read(BEGINNING).events] == [2]


async def test_size_counts_as_well(tmp_path: Path) -> None:
    node = Node(tmp_path, Limits(365 * DAY, max_octets=1))
    fill(node, 3)
    await node.tidier.tidy()
    assert node.numbers() == [4]


async def test_who_holds_events_is_said_once_an_hour_and_measured(tmp_path: Path) -> None:
    node = Node(tmp_path, Limits(0))
    fill(node, 2)
    first, second, _ = (each.path.stat().st_size for each in segments_in(node.feed))
    node.positions.keep("webhook:7", Position(1, 0))
    node.positions.keep("store", node.writer.end)
    node.clock.advance(60)
    await node.tidier.tidy()
    node.clock.advance(60)
    await node.tidier.tidy()
    (line,) = node.said()
    assert (line["consumer"], line["octets"]) == ("webhook:7", first + second)
    assert node.metric("feed_lag_octets", "webhook:7") >= first + second
    assert node.metric("feed_lag_octets", "store") == node.metric("feed_lag_seconds", "store") == 0
    assert node.metric("feed_lag_seconds", "webhook:7") >= 0
    node.clock.advance(3600)
    await node.tidier.tidy()
    assert len(node.said()) == 1
    node.positions.forget("webhook:7")
    await node.tidier.tidy()
    assert node.numbers() == [3]
    assert node.metric("feed_lag_octets", "webhook:7") == 0


async def test_a_nearly_full_disk_gets_what_may_go_and_no_more(tmp_path: Path) -> None:
    node = Node(tmp_path, Limits(365 * DAY), min_free_space=1 << 60)
    fill(node, 3)
    done = node.segment("done-1", b"one")
    node.segment("new-1", b"one")
    node.writer.append(payloads([9]), {done.name: HEADER + 11})
    node.positions.keep("slow", Position(2, 1 << 20))
    await node.tidier.tidy()
    assert node.numbers() == [3, 4]  # the third is not read
    assert node.names() == {"new-1"}
    lines = node.said()
    assert [line["level"] for line in lines if "nearly full" in str(line["event"])] == ["error"]
    await node.tidier.tidy()
    assert not [line for line in node.said() if "nearly full" in str(line["event"])]  # once


async def test_a_disk_that_refuses_is_said_and_tried_again(node: Node) -> None:
    fill(node, 1)
    node.positions.close()
    await node.tidier.tidy()
    assert [line["event"] for line in node.said()] == ["the journal cannot be tidied"]
