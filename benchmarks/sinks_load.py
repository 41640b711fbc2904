"""Each kind of sink by itself: a feed of clicks, read, made into JSON, handed on, and the positions kept.

    benchmarks/sinks [--events 50000] [--kinds json-lines stdout kafka nats]

JSON lines go to the disk of the temporary directory, standard output into `cat`, Kafka is librdkafka's mock cluster of
three brokers in this process (so its CPU time is counted here, too), NATS a real nats-server with JetStream on files.
One event at a time is what the last row of NATS shows: `max_in_flight = 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import uvloop
from benchmarks.machine import describe_machine

from mailwake.clock import SystemClock
from mailwake.config.sink_settings import Sink
from mailwake.events.model import Event, EventType
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.payload import encode_event
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.writer import FeedWriter
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.sinks.make import make_sinks

START = 1_700_000_000_000
KINDS = ("json-lines", "stdout", "kafka", "nats")


def click(number: int) -> Event:
    """A click as the collector completes it."""
    return Event(
        type=EventType.CLICK,
        event_id=250_000_000_000_000_000 + number,
        timestamp=START + number,
        message_id=f"{number:020x}",
        transmission_id=249_000_000_000_000_000 + number // 1000,
        customer_id="42",
        campaign_id="autumn-offers",
        rcpt_to=f"recipient{number}@rcpt.example",
        raw_rcpt_to=f"Recipient{number}@rcpt.example",
        recipient_domain="rcpt.example",
        routing_domain="rcpt.example",
        rcpt_meta={"customer": "4711", "segment": "returning"},
        rcpt_tags=("news", "autumn"),
        friendly_from="news@sender.example",
        msg_from="bounces@sender.example",
        sending_domain="sender.example",
        subject="Three things to read this weekend",
        msg_size=25_321,
        injection_time=START - 60_000,
        open_tracking=True,
        click_tracking=True,
        node_name="node1.example.com",
        delv_method="esmtp",
        ip_address="198.51.100.7",
        user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
        target_link_url="https://www.shop.example/offers/autumn?item=4711&from=newsletter",
        target_link_name="autumn offers",
        agent_family="Chrome",
        os_family="Windows",
        os_version="10",
        is_mobile=False,
        is_proxy=False,
        is_prefetched=False,
        country="DE",
        city="Berlin",
        latitude=52.52,
        longitude=13.405,
        is_bot=False,
        bot_confidence=0.1,
    )


async def measure(directory: Path, title: str, sink: Sink, events: int, output: int = 1) -> None:
    """Let the sink hand on the first so many events of the feed, and print its row."""
    writer = FeedWriter(directory / "feed")
    feed = LiveFeed(directory / "feed", writer)
    with contextlib.closing(PositionsFile(directory / "positions.sqlite3")) as positions:
        positions.forget("sink:bench")
        metrics = Metrics()
        (runner,) = make_sinks(
            {"bench": replace(sink, start="beginning")},
            feed,
            positions,
            output=output,
            log=make_logger("human", "warning"),
            metrics=metrics,
            clock=SystemClock(),
        )
        handed_on = metrics.counter("sink_events_total", "bench")
        stop = asyncio.Event()
        began, cpu = time.monotonic(), time.process_time()
        running = asyncio.create_task(runner.run(stop))
        while handed_on.value < events:  # noqa: ASYNC110  # a number that knows no events
            await asyncio.sleep(0.001)
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        handed = handed_on.value
        stop.set()
        await running
    print(f"{title:<28} {handed / seconds:9.0f} {cpu / handed * 1e6:9.1f} {handed:9.0f}", flush=True)


@contextlib.contextmanager
def cat() -> Iterator[int]:
    """A descriptor whose reader is quick."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        yield process.stdin.fileno()


@contextlib.contextmanager
def nats_server(directory: Path) -> Iterator[str]:
    """The URL of a server of its own; "" when there is none on this machine."""
    command = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if command is None:
        yield ""
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    file = directory / "nats.json"
    file.write_text(json.dumps({"listen": f"127.0.0.1:{port}", "jetstream": {"store_dir": str(directory / "nats")}}))
    process = subprocess.Popen([command, "-c", str(file)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        while line := process.stderr.readline():
            if b"Server is ready" in line:
                break
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


async def make_stream(url: str) -> None:
    import nats
    from nats.js.api import StreamConfig

    client = await nats.connect(url)
    await client.jetstream().add_stream(StreamConfig(name="MAILWAKE", subjects=["mailwake.events.>"]))
    await client.close()


async def run(directory: Path, arguments: argparse.Namespace) -> None:
    events: int = arguments.events
    if "json-lines" in arguments.kinds:
        path = directory / "events.jsonl"
        await measure(directory, "json-lines", Sink(kind="json-lines", path=path), events)
        await measure(directory, "json-lines, gzip", Sink(kind="json-lines", path=path, compress=True), events)
    if "stdout" in arguments.kinds:
        with cat() as pipe:
            await measure(directory, "stdout, into cat", Sink(kind="stdout"), events, pipe)
    if "kafka" in arguments.kinds:
        mock = {"test.mock.num.brokers": "3"}
        sink = Sink(kind="kafka", brokers=("mock:9092",), librdkafka=mock)
        await measure(directory, "kafka, mock cluster", sink, events)
    if "nats" in arguments.kinds:
        with nats_server(directory) as url:
            if not url:
                print("nats: there is no nats-server on this machine")
                return
            await make_stream(url)
            await measure(directory, "nats", Sink(kind="nats", servers=(url,)), events)
            one = Sink(kind="nats", servers=(url,), max_in_flight=1, subject="mailwake.events.one.{type}")
            await measure(directory, "nats, one in flight", one, min(events, 5000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        writer = FeedWriter(directory / "feed")
        for start in range(0, arguments.events, 5000):
            numbers = range(start, min(start + 5000, arguments.events))
            writer.append([encode_event(click(number)) for number in numbers], {})
        writer.close()
        print(f"\n{'sink':<28} {'events/s':>9} {'CPU µs':>9} {'events':>9}")
        uvloop.run(run(directory, arguments))


if __name__ == "__main__":
    main()
