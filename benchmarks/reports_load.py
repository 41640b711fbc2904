"""Reports: loading, room on the disk, memory, and the time of what the dashboard asks, by number of events.

    benchmarks/reports [--events 1000000 10000000 …] [--keep DIRECTORY] [--no-dashboard]

Events are the demo's (benchmarks/made_events.py): 90 days, 60 customers, some 1,800 campaigns; what making them takes
is not counted. Of each number, a tenth (300,000 at most) is loaded in batches of 1,000, the rest in batches of 10,000.
Then the store is closed and opened, and asked. Then a fiftieth more (100,000 at most) is loaded in batches of either
size while somebody looks at one view after the other, with half a second between them. Last, the real service serves
the same store, and each page of its dashboard is asked for over HTTP, without the files that it offers.

Beyond ten million, that many are made and loaded, and the engine adds copies of them, each 75 days earlier.

With `--keep` stores stay in DIRECTORY/EVENTS, and one that is full is not loaded anew: then what loading it took is not
said again. Each aim stands beside its figure, with an exclamation mark where it is missed. The aims are for 10 million
events on the machine that docs/performance.md names.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import closing, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.copied_events import add_copies
from benchmarks.dashboard_pages import measure_pages
from benchmarks.machine import cpu_seconds, describe_machine, peak_megabytes
from benchmarks.made_events import DAY, EventMaker
from benchmarks.report_questions import looks, searches, what_is_known

from mailwake.config.store_settings import Store
from mailwake.feed.contract import BEGINNING
from mailwake.first_of import first_of
from mailwake.service.data_directory import DataDirectory
from mailwake.store.contract import StoreError
from mailwake.store.duckdb_store import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.report_questions import Known, Look

    from mailwake.store.duckdb_store import DuckDbStore

FEW, MANY = 1_000, 10_000
RATE_AIMS = {FEW: 30_000, MANY: 100_000}
OCTETS_AIM, MEMORY_AIM, VIEW_AIM, PERSON_AIM = 80, 600, 300, 50
MOST_IN_FEWS = 300_000
MOST_BESIDE = 100_000

ASKED = 10
LOOKING_PAUSE = 0.5

MADE_AT_MOST = 10_000_000
COPIED_EARLIER = 75 * DAY
"""Four copies reach back 390 days: less than the service keeps by default."""


def judged(figure: float, unit: str, aim: float, *, at_least: bool = False) -> str:
    """A figure beside its aim, marked when it misses it."""
    missed = figure < aim if at_least else figure > aim
    return f"{figure:10,.1f} {unit} (aim {'≥' if at_least else '≤'} {aim:,}){' !' if missed else ''}"


def say(what: str, figure: str) -> None:
    """A line of the table."""
    print(f"{what:<46} {figure}", flush=True)


async def load(store: DuckDbStore, maker: EventMaker, number: int, size: int, what: str) -> None:
    """Load so many in batches of this size, and print what it took."""
    seconds = cpu = 0.0
    loaded = 0
    while loaded < number and (batch := await asyncio.to_thread(maker.next, min(size, number - loaded))):
        began, used = time.perf_counter(), cpu_seconds(os.getpid())
        await store.load(batch, BEGINNING)
        seconds += time.perf_counter() - began
        cpu += cpu_seconds(os.getpid()) - used
        loaded += len(batch)
        progress(f"{what}: {loaded:,} of {number:,}, {loaded / seconds:,.0f}/s")
    progress("")
    say(
        what,
        judged(loaded / seconds, "events/s", RATE_AIMS[size], at_least=True)
        + f", {cpu / loaded * 1e6:.1f} µs of CPU each",
    )


def progress(text: str) -> None:
    """Say on a terminal how far it is, in a line that is written over."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


