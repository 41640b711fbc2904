"""Whether a next hop can be used: one that cannot be reached is left out for a growing pause, then probed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
JITTER = 0.2
"""Each pause is varied by up to this share both ways, so that workers do not probe in step."""


class HopHealth:
    """What is known of one next hop; times are seconds of any clock that never goes back, given by the caller."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._pause = 0.0
        self._failed_at = -math.inf
        self._probing = False
        self.resumes_at = -math.inf
        """When the pause ends."""

    def __repr__(self) -> str:
        state = "up" if self.up else "probing" if self._probing else f"down until {self.resumes_at:g}"
        return f"<HopHealth {state}>"

    @property
    def up(self) -> bool:
        """Whether the last attempt to reach it succeeded; one that was never tried is taken to be up."""
        return not self._pause

    def usable(self, now: float) -> bool:
        """Whether a copy may go there: it is up, or its pause is over and no other copy is probing it."""
        return self.up or (now >= self.resumes_at and not self._probing)

    def begins(self) -> bool:
        """An attempt begins; whether it is the one that probes a hop that was down: then call `probed` after it."""
        if self.up or self._probing:
            return False
        self._probing = True
        return True

    def probed(self) -> None:
        """The probing attempt is over, however it ended."""
        self._probing = False

    def works(self) -> None:
        """The hop was reached."""
        self._pause, self.resumes_at = 0.0, -math.inf

    def failed(self, began: float, now: float) -> None:
        """An attempt that began then could not reach it. Those that began before the last failure add nothing to it."""
        if began < self._failed_at:
            return
        self._failed_at = now
        self._pause = min(2 * self._pause, LONGEST_PAUSE) or FIRST_PAUSE
        self.resumes_at = now + self._pause * self._random.uniform(1 - JITTER, 1 + JITTER)
