"""What /metrics shows of a node: the counters of all workers, and what only the supervisor can tell."""

from __future__ import annotations

import platform
from collections import Counter
from typing import TYPE_CHECKING

from mailwake import __version__
from mailwake.spool.spool_level import read_spool_level

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.metrics import Series
    from mailwake.service.supervisor import Supervisor

_BUILD = ("build_info", (__version__, platform.python_version()))


class NodeTotals:
    """Gives name and labels → value, anew at each call; may be called from another thread than the supervisor's."""

    def __init__(self, supervisor: Supervisor, spool: Path, clock: Clock) -> None:
        self._supervisor = supervisor
        self._spool = spool
        self._clock = clock
        self._started = clock.now()

    def __call__(self) -> dict[Series, float]:
        """The totals as they stand now."""
        fixed: dict[Series, float] = {_BUILD: 1.0, ("start_time_seconds", ()): self._started}
        return {**self._supervisor.totals(), **fixed, **self._workers(), **self._spool_level()}

    def _workers(self) -> dict[Series, float]:
        _, facts = self._supervisor.health()
        counted = Counter((name.partition("-")[0], worker["state"]) for name, worker in facts["workers"].items())
        return {("workers", labels): float(number) for labels, number in counted.items()}

    def _spool_level(self) -> dict[Series, float]:
        level = read_spool_level(self._spool, self._clock)
        if level is None:
            return {}
        return {("spool_entries_waiting", ()): float(level.entries), ("spool_oldest_seconds", ()): level.waited}
