"""The store: how fast events are loaded, what they take, and how long searches take beside loads.

    benchmarks/store [--events 1000000] [--keep DIRECTORY]

Events are the demo's (benchmarks/made_events.py): 90 days, 60 customers, some 1,800 campaigns. A tenth is loaded in
batches of 1,000, the rest in batches of 10,000; what the generator takes is not counted. Then each search is asked
twenty times, the one for a person also while events are loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import cpu_seconds, describe_machine, peak_megabytes
from benchmarks.made_events import DAY, DAYS, END, made_events

from mailwake.config.store_settings import Store
from mailwake.feed.contract import Position
from mailwake.store.duckdb_store import open_store
from mailwake.store.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.events.model import Event
    from mailwake.store.duckdb_store import DuckDbStore

ASKED = 20
START = END - DAYS * DAY


async def load(store: DuckDbStore, events: Iterator[Event], number: int, size: int) -> None:
    """Load so many in batches of this size, and print what it took."""
    seconds = cpu = 0.0
    for start in range(0, number, size):
        batch = list(islice(events, size))
        began, used = time.perf_counter(), cpu_seconds(os.getpid())
        await store.load(batch, Position(1, start))
        seconds += time.perf_counter() - began
        cpu += cpu_seconds(os.getpid()) - used
    print(
        f"batches of {size:>6}: {number / seconds:9,.0f} events/s, {cpu / number * 1e6:5.1f} µs of CPU each", flush=True
    )


async def ask(store: DuckDbStore, name: str, questions: list[Question]) -> None:
    """Ask these, and print how long the middle one and the slowest took, and the CPU time of the middle one."""
    taken, used = [], []
    for question in questions:
        began, cpu = time.perf_counter(), time.process_time()
        found = await store.search(question)
        taken.append((time.perf_counter() - began) * 1000)
        used.append((time.process_time() - cpu) * 1000)
    taken.sort()
    used.sort()
    middle = len(taken) // 2
    print(
        f"{name:<40} p50 {taken[middle]:7.1f} ms   slowest {taken[-1]:7.1f} ms   CPU {used[middle]:7.1f} ms"
        f"   {found.total_count} found, {len(found.events)} given",
        flush=True,
    )


async def measure(directory: Path, number: int) -> None:
    events = made_events(number + 200_000)
    with closing(open_store(directory, Store())) as store:
        await store.open()
        few = number // 10
        await load(store, events, few, 1_000)
        await load(store, events, number - few, 10_000)
        print(f"{(await store.status()).memory / 1e6:.0f} MB in use by the engine then")
    with closing(open_store(directory, Store())) as store:  # opened anew: nothing is in memory, all is in the file
        await store.open()
        status = await store.status()
        print(f"{status.octets / status.events:.1f} octets an event on the disk, {status.events:,} events")
        assert status.newest is not None
        known = (await store.search(Question(per_page=ASKED, until=START + 40 * DAY))).events
        people = [Question(recipients=(each.rcpt_to,)) for each in known]
        await ask(store, "one person", people)
        await ask(store, "one message", [Question(messages=(each.message_id,)) for each in known])
        await ask(store, "a campaign, the newest 1,000", [Question(campaigns=(each.campaign_id,)) for each in known])
        await ask(store, "a day, the newest 1,000", [_day(number) for number in range(10, 10 + ASKED)])
        newest = Question(only_customer=None)
        await ask(store, "everything, the newest 1,000", [newest] * ASKED)
        await ask(store, "everything, the newest 10,000", [replace(newest, per_page=10_000)] * 5)
        cursor = (await store.search(newest)).next_cursor
        await ask(store, "everything, the second 1,000", [replace(newest, cursor=cursor)] * ASKED)
        loading = asyncio.ensure_future(load(store, events, 100_000, 10_000))
        await ask(store, "one person, while events are loaded", people)
        await loading
        began = time.perf_counter()
        erased = await store.erase([known[0].rcpt_to])
        print(f"erasing one person ({erased} events): {time.perf_counter() - began:.1f} s, the file written anew")
        status = await store.status()
        print(f"{status.octets / status.events:.1f} octets an event then")
    print(f"{peak_megabytes(os.getpid()):.0f} MB at most, the generator with it; limit of the engine 512 MiB")


def _day(number: int) -> Question:
    return Question(since=START + number * DAY, until=START + (number + 1) * DAY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a directory for the store, which is left there")
    arguments = parser.parse_args()
    print(describe_machine())
    directory = arguments.keep or Path(tempfile.mkdtemp(prefix="mailwake-store-"))
    try:
        asyncio.run(measure(directory / "store", arguments.events))
    finally:
        if arguments.keep is None:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
