"""The books of benchmarks/chaos: what clients were promised, and what next hop, spool and reports account for."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

UNAVOIDABLE_SECONDS = 2.5
"""A copy may come twice if something died this soon after it was first taken: its 250 was not heard, or not noted."""


@dataclass
class Promises:
    """What clients heard: recipients of messages that got 250, those that were refused, those of which nobody knows."""

    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


@dataclass
class Books:
    """The balance: `missing` must be empty, and so must `avoidable`."""

    accepted: int
    delivered: int
    spooled: int
    bounced: int
    missing: list[str]
    unavoidable: int
    """Copies that came twice because a process died, or a connection, between taking and noting."""
    avoidable: list[str]
    """Copies that came twice for no such reason."""

    @property
    def balanced(self) -> bool:
        """Whether nothing is lost, and nothing came twice that need not."""
        return not self.missing and not self.avoidable


def close_books(promises: Promises, ledger: Path, spooled: set[str], deaths: list[float]) -> Books:
    """`spooled`: recipients still waiting; `deaths`: when a process was killed or a disk was full."""
    taken: defaultdict[str, list[float]] = defaultdict(list)
    bounced: set[str] = set()
    dropped: set[str] = set()
    for line in ledger.read_text().splitlines():
        time_text, kind, recipient, *rest = line.split(" ")
        if kind == "taken":
            taken[recipient].append(float(time_text))
        elif kind == "dropped":
            dropped.add(recipient)
        elif kind == "report" and rest == ["failed"]:
            bounced.add(recipient)
    times = sorted(deaths)
    avoidable, unavoidable = [], 0
    for recipient, when in taken.items():
        for first in when[:-1]:
            if recipient in dropped or _something_died(times, first):
                unavoidable += 1
            else:
                avoidable.append(recipient)
    return Books(
        accepted=len(promises.accepted),
        delivered=sum(recipient in taken for recipient in promises.accepted),
        spooled=sum(recipient in spooled and recipient not in taken for recipient in promises.accepted),
        bounced=sum(recipient in bounced and recipient not in taken for recipient in promises.accepted),
        missing=[each for each in promises.accepted if not (each in taken or each in spooled or each in bounced)],
        unavoidable=unavoidable,
        avoidable=avoidable,
    )


def _something_died(times: list[float], after: float) -> bool:
    place = bisect_left(times, after - 0.2)
    return place < len(times) and times[place] <= after + UNAVOIDABLE_SECONDS
