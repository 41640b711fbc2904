"""Log lines about clients that were refused before they could say anything.

They are never a flood themselves: one at once for each reason, then one a minute with the numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.logs import Logger

MINUTE = 60.0
ADDRESSES = 1000
"""Of a minute, so many addresses are told apart for the line that sums it up."""


@dataclass(slots=True)
class _Minute:
    since: float
    count: int = 0
    addresses: Counter[str] = field(default_factory=Counter)


class Refusals:
    """`note` each refusal, and `sweep` now and then: then lines come that sum up."""

    def __init__(self, log: Logger, listener: str) -> None:
        self._log = log
        self._listener = listener
        self._minutes: dict[str, _Minute] = {}

    def note(self, reason: str, address: str, now: float, detail: str = "") -> None:
        """The first of a minute is a line of its own, the others are counted; reasons are few."""
        minute = self._minutes.get(reason)
        if minute is None:
            self._minutes[reason] = _Minute(now)
            self._log.warning(
                "client refused", listener=self._listener, reason=reason, peer=address, detail=detail[:200]
            )
            return
        minute.count += 1
        if address in minute.addresses or len(minute.addresses) < ADDRESSES:
            minute.addresses[address] += 1

    def sweep(self, now: float) -> None:
        """Sum up the minutes that are over."""
        for reason, minute in list(self._minutes.items()):
            if now - minute.since < MINUTE:
                continue
            if not minute.count:
                del self._minutes[reason]
                continue
            self._minutes[reason] = _Minute(now)
            self._sum_up(reason, minute)

    def end(self) -> None:
        """Sum up what was not yet."""
        for reason, minute in self._minutes.items():
            if minute.count:
                self._sum_up(reason, minute)
        self._minutes.clear()

    def _sum_up(self, reason: str, minute: _Minute) -> None:
        ((address, number),) = minute.addresses.most_common(1)
        self._log.warning(
            "clients refused",
            listener=self._listener,
            reason=reason,
            count=minute.count,
            addresses=len(minute.addresses),
            most_from=address,
            most=number,
        )
