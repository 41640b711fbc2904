"""Events of the demo's generator for benchmarks, made by a process of its own, whose time and memory do not count."""

from __future__ import annotations

import os
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

import msgspec

from mailwake.demo.generator import generate
from mailwake.events.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

END = 1_795_651_200_000
"""2026-11-26T00:00:00Z: the same events on every day."""

DAYS, CUSTOMERS = 90, 60
DAY = 86_400_000
_SPARE = 1.03
"""The generator makes about as many as it is asked for; here it has to be exact."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


def made_events(number: int) -> Iterator[Event]:
    """So many events of DAYS days of CUSTOMERS customers, made in this process."""
    return islice(generate(int(number * _SPARE), end_ms=END, days=DAYS, customers=CUSTOMERS), number)


class EventMaker:
    """Makes `number` events; `next` gives the next ones. It works only while it is asked: beside nothing timed."""

    def __init__(self, number: int) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_make, args=(number, other), daemon=True)
        self._process.start()
        other.close()

    def next(self, number: int) -> list[Event]:
        """So many more; fewer at the end."""
        self._pipe.send(number)
        return _decode(self._pipe.recv_bytes())

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        self._process.kill()


def _make(number: int, pipe: Connection) -> None:
    os.nice(5)
    events = made_events(number)
    try:
        while True:
            pipe.send_bytes(_encode(list(islice(events, pipe.recv()))))
    except EOFError:
        pass
