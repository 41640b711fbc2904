"""A message with 1,000 recipients through the real preparation: scanned how often, and what each further one costs.

Measured is all that a copy needs: its tokens, its rendering, and the joining of its pieces. Scans are counted by the
interpreter (`sys.setprofile`), in a run of its own that is not timed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.newsletter import MSYS_API, newsletter
from benchmarks.timing import seconds

from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.events.unique_ids import UniqueIds
from mailwake.flows.preparation import Preparation
from mailwake.html.scanner import scan
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.rewrite.plan import make_plan
from mailwake.service.parts import preparation_settings
from mailwake.smtp.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

RECIPIENTS = 1_000
AIM_MICROSECONDS = 250
FACTS = {
    "no facts": '{"options" : {"open_tracking" : true, "click_tracking" : true}}',
    "2 tags, short metadata": MSYS_API,
    "3 tags, 200 bytes of metadata": (
        '{"options" : {"open_tracking" : true, "click_tracking" : true}, "campaign_id" : "newsletter-47",\r\n'
        '   "tags" : ["news", "spring", "vip"], "metadata" : {"customer" : "4711", "order" : "A-2026-11-0815",\r\n'
        f'   "text" : "{" ".join(f"fact{n * 7919 % 9973}" for n in range(16))}"}}}}'
    ),
}


class Worker:
    """What an SMTP worker has between a message and its copies."""

    def __init__(self) -> None:
        configuration = load(None, {"plan_cache_entries": "0"}, host_name="mailwake.example")
        clock = SystemClock()
        self.codec = TokenCodec(Keyring.new(os.urandom, 0))
        self.preparation = Preparation(
            preparation_settings(configuration.settings),
            ids=UniqueIds(1, 0, clock.now, lambda ms: None),
            codec=self.codec,
            admit_tags=list,
            clock=clock,
            log=make_logger("json", "error"),
            metrics=Metrics(),
        )
        scopes = ScopedOptions(configuration)
        listener = scopes.listeners[0]
        options = scopes.resolve(listener, "192.0.2.7")
        self.session = Session(listener, "192.0.2.7", 4711, options, trusted_network=True, extended=True)


def show() -> bool:
    """Print the table; whether every message was scanned once."""
    worker = Worker()
    recipients = [f"reader.number{n}@mail{n % 40}.example.org" for n in range(RECIPIENTS)]
    envelope = Envelope("news@sender.example", recipients)
    print(f"{RECIPIENTS:,} recipients, 25 KB, 20 links and two images; µs of CPU, the best of several")
    print(f"{'':52}{'scans':>6}{'plans':>6}{'prepare, first':>16}{'a further one':>15}{'aim':>6}")
    once = True
    for encoding in ("8bit", "quoted-printable", "base64"):
        for facts, msys_api in FACTS.items():
            content = newsletter(encoding=encoding, msys_api=msys_api)
            scans, plans = _calls((scan.__code__, make_plan.__code__), lambda c=content: _all(worker, envelope, c))  # type: ignore[misc]
            first, further = _costs(worker, envelope, content)
            once = once and scans == plans == 1
            print(f"{f'{encoding}, {facts}':52}{scans:>6}{plans:>6}{first:>16.0f}{further:>15.0f}{AIM_MICROSECONDS:>6}")
    return once


def _all(worker: Worker, envelope: Envelope, content: bytes) -> None:
    message = worker.preparation.prepare(worker.session, envelope, content)
    for index in range(len(envelope.recipients)):
        b"".join(worker.preparation.copy(message, index).pieces)


def _calls(codes: tuple[CodeType, ...], work: Callable[[], object]) -> list[int]:
    """How often each of these functions is called while `work` runs, counted by the interpreter itself."""
    counts = dict.fromkeys(codes, 0)

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in counts:
            counts[frame.f_code] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return list(counts.values())


def _costs(worker: Worker, envelope: Envelope, content: bytes) -> tuple[float, float]:
    """Microseconds of preparing and the first copy, and of each further copy."""
    copy, session = worker.preparation.copy, worker.session

    def first() -> bytes:
        return b"".join(copy(worker.preparation.prepare(session, envelope, content), 0).pieces)

    message = worker.preparation.prepare(session, envelope, content)
    plan = message.copy_plans[0].plan

    def further() -> None:
        for index in range(1, RECIPIENTS):
            b"".join(copy(message, index).pieces)
        assert message.copy_plans[0].plan is plan, "the plan was made anew"

    return (
        seconds(first, repeat=50, enough=1) * 1e6,
        seconds(further, repeat=10, enough=2) / (RECIPIENTS - 1) * 1e6,
    )
