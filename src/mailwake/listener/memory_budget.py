"""How much of messages a worker holds in memory, over all its connections: beyond a limit no more are begun."""

from __future__ import annotations


class MemoryBudget:
    """Counts octets of messages that are coming in or being relayed: `limit` are plenty, twice as many too many."""

    __slots__ = ("_limit", "_used")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def change(self, octets: int) -> None:
        """Count `octets` more, or fewer when negative."""
        self._used += octets

    @property
    def full(self) -> bool:
        """Whether no further message should be begun: MAIL is answered with 452 4.3.1."""
        return self._used > self._limit

    @property
    def overdrawn(self) -> bool:
        """Whether even messages that have been begun must end: those still coming in are dropped with 421 4.3.1."""
        return self._used > 2 * self._limit

    def __repr__(self) -> str:
        return f"<MemoryBudget {self._used} of {self._limit}>"
