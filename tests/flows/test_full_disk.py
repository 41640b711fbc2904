"""The collector's disk runs full, really: events wait in the journal, and all of them come when there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.event_harness import Collector, Worker, click, injection
from tests.small_disk import fill, mounted

from mailwake.errors import MailwakeError

MUCH = 2_000
"""Events that need more room in the feed than it has written zeros for."""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Its feed and its other files are on a disk of 6 MB, the journal is elsewhere."""
    (tmp_path / "journal").mkdir()
    with mounted(tmp_path / "node", 6) as disk:
        (disk / "journal").symlink_to(tmp_path / "journal")
        made = Collector(disk)
        yield made
        made.writer.close()
        made.facts.close()


@pytest.mark.parametrize("before", [0, 3])
def test_it_waits_and_goes_on(collector: Collector, before: int) -> None:
    worker = Worker(collector.journal, "tracker-0")
    if before:
        worker.write(*(click(number) for number in range(before)))
        collector.later(10_000)
        assert collector.ids() == list(range(before))
    filler = fill(collector.base)
    worker.write(injection(before), *(click(number, 11_000) for number in range(before + 1, MUCH)))
    for _ in range(3):
        with pytest.raises(MailwakeError, match=r"No space left|disk is full|free space"):
            collector.later(20_000)
    worker.write(click(MUCH, 12_000))
    filler.unlink()
    collector.later(20_000)
    assert collector.ids() == list(range(MUCH + 1))
    assert collector.events()[-1].subject == "Hello"


def test_a_restart_while_it_is_full_loses_nothing_either(collector: Collector) -> None:
    worker = Worker(collector.journal, "tracker-0")
    worker.write(*(click(number) for number in range(3)))
    collector.later(10_000)
    filler = fill(collector.base)
    worker.write(*(click(number, 11_000) for number in range(3, MUCH)))
    with pytest.raises(MailwakeError):
        collector.later(20_000)
    collector.writer.close()
    collector.facts.close()
    filler.unlink()
    collector.start()
    collector.later(20_000)
    assert collector.ids() == list(range(MUCH))
