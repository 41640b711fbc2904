"""Events of the tracker that could not be made durable: each is counted, and a line a second says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

_LOG_PAUSE: Final = 1.0


class Losses:
    """Opens and clicks that left no event; people were redirected all the same."""

    def __init__(self, metrics: Metrics, clock: Clock, log: Logger) -> None:
        self._count = metrics.counter("events_lost_total")
        self._lines = _LinesNowAndThen(clock)
        self._log = log

    def add(self, error: BaseException | None) -> None:
        """Count one that is lost because of `error`."""
        self._count.inc()
        if events := self._lines.due():
            self._log.error("events lost, people were redirected all the same", events=events, error=str(error))


class NotRecorded:
    """Unsubscriptions that were answered with 503: nothing is lost yet, for whoever asked is told to ask again."""

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._lines = _LinesNowAndThen(clock)
        self._log = log

    def add(self, error: BaseException | None) -> None:
        """Tell of one that could not be recorded because of `error`."""
        if requests := self._lines.due():
            self._log.error("unsubscriptions not recorded, answered 503", requests=requests, error=str(error))


class _LinesNowAndThen:
    # How many there were since the last line, when it is time for another one; else 0.
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unsaid = 0
        self._said_at = -_LOG_PAUSE

    def due(self) -> int:
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said_at < _LOG_PAUSE:
            return 0
        said, self._said_at, self._unsaid = self._unsaid, now, 0
        return said
