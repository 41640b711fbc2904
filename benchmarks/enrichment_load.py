"""CPU per event of everything that is said of it: program, proxy, place, machine or person; with the rules we ship.

    benchmarks/enrichment [--events N]

Events are clicks and opens of many copies, from a few hundred programs and some thousand addresses, as one campaign has
them, some minutes after the message was taken; every tenth message is scanned. Each is observed, and completed 2.5
seconds of its time later. Beside it, what one program costs that was never seen before, with ua-parser's native
accelerator and without. The best of five rounds; exits 1 when an event takes more than 10 µs.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from ua_parser import Parser
from ua_parser.basic import Resolver as PythonResolver
from ua_parser.loaders import load_builtins

from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.contract import HOLD_SECONDS
from mailwake.enrichment.enricher import Enricher
from mailwake.enrichment.user_agents import UserAgents
from mailwake.events.model import Event, EventType
from mailwake.events.unique_ids import EPOCH
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_MS = 1_790_000_000_000
TRANSMISSION = (START_MS - EPOCH * 1000) << 22
AIM = 10.0
"""Microseconds for one event with warm caches."""
HOLD_MS = int(HOLD_SECONDS * 1000)


def agent(number: int) -> str:
    """One of many browsers that differ by their version."""
    return (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.{number}.0 "
        "Safari/537.36"
    )


def events(count: int, chance: random.Random) -> Iterator[Event]:
    """So many events in the order of their times, a thousand a second."""
    for number in range(count):
        copy = number // 5
        scanned = copy % 10 == 0
        yield Event(
            type=EventType.CLICK if scanned or number % 2 else EventType.OPEN,
            event_id=number,
            timestamp=START_MS + 600_000 + number,
            message_id=f"{TRANSMISSION:016x}{copy:04x}",
            transmission_id=TRANSMISSION,
            rcpt_to=f"r{copy}@example.com",
            ip_address=f"198.18.{chance.randrange(20)}.{chance.randrange(256)}",
            user_agent=agent(chance.randrange(300)),
            is_prefetched=False,
            target_link_url=f"https://www.example.com/{number % 5 if scanned else 1}",
        )


def run(enricher: Enricher, made: list[Event]) -> float:
    """CPU seconds for observing and completing them all."""
    held: deque[Event] = deque()
    begin = time.process_time()
    for event in made:
        while held and held[0].timestamp + HOLD_MS < event.timestamp:
            enricher.complete(held.popleft())
        enricher.observe(event)
        held.append(event)
    for event in held:
        enricher.complete(event)
    return time.process_time() - begin


def per_new_agent(read: Callable[[str], object], count: int) -> float:
    """Microseconds for a program that was never seen before."""
    begin = time.process_time()
    for number in range(count):
        read(agent(100_000 + number))
    return (time.process_time() - begin) / count * 1e6


def main() -> int:
    """Measure and print; 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    options = parser.parse_args()
    made = list(events(options.events, random.Random(1)))
    gc.collect()
    gc.freeze()  # the load is no part of what is measured; workers do the like
    enricher = Enricher(Enrichment(), make_logger("json", "error"), Metrics())
    warm = min(run(enricher, made) for _ in range(5)) / len(made) * 1e6
    native, python = UserAgents(), Parser(PythonResolver(load_builtins()))
    per_new_agent(native.facts, 50)
    figures = {
        "events": len(made),
        "µs an event, warm caches": round(warm, 2),
        "µs a new program": round(per_new_agent(native.facts, 1000), 1),
        "µs a new program, without the accelerator": round(per_new_agent(python.parse, 100), 1),
    }
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    return int(warm > AIM)


if __name__ == "__main__":
    sys.exit(main())
