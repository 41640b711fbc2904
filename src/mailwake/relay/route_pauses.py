"""Routes that are down: after a copy found nobody there, the route's other copies wait, and one of them asks again.

So ten thousand waiting copies do not knock at a dead next hop one after the other, and none of them loses an attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.relay.delivery import Status

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.relay.delivery import Outcome

FIRST_PAUSE = 15.0
LONGEST_PAUSE = 300.0
"""Seconds; each pause is twice as long as the one before."""


class _Pause:
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.seconds = 0.0
        self.ends = 0.0
        self.asking = False


class RoutePauses:
    """What is known of the routes that are down; the others are not in here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}

    def __bool__(self) -> bool:
        return bool(self._pauses)

    def outcome(self, route: str) -> Outcome | None:
        """How the last attempt on a paused route ended; None for a route that may be tried."""
        pause = self._pauses.get(route)
        return pause.outcome if pause is not None else None

    def routes(self) -> list[str]:
        """The paused routes, those that may be asked again among them."""
        return list(self._pauses)

    def to_ask(self) -> list[str]:
        """Paused routes on which one copy may now find out; mark it with `asking`."""
        now = self._clock.monotonic()
        return [route for route, pause in self._pauses.items() if now >= pause.ends and not pause.asking]

    def asking(self, route: str) -> None:
        """Say that a copy is on its way on this route."""
        if route in self._pauses:
            self._pauses[route].asking = True

    def not_asked(self, route: str) -> None:
        """Say that the copy never went."""
        if route in self._pauses:
            self._pauses[route].asking = False

    def soonest(self) -> float | None:
        """How many seconds until one may ask; None when that is not a matter of time."""
        ends = [pause.ends for pause in self._pauses.values() if not pause.asking]
        return max(0.0, min(ends) - self._clock.monotonic()) if ends else None

    def learn(self, route: str, outcome: Outcome) -> bool:
        """Take note of an attempt's end; True when the route has just come back."""
        if outcome.status is not Status.UNREACHABLE:
            return self._pauses.pop(route, None) is not None
        pause = self._pauses.setdefault(route, _Pause(outcome))
        pause.outcome = outcome
        now = self._clock.monotonic()
        if now >= pause.ends:  # attempts that began together and all failed are one failure
            pause.seconds = min(max(FIRST_PAUSE, 2 * pause.seconds), LONGEST_PAUSE)
            pause.ends = now + pause.seconds
        pause.asking = False
        return False
