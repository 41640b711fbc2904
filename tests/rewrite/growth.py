"""Whether the cost of a function grows with the length of its input, or faster.

No limit in seconds: the cost of one input is compared with that of one eight times as long, on the same machine in the
same moment. What is linear takes about 8 times as long, what is quadratic about 64 times.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT = 80_000
_FACTOR = 8
_TOO_MUCH = 24
_TOO_SHORT_TO_MEASURE = 0.001
_ATTEMPTS = 4


def grows_with_length(work: Callable[[bytes], object], head: bytes, piece: bytes, tail: bytes = b"") -> bool:
    """Whether `work` on `head`, many times `piece`, and `tail` takes time in proportion to its length."""
    short, long = (head + piece * (size // len(piece)) + tail for size in (_SHORT, _SHORT * _FACTOR))
    for _ in range(_ATTEMPTS):
        allowed = _TOO_MUCH * max(_TOO_SHORT_TO_MEASURE, min(_cost(work, short), _cost(work, short)))
        if _cost(work, long) < allowed:
            return True
    return False


def _cost(work: Callable[[bytes], object], document: bytes) -> float:
    start = time.process_time()
    work(document)
    return time.process_time() - start
