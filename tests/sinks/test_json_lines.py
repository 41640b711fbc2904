"""The files of a JSON lines sink: rotation, upkeep, full disks, log rotation by others, kills."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from tests.sinks.conftest import Node, ids_in, outgoing, running, until
from tests.small_disk import fill, mounted

from mailwake.clock import ManualClock
from mailwake.config.sink_settings import Sink
from mailwake.sinks.json_lines import JsonLines
from mailwake.sinks.own_thread import OwnThread

MIDNIGHT = 1_700_006_400.0
TIMED = re.compile(r"events-\d{8}T\d{6}Z-\d{4}\.jsonl")


def destination(node: Node, path: Path, clock: ManualClock, **settings: object) -> JsonLines:
    sink = Sink(kind="json-lines", path=path, **settings)  # type: ignore[arg-type]
    return JsonLines("s", sink, thread=OwnThread("s"), clock=clock, log=node.logger)


def rotated(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.iterdir() if each.name.startswith("events-"))


def live_and_rotated(path: Path) -> list[str]:
    return [each.name for each in [*rotated(path), path] if each.exists()]


def torn_yesterday(path: Path) -> None:
    path.write_bytes(b'{"event_id":"1"}\n{"event')
    os.utime(path, (MIDNIGHT - 10, MIDNIGHT - 10))


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log" / "events.jsonl"


async def test_it_is_rotated_before_it_exceeds_its_size(node: Node, path: Path) -> None:
    files = destination(node, path, ManualClock(), rotate_size=1000)
    for start in range(0, 60, 20):
        await files.write(outgoing(range(start, start + 20)))
    await files.close()
    everything = [*rotated(path), path]
    assert len(everything) > 5
    assert all(len(content(each)) <= 1000 for each in everything)
    assert all(TIMED.fullmatch(each.name) for each in rotated(path))
    assert ids_in(b"".join(map(content, everything))) == list(range(60))


async def test_a_line_longer_than_the_limit_has_a_file_of_its_own(node: Node, path: Path) -> None:
    files = destination(node, path, ManualClock(), rotate_size=10)
    await files.write(outgoing(range(3)))
    await files.close()
    assert [ids_in(content(each)) for each in [*rotated(path), path]] == [[0], [1], [2]]


async def test_it_is_rotated_on_the_hour_with_and_without_events(node: Node, path: Path) -> None:
    clock = ManualClock(MIDNIGHT - 10)
    files = destination(node, path, clock, rotate_every=3600)
    await files.write(outgoing([1]))
    await files.tend()
    assert rotated(path) == []
    clock.advance(20)
    await files.write(outgoing([2]))
    clock.advance(3600)
    await files.tend()
    await files.tend()
    await files.close()
    assert live_and_rotated(path) == ["events-20231115T000010Z-0001.jsonl", "events-20231115T010010Z-0001.jsonl"]
    assert [ids_in(content(each)) for each in rotated(path)] == [[1], [2]]


async def test_a_file_of_yesterday_is_rotated_after_a_restart(node: Node, path: Path) -> None:
    torn_yesterday(path)
    files = destination(node, path, ManualClock(MIDNIGHT + 50_000), rotate_every=86400)
    await files.write(outgoing([2]))
    await files.close()
    assert [ids_in(content(each)) for each in [*rotated(path), path]] == [[1], [2]]


async def test_names_sort_though_the_clock_goes_back(node: Node, path: Path) -> None:
    clock = ManualClock(MIDNIGHT)
    files = destination(node, path, clock, rotate_size=1)
    for number in range(4):
        await files.write(outgoing([number]))
        clock.jump(-100 if number == 1 else 1)
    await files.close()
    assert [ids_in(content(each))[0] for each in [*rotated(path), path]] == [0, 1, 2, 3]


async def test_numbers_go_on_after_a_restart(node: Node, path: Path) -> None:
    for start in (0, 3):
        files = destination(node, path, ManualClock(), rotate_size=1, rotated_name="number")
        await files.write(outgoing(range(start, start + 3)))
        await files.close()
    assert [each.name for each in rotated(path)] == [f"events-{number:010d}.jsonl" for number in range(1, 6)]
    assert [ids_in(content(each))[0] for each in rotated(path)] == [0, 1, 2, 3, 4]


async def test_old_files_go_and_others_are_compressed(node: Node, path: Path) -> None:
    files = destination(node, path, ManualClock(), rotate_size=1, max_files=3, compress=True, file_mode="0640")
    await files.write(outgoing(range(10)))
    await until(lambda: [each.suffix for each in rotated(path)] == [".gz"] * 3)
    await files.close()
    assert [ids_in(content(each))[0] for each in rotated(path)] == [6, 7, 8]
    assert {each.stat().st_mode & 0o777 for each in rotated(path)} == {0o640}
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


async def test_what_a_kill_left_half_compressed_is_finished(node: Node, path: Path) -> None:
    first, second = (path.with_name(f"events-20260418T142507Z-000{number}.jsonl") for number in (1, 2))
    first.write_bytes(b'{"event_id":"1"}\n')
    first.with_name(f".{first.name}.gz.unfinished").write_bytes(b"half")
    second.write_bytes(b'{"event_id":"2"}\n')
    second.with_name(f"{second.name}.gz").write_bytes(gzip.compress(second.read_bytes()))
    files = destination(node, path, ManualClock(), compress=True)
    await files.tend()
    await until(lambda: len(list(path.parent.iterdir())) == 2)
    await files.close()
    assert [ids_in(content(each)) for each in rotated(path)] == [[1], [2]]


async def test_other_files_are_left_alone(node: Node, path: Path) -> None:
    others = [path.with_name(name) for name in ("events-old.jsonl", "events.jsonl.1", "events-20260418.jsonl", "a")]
    for each in others:
        each.write_bytes(b"x")
    files = destination(node, path, ManualClock(), rotate_size=1, max_files=1, compress=True)
    await files.write(outgoing(range(3)))
    await until(lambda: [each.suffix for each in rotated(path) if "Z-" in each.name] == [".gz"])
    await files.close()
    assert all(each.read_bytes() == b"x" for each in others)


@pytest.mark.parametrize("form", ["webhook", "flat"])
async def test_a_sink_from_the_feed_to_the_file(node: Node, path: Path, form: str) -> None:
    settings = Sink(kind="json-lines", path=path, start="beginning", form=form)  # type: ignore[arg-type]
    node.add_numbers(range(10))
    async with running(*node.sinks({"archive": settings})):
        await until(lambda: node.has_all("archive"))
    assert ids_in(content(path)) == list(range(10))
    line = content(path).splitlines()[0]
    assert line.startswith(b'{"msys":{"track_event":{' if form == "webhook" else b'{"')
    assert (b'"timestamp":"1700000000"' if form == "webhook" else b'"timestamp":"2023-11-14T22:13:20.000Z"') in line


async def test_renamed_away_in_mid_flow(node: Node, path: Path) -> None:
    settings = Sink(kind="json-lines", path=path, start="beginning")
    async with running(*node.sinks({"archive": settings})):
        for number in range(4):
            node.add_numbers(range(number * 10, number * 10 + 10))
            await until(lambda: node.has_all("archive"))
            os.rename(path, path.with_name(f"events.jsonl.{number}"))
    files = [path.with_name(f"events.jsonl.{number}") for number in range(4)]
    assert ids_in(b"".join(each.read_bytes() for each in files)) == list(range(40))


async def test_a_full_disk_waits_and_goes_on(node: Node, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 2) as disk:
        path = disk / "events.jsonl"
        settings = Sink(kind="json-lines", path=path, start="beginning", rotate_size=100_000)
        node.add_numbers(range(10))
        async with running(*node.sinks({"archive": settings})):
            await until(lambda: node.has_all("archive"))
            filler = fill(disk)
            node.add_numbers(range(10, 1000))
            await until(lambda: "a sink fails, its events wait" in node.logged)
            assert "No space left on device; free space" in node.said("a sink fails, its events wait")
            filler.unlink()
            await until(lambda: node.has_all("archive"))
        everything = ids_in(b"".join(map(content, [*rotated(path), path])))
        assert sorted(set(everything)) == list(range(1000))
        assert list(dict.fromkeys(everything)) == list(range(1000))


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.sinks.conftest import Node
from mailwake.config.sink_settings import Sink
from mailwake.sinks import runner

left = int(sys.argv[3])

def dying_at_last(call, half):
    def step(*arguments):
        global left
        left -= 1
        if not left:
            half(call, *arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return step

async def main():
    node = Node(Path(sys.argv[1]))
    os.write = dying_at_last(os.write, lambda write, descriptor, data: write(descriptor, data[: len(data) // 2]))
    os.fdatasync = dying_at_last(os.fdatasync, lambda sync, descriptor: None)
    os.rename = dying_at_last(os.rename, lambda rename, old, new: rename(old, new))
    node.positions.keep = dying_at_last(node.positions.keep, lambda keep, consumer, position: None)
    runner.PAGE_EVENTS = 10
    settings = Sink(kind="json-lines", path=Path(sys.argv[2]), start="beginning", rotate_size=8000)
    (archive,) = node.sinks({"archive": settings})
    await archive.run(asyncio.Event())

asyncio.run(main())
"""


async def test_killed_at_every_step_it_leaves_whole_lines_and_all_of_them(tmp_path: Path, path: Path) -> None:
    node = Node(tmp_path)
    node.add_numbers(range(300))
    for steps in (1, 2, 3, 4, 5, 12, 13, 14):  # of writing, syncing, rotating and keeping the position
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path), str(path), str(steps))
        assert await child.wait() == -signal.SIGKILL
    assert node.positions.get("sink:archive") is not None
    assert not node.has_all("archive")
    async with running(*node.sinks({"archive": Sink(kind="json-lines", path=path, rotate_size=8000)})):
        await until(lambda: node.has_all("archive"))
    node.positions.close()
    node.writer.close()
    everything = ids_in(b"".join(map(content, [*rotated(path), path])))
    assert list(dict.fromkeys(everything)) == list(range(300))
    assert len(everything) > 300
    assert len(rotated(path)) > 3