async def measure(directory: DataDirectory, number: int) -> Known:
    """All figures of the store alone."""
    print(f"\n{number:,} events", flush=True)
    done = directory.path / f"full-{number}"
    maker = None
    if not done.exists():
        shutil.rmtree(directory.path, ignore_errors=True)
        directory.prepare()
        made = min(number, MADE_AT_MOST)
        maker = EventMaker(made + 2 * beside(made))
        await fill(directory, maker, made)
        if number > made:
            add_copies(directory.store, number // made - 1, COPIED_EARLIER)
        done.touch()
    with closing(open_store(directory.store, Store())) as store:
        await store.open()
        status = await store.status()
        say("on the disk", judged(status.octets / status.events, "octets an event", OCTETS_AIM))
        known = await what_is_known(store, ASKED)
        await ask(store, known)
        if maker is not None:
            await load_and_look(store, known, maker, beside(number))
            maker.close()
        say("memory, at most", judged(peak_megabytes(os.getpid()), "MB", MEMORY_AIM))
    return known


async def fill(directory: DataDirectory, maker: EventMaker, number: int) -> None:
    """Load the store, and let go of it."""
    with closing(open_store(directory.store, Store())) as store:
        await store.open()
        few = min(number // 10, MOST_IN_FEWS)
        await load(store, maker, few, FEW, "batches of 1,000")
        await load(store, maker, number - few, MANY, "batches of 10,000")


async def ask(store: DuckDbStore, known: Known) -> None:
    """Ask each view's questions, and search."""
    for name, questions in looks(known).items():
        await timed(name, [_all(store, questions)] * ASKED, VIEW_AIM)
    for name, wanted in searches(known).items():
        await timed(name, [partial(store.search, each) for each in wanted], PERSON_AIM)


def _all(store: DuckDbStore, questions: Sequence[Look]) -> Callable[[], Awaitable[object]]:
    async def asked() -> None:
        for question in questions:
            await question(store)

    return asked


async def timed(name: str, asked: Sequence[Callable[[], Awaitable[object]]], aim: float) -> None:
    """Do each of these, and print how long the middle one took, and the slowest."""
    taken = []
    for each in asked:
        began = time.perf_counter()
        try:
            await each()
        except StoreError as error:
            say(name, f"no answer: {error} !")
            return
        taken.append((time.perf_counter() - began) * 1000)
    judged_view(name, taken, aim)


def judged_view(name: str, taken: Sequence[float], aim: float = VIEW_AIM) -> None:
    """Print the middle and the slowest of these milliseconds."""
    middle = sorted(taken)[len(taken) // 2]
    say(name, judged(middle, "ms", aim) + f", slowest {max(taken):,.0f}")


def beside(number: int) -> int:
    """How many events are loaded in batches of either size while questions are asked."""
    return min(MOST_BESIDE, max(MANY, number // 50))


async def load_and_look(store: DuckDbStore, known: Known, maker: EventMaker, number: int) -> None:
    """Load while somebody looks at the views."""
    for size, what in ((FEW, "batches of 1,000"), (MANY, "batches of 10,000")):
        enough = asyncio.Event()
        looking = asyncio.create_task(look(store, known, enough))
        await load(store, maker, number, size, f"{what}, while views are asked")
        enough.set()
        judged_view("  the views meanwhile", await looking)


async def look(store: DuckDbStore, known: Known, enough: asyncio.Event) -> list[float]:
    """Ask for one view after the other until it is enough; the milliseconds of each."""
    taken: list[float] = []
    while True:
        for questions in looks(known).values():
            began = time.perf_counter()
            with suppress(StoreError):  # one that takes too long has taken that long
                await _all(store, questions)()
            taken.append((time.perf_counter() - began) * 1000)
            if enough.is_set():
                return taken
            await first_of(enough, seconds=LOOKING_PAUSE)


def measured(path: Path, number: int, *, pages: bool) -> None:
    """All figures for this number of events, in this process."""
    directory = DataDirectory(path)
    known = asyncio.run(measure(directory, number))
    if pages:
        memory, left_out = measure_pages(directory, known, judged_view)
        say("memory of the collector, at most", judged(memory, "MB", MEMORY_AIM))
        for each in left_out:
            say("not asked", each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--keep", type=Path, help="a directory for the stores, which are left there, and used again")
    parser.add_argument("--no-dashboard", action="store_true", help="ask the store alone, not the pages of the service")
    arguments = parser.parse_args()
    if any(number > MADE_AT_MOST and number % MADE_AT_MOST for number in arguments.events):
        parser.error(f"--events: beyond {MADE_AT_MOST:,}, multiples of it")
    print(describe_machine())
    keep = arguments.keep or Path(tempfile.mkdtemp(prefix="mailwake-reports-"))
    try:
        for number in arguments.events:
            # A process each: the memory of one says nothing about the next.
            process = get_context("spawn").Process(
                target=measured,
                args=((keep / str(number)).absolute(), number),
                kwargs={"pages": not arguments.no_dashboard},
            )
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(1)
    finally:
        if arguments.keep is None:
            shutil.rmtree(keep, ignore_errors=True)


if __name__ == "__main__":
    main()
