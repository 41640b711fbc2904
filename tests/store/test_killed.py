"""Kill -9 in the middle of loads and erasures: every event is there once, and whoever was erased is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.store.conftest import LIMITS
from tests.store.events import event

from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.question import Question

ROOT = Path(__file__).parent.parent.parent


def started(action: str, directory: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-m", "tests.store.store_process", action, str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run_and_kill(action: str, directory: Path, lines: int) -> str:
    """Start a process, read so many lines of it, and kill it at once; the last line."""
    with started(action, directory) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
    assert all(said), "the process ended before it was killed"
    return said[-1]


def run_to_the_end(directory: Path, end: Position) -> None:
    """Let it load all there is."""
    with started("load", directory) as process:
        assert process.stdout is not None
        assert any(Position.parse(line) == end for line in process.stdout)
        process.kill()


async def test_kills_in_the_middle_of_loads_lose_and_double_nothing(tmp_path: Path) -> None:
    writer = FeedWriter(tmp_path / "feed", segment_bytes=200_000)
    numbers = range(8_000)
    for start in range(0, len(numbers), 500):
        writer.append([encode_event(event(number)) for number in numbers[start : start + 500]], {"a": start})
    writer.close()
    reached = [BEGINNING]
    for lines in (1, 9, 4):
        reached.append(Position.parse(run_and_kill("load", tmp_path, lines)))
    assert reached == sorted(reached)
    assert reached[-1] < writer.end  # each kill was in the middle of it

    store = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await store.open()
    before = await store.status()
    assert before.position >= reached[-1]
    assert 0 < before.events < len(numbers)
    # What is there is just what stands before the position: nothing of a load that was not finished.
    found = await store.search(Question(per_page=10_000))
    assert Counter(each.event_id for each in found.events) == Counter(range(before.events))
    assert await store.verify() == []
    store.close()

    run_to_the_end(tmp_path, writer.end)
    store = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await store.open()
    assert (await store.status()).events == len(numbers)
    assert await store.missing(numbers) == set()
    assert await store.verify() == []
    store.close()


async def test_kills_in_the_middle_of_an_erasure_leave_a_whole_file(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await store.open()
    await store.load([event(n, rcpt_to=f"r{n % 100}@example.org") for n in range(10_000)], Position(1, 1))
    store.close()
    erased = 0
    for lines in (2, 4):
        erased = max(
            erased, int(run_and_kill("erase", tmp_path, lines))
        )  # those before it were erased when it was said
    store = DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)
    await store.open()
    for number in range(erased):
        assert (await store.search(Question(recipients=(f"r{number}@example.org",)))).total_count == 0
    status = await store.status()
    assert not status.rewrite_due
    assert status.events in (10_000 - 100 * erased, 10_000 - 100 * (erased + 1))
    assert await store.verify() == []
    store.close()
    assert [each.name for each in sorted((tmp_path / "store").glob("*"))] == [FILE_NAME]
