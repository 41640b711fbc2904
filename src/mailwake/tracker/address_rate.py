"""How many requests one address may make in a minute before it gets 403 (2-tracking §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.tracker.client_facts import ClientFactsReader
    from mailwake.tracker.messages import Request

MINUTE: Final = 60.0
"""Seconds in which requests are counted; then every address begins anew."""

ADDRESS_LIMIT: Final = 100_000
"""Addresses that are told apart in a minute; when there are more, all begin anew, so that memory stays bounded."""


class AddressRate:
    """Counts the requests of each client's address, of an IPv6 client's /64, in this worker.

    `limit` is requests a minute. The kernel spreads a client's connections over the workers, so that several
    connections together may reach the limit times the number of workers.
    """

    def __init__(self, limit: int, facts: ClientFactsReader, clock: Clock) -> None:
        self._limit = limit
        self._address = facts.address
        self._monotonic = clock.monotonic
        self._counts: dict[str, int] = {}
        self._ends = clock.monotonic() + MINUTE

    def allows(self, request: Request) -> bool:
        """Count this request; whether it is within its address's limit."""
        now = self._monotonic()
        if now >= self._ends or len(self._counts) >= ADDRESS_LIMIT:
            self._counts.clear()
            self._ends = now + MINUTE
        key = _network(self._address(request.client, request.headers))
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count <= self._limit


def _network(address: str) -> str:
    if ":" not in address:
        return address
    head, double_colon, tail = address.partition("::")
    groups = head.split(":") if head else []
    if double_colon:
        last = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(last)) + last
    return ":".join(groups[:4])
