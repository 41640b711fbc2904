"""When a spooled copy is tried again: a table of delays, with jitter, until it expires."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

DEFAULT_DELAYS = (1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR)
"""After the first failed attempt, the second, …; the last delay repeats. RFC 5321 §4.5.4.1 asks for 30 minutes, but
most deferrals (greylisting, a restart) end within minutes, so the first three tries come sooner."""

DEFAULT_EXPIRY = 5 * DAY
"""RFC 5321 §4.5.4.1: give up after four or five days."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The retry schedule; all times in seconds."""

    delays: tuple[float, ...] = DEFAULT_DELAYS
    expiry: float = DEFAULT_EXPIRY
    jitter: float = 0.2
    """Each delay is varied by up to this share both ways, so that copies deferred together come back apart."""

    uniform: Callable[[float, float], float] = random.uniform

    def next_attempt(self, *, queued_at: float, attempts: int, now: float) -> float | None:
        """When to try again after `attempts` failed ones, in the clock of `now`; None once the copy has expired.

        The last attempt is made when the copy expires, never earlier.
        """
        expires = queued_at + self.expiry
        if now >= expires:
            return None
        delay = self.delays[min(max(attempts, 1), len(self.delays)) - 1]
        return min(now + delay * self.uniform(1 - self.jitter, 1 + self.jitter), expires)
