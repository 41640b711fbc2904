"""Loss of power between journal and feed: what was not synced is partly gone, and each event comes once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.flows.event_harness import HOLD_MS, START_MS, Collector, Worker, click

from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.segments import segments_in
from mailwake.journal.frame import SEGMENT_HEADER, frame
from mailwake.journal.segment_file import Disk

if TYPE_CHECKING:
    from pathlib import Path


class LossOfPower(Exception):  # noqa: N818  # nothing handles it
    pass


class Machine(Disk):
    """Writes, and loses power after so many syncs, before the next one is done."""

    syncs_left: int | None = None

    def sync(self, descriptor: int) -> None:
        if self.syncs_left is not None:
            if not self.syncs_left:
                raise LossOfPower
            self.syncs_left -= 1
        super().sync(descriptor)


def spoil(path: Path, durable: int, rng: Random) -> None:
    """Leave of the octets behind `durable` what a disk may: each block of them written, or not, or half."""
    content = bytearray(path.read_bytes())
    used = len(content.rstrip(b"\0"))
    for _ in range(rng.randint(0, 3)):
        if used > durable:
            place = rng.randint(durable, used - 1)
            length = min(rng.choice([1, 30, 512]), len(content) - place)
            zeros = rng.random() < 0.5
            content[place : place + length] = bytes(length) if zeros else rng.randbytes(length)
    if rng.random() < 0.5:
        del content[rng.randint(durable, max(durable, used)) :]
    path.write_bytes(content)


class Node:
    """Two workers, the collector, and a consumer that reads along; all of them lose power together."""

    def __init__(self, base: Path) -> None:
        self.machine = Machine()
        self.collector = Collector(base, self.machine)
        self.consumed: list[int] = []
        self._positions = PositionsFile(base / "positions.sqlite3")
        self._begin_workers()

    def _begin_workers(self) -> None:
        self.workers = [Worker(self.collector.journal, f"tracker-{number}") for number in range(2)]

    def consume(self) -> None:
        page = self.collector.feed.read(self._positions.get("consumer") or BEGINNING)
        self.consumed += [each.event.event_id for each in page.events]
        self._positions.keep("consumer", page.position)

    def lose_power(self, rng: Random) -> None:
        feed, end = segments_in(self.collector.base / "feed"), self.collector.writer.end
        contents = [segment.path.read_bytes() for segment in feed]
        self.collector.writer.close()  # lets go of its lock; what it cuts off is put back
        self._spoil_workers(rng)
        for segment, content in zip(feed, contents, strict=True):
            segment.path.write_bytes(content)
            if segment.number >= end.segment:
                durable = end.offset if segment.number == end.segment else len(SEGMENT_HEADER)
                spoil(segment.path, durable, rng)
        self.machine.syncs_left = None
        self.collector.start()
        self._begin_workers()

    def _spoil_workers(self, rng: Random) -> None:
        # A record that nobody was answered for is half there.
        for worker in self.workers:
            durable, path = worker.segment.size, worker.segment.path
            worker.segment.close()
            half = frame(click(999))
            with path.open("ab") as file:
                file.write(half[: rng.randint(0, len(half) - 1)])
            spoil(path, durable, rng)


@pytest.mark.parametrize("seed", range(15))
def test_no_event_is_missing_and_none_comes_twice(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    node = Node(tmp_path)
    number = 0
    for _ in range(rng.randint(1, 6)):
        for worker in node.workers:
            for _ in range(rng.randint(0, 3)):
                number += 1
                worker.write(click(number, int(node.collector.clock.now() * 1000) - START_MS))
        node.machine.syncs_left = rng.choice([None, 1, 1, 2, 3])
        try:
            node.collector.later(rng.randint(0, 2 * HOLD_MS))
        except LossOfPower:
            node.lose_power(rng)
        node.machine.syncs_left = None
        if rng.random() < 0.5:
            node.consume()
    node.collector.later(10 * HOLD_MS)
    node.consume()
    assert sorted(node.collector.ids()) == list(range(1, number + 1))
    assert sorted(node.consumed) == list(range(1, number + 1))


@pytest.mark.parametrize("seed", range(12))
def test_a_consumers_position_never_runs_ahead(tmp_path: Path, seed: int) -> None:
    """Whatever becomes of the end of the file that SQLite writes first: a position is an earlier one, or the last."""
    rng = Random(seed)
    base = tmp_path / "before"
    base.mkdir()
    path, log = base / "positions.sqlite3", base / "positions.sqlite3-wal"
    positions = PositionsFile(path)
    kept: list[Position | None] = [None]
    durable = [log.stat().st_size]
    for offset in range(1, 5):
        positions.keep("store", Position(1, offset))
        kept.append(Position(1, offset))
        durable.append(log.stat().st_size)
    last = rng.randint(0, 4)
    elsewhere = tmp_path / path.name
    elsewhere.write_bytes(path.read_bytes())
    log_after = elsewhere.with_name(log.name)
    log_after.write_bytes(log.read_bytes())
    spoil(log_after, durable[last], rng)
    positions.close()
    again = PositionsFile(elsewhere)
    assert again.get("store") in kept[last:]
    again.keep("store", BEGINNING)
    again.close()
