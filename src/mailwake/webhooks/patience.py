"""After a failed attempt: when the next one is, or that the batch is given up. No clock and no network here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a target may ask us to wait at most."""

_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a batch is tried; times are Unix seconds.

    A batch is given up when it is `retry_for` old *and* its target has taken nothing for as long. So what has piled up
    in a long outage does not take `retry_for` for each batch, and what is old for another reason (mailwake was down,
    events are replayed, the target is slow) is not given up for one failure.
    """

    pauses: Sequence[float]
    retry_for: float
    uniform: Callable[[float, float], float] = random.uniform

    def pause(
        self, *, attempts: int, due: float, failing_since: float, now: float, retry_after: float | None = None
    ) -> float | None:
        """Seconds until the next attempt after `attempts` failed ones; None when the batch is to be given up.

        The last attempt is made when the time is over, never earlier. `retry_after` is what the target has asked for.
        """
        left = max(due, failing_since) + self.retry_for - now
        if left <= 0:
            return None
        pause = self.pauses[min(max(attempts, 1), len(self.pauses)) - 1]
        pause *= self.uniform(1 - _JITTER, 1 + _JITTER)
        if retry_after is not None:
            pause = max(pause, min(retry_after, LONGEST_RETRY_AFTER))
        return min(pause, left)


def read_retry_after(text: str, now: float) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110 §10.2.3); None where it makes no sense."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
