"""CPU time of a piece of work: the best of several runs, for other processes slow a machine and never speed it up."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def seconds(work: Callable[[], object], *, repeat: int = 7, enough: float = float("inf")) -> float:
    """CPU seconds of one run, the best of `repeat`, or of as many as fit into `enough` seconds (two at least)."""
    gc.collect()
    best, spent, runs = float("inf"), 0.0, 0
    while runs < 2 or (runs < repeat and spent < enough):
        start = time.process_time()
        work()
        taken = time.process_time() - start
        best = min(best, taken)
        spent += taken
        runs += 1
    return best


def microseconds(work: Callable[[], object], *, times: int, repeat: int = 7) -> float:
    """Microseconds of CPU of one call, over `times` calls at a stretch, the best of `repeat` stretches."""

    def stretch() -> None:
        for _ in range(times):
            work()

    return seconds(stretch, repeat=repeat) / times * 1e6
