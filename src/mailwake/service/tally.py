"""What all workers have counted, the living and the dead, added up: totals never go back when a worker ends."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from mailwake.metrics import METRICS, Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailwake.service.worker_process import WorkerProcess

Totals = dict[Series, float]

_GAUGES = frozenset(metric.name for metric in METRICS if metric.gauge)


class Tally:
    """The sums over all workers that were ever enrolled, and what the supervisor counts itself."""

    def __init__(self) -> None:
        self.totals: Totals = {}
        """Name and labels → value; always a new object, never changed: another thread may be reading the last one."""
        self._settled: defaultdict[Series, float] = defaultdict(float)
        self._living: list[WorkerProcess] = []

    def settle(self, counted: Iterable[tuple[str, tuple[str, ...], float]]) -> None:
        """Go on from what a former supervisor had counted."""
        for name, labels, value in counted:
            self._settled[name, labels] += value
        self.add_up()

    def settled(self) -> list[tuple[str, tuple[str, ...], float]]:
        """What `settle` needs: everything but the counters of workers that are handed over alive."""
        settled = self._settled.copy()
        for worker in self._living:
            if worker.save() is None:
                self._add(settled, worker)
        return [(name, labels, value) for (name, labels), value in settled.items()]

    def enrol(self, worker: WorkerProcess) -> None:
        """Count what this worker has reported and will report."""
        self._living.append(worker)
        self.add_up()

    def bury(self, worker: WorkerProcess) -> None:
        """Keep what a worker that has ended had counted; what it showed as a gauge is gone with it."""
        self._living.remove(worker)
        self._add(self._settled, worker)
        self.add_up()

    def _add(self, settled: defaultdict[Series, float], worker: WorkerProcess) -> None:
        for key, value in worker.counters.items():
            if key[0] not in _GAUGES:
                settled[key] += value

    def count(self, name: str, *labels: str) -> None:
        """Add one to a counter of the supervisor's own."""
        self._settled[name, labels] += 1
        self.add_up()

    def add_up(self) -> None:
        """Make `totals` anew."""
        totals = defaultdict(float, self._settled)
        for worker in self._living:
            for key, value in worker.counters.items():
                totals[key] += value
        self.totals = dict(totals)
