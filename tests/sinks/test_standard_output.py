"""Lines on a descriptor that others share: whole, in order, and only as fast as somebody reads."""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sinks.conftest import Node, event, ids_in, outgoing, running, until

from mailwake.config.sink_settings import Sink
from mailwake.sinks import runner
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.own_thread import OwnThread
from mailwake.sinks.standard_output import StandardOutput


@dataclass
class Pipe:
    reader: int
    writer: int

    def close(self, end: str) -> None:
        os.close(getattr(self, end))
        setattr(self, end, -1)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(*os.pipe())
    yield pipe
    for end in ("reader", "writer"):
        if getattr(pipe, end) >= 0:
            pipe.close(end)


def read_all(descriptor: int, into: bytearray) -> threading.Thread:
    def read() -> None:
        while octets := os.read(descriptor, 1 << 16):
            into.extend(octets)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


async def test_all_events_through_a_pipe(node: Node, pipe: Pipe) -> None:
    found = bytearray()
    reading = read_all(pipe.reader, found)
    node.add_numbers(range(3000))
    settings = Sink(kind="stdout", start="beginning", form="flat")
    async with running(*node.sinks({"out": settings}, output=pipe.writer)):
        await until(lambda: node.has_all("out"))
    pipe.close("writer")
    reading.join()
    assert ids_in(bytes(found)) == list(range(3000))


async def test_a_reader_that_stands_still_holds_it_up_and_nothing_is_lost(
    node: Node, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.1)
    node.add_numbers(range(3000))
    settings = Sink(kind="stdout", start="beginning", form="flat")
    async with running(*node.sinks({"out": settings}, output=pipe.writer)):
        await until(lambda: not select.select([], [pipe.writer], [], 0)[1])
    assert not node.has_all("out")
    found = bytearray()
    reading = read_all(pipe.reader, found)
    async with running(*node.sinks({"out": settings}, output=pipe.writer)):
        await until(lambda: node.has_all("out"))
    pipe.close("writer")
    reading.join()
    ids = ids_in(bytes(found))
    assert list(dict.fromkeys(ids)) == list(range(3000))


async def test_lines_of_others_never_stand_inside_ours(pipe: Pipe) -> None:
    found = bytearray()
    reading = read_all(pipe.reader, found)
    done = threading.Event()

    def log() -> None:
        while not done.is_set():
            os.write(pipe.writer, b"LOG a line of the log\n")

    logging = threading.Thread(target=log)
    logging.start()
    thread = OwnThread("out")
    await StandardOutput(pipe.writer, thread).write(outgoing(range(3000)))
    thread.end()
    done.set()
    logging.join()
    pipe.close("writer")
    reading.join()
    lines = bytes(found).splitlines(keepends=True)
    assert ids_in(b"".join(line for line in lines if not line.startswith(b"LOG"))) == list(range(3000))
    assert {line for line in lines if line.startswith(b"LOG")} == {b"LOG a line of the log\n"}


async def test_a_line_longer_than_the_pipe_takes_at_once(node: Node, pipe: Pipe) -> None:
    found = bytearray()
    reading = read_all(pipe.reader, found)
    node.add([event(1, target_link_url="x" * 200_000), event(2)])
    settings = Sink(kind="stdout", start="beginning")
    async with running(*node.sinks({"out": settings}, output=pipe.writer)):
        await until(lambda: node.has_all("out"))
    pipe.close("writer")
    reading.join()
    assert ids_in(bytes(found)) == [1, 2]


async def test_a_reader_that_has_gone_is_waited_for(node: Node, pipe: Pipe) -> None:
    pipe.close("reader")
    node.add_numbers(range(3))
    async with running(*node.sinks({"out": Sink(kind="stdout", start="beginning")}, output=pipe.writer)):
        await until(lambda: node.counted("sink_failures_total", "out") > 1)
    assert node.said("a sink fails, its events wait") == "standard output: Broken pipe; its reader has gone"


async def test_a_line_begun_before_an_error_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    thread = OwnThread("out")
    output = StandardOutput(descriptor, thread)
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:100])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DestinationError, match="No space left on device; free space"):
        await output.write(outgoing([1]))
    monkeypatch.undo()
    await output.write(outgoing([1, 2]))
    thread.end()
    os.close(descriptor)
    torn, *whole = (await asyncio.to_thread((tmp_path / "out").read_bytes)).splitlines(keepends=True)
    assert len(torn) == 101
    assert ids_in(b"".join(whole)) == [1, 2]
