"""Several next hops for the same mail: who gets a copy, and who gets it next when that one fails."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Delivery, Outcome, Status
from mailwake.relay.hop_health import HopHealth
from mailwake.relay.pool import SmartHost
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.logs import Logger
    from mailwake.relay.settings import RelaySettings

_ALL_DOWN = Reply(451, "4.4.1", "No next hop can be reached")
_OTHERS_DOWN = Reply(451, "4.4.1", "No next hop that may take this message can be reached")


@dataclass(frozen=True, slots=True)
class Hop:
    """One next hop of a route."""

    settings: RelaySettings
    priority: int = 10
    """The hops with the lowest number get all copies while any of them can be reached (as with MX, RFC 5321 §5.1)."""
    weight: int = 1
    """Its share of the copies among those of the same priority; 0: none while another of them can be reached."""


class Route(Delivery):
    """A `Delivery` to several next hops.

    Copies go to the usable hops of the lowest priority number, each getting its share by weight; when all connections
    to one of them are busy, to those where the fewest copies wait for one. A hop that fails before it can have taken
    the copy is followed by the next one, until `failover_seconds` are over:

    - it cannot be reached, or greets with 4xx or 5xx, or its TLS or AUTH fails: nothing was sent;
    - the connection is lost before all of the content was sent, or it says 421, which ends the connection, before the
      content's end: what was sent is void (RFC 5321 §3.8, §4.1.1.4);
    - it cannot take this copy at all, which is too large for it or needs SMTPUTF8.

    What it says to MAIL, RCPT or the content itself, for now or for good, is the answer. RFC 5321 §5.1 would have us
    try the next hop after a 4xx as well; but hops of one route share their queue and their rules, and the sender, or
    the spool, tries again. A copy that the hop may have taken (uncertain) never goes to another.

    When no usable hop is left, one that is paused is tried before the copy is given up: the one whose pause ends first.
    """

    def __init__(
        self,
        name: str,
        hops: Sequence[Hop],
        *,
        log: Logger,
        metrics: Metrics | None = None,
        failover_seconds: float = 120.0,
        rng: random.Random | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`now` gives seconds that never go back; by default the event loop's."""
        rng = rng or random.Random()
        metrics = metrics or Metrics()
        self.name = name
        self._failover_seconds = failover_seconds
        self._now = now or asyncio.get_running_loop().time
        self._counters = {status: metrics.counter("copies_total", status.value) for status in Status}
        round_length = sum(hop.weight for hop in hops)
        self._members = [_Member(name, hop, log, metrics, rng, round_length) for hop in hops]

    def __repr__(self) -> str:
        return f"<Route {self.name} {self._members!r}>"

    async def deliver(self, copy: Copy) -> Outcome:
        """Try once at each hop that may have to be asked, now; trouble with the network is an outcome."""
        outcome = await self._deliver(copy)
        self._counters[outcome.status].inc()
        return outcome

    async def close(self) -> None:
        """Finish what is in hand and let go of all connections."""
        await asyncio.gather(*(member.host.close() for member in self._members))

    async def _deliver(self, copy: Copy) -> Outcome:
        give_up_at = self._now() + self._failover_seconds
        untried = list(self._members)
        outcomes: list[Outcome] = []
        previous: _Member | None = None
        while untried:
            usable = self._usable(untried)
            member = usable or min(untried, key=lambda each: each.health.resumes_at)
            if previous is not None:
                previous.failovers.inc()
            outcome = await member.attempt(copy, self._now)
            if not moves_on(outcome):
                return outcome
            outcomes.append(outcome)
            untried.remove(member)
            previous = member
            if usable is None or self._now() >= give_up_at:
                break
        return in_sum(outcomes, untried=bool(untried))

    def _usable(self, members: Sequence[_Member]) -> _Member | None:
        """The one of these that gets the next copy; None when all of them are paused."""
        now = self._now()
        usable = [member for member in members if member.health.usable(now)]
        if len(usable) < 2:
            return usable[0] if usable else None
        first = min(member.hop.priority for member in usable)
        equals = [member for member in usable if member.hop.priority == first]
        weighted = [member for member in equals if member.hop.weight] or equals
        shortest = min(member.host.waiting for member in weighted)
        return _by_weight([member for member in weighted if member.host.waiting == shortest])


class _Member:
    """A hop with its connections, its health, and its turn."""

    def __init__(
        self, route: str, hop: Hop, log: Logger, metrics: Metrics, rng: random.Random, round_length: int
    ) -> None:
        address = hop.settings.address
        self.hop = hop
        self.host = SmartHost(hop.settings, log=log, metrics=metrics)
        self.health = HopHealth(rng)
        self.credit = rng.uniform(0, round_length)  # else all workers would begin with the same hop
        self.failovers = metrics.counter("relay_failovers_total", route, address)
        self._up = metrics.counter("relay_next_hop_up", route, address)
        self._up.inc()

    def __repr__(self) -> str:
        return f"<{self.hop.settings.address} {self.health!r}>"

    async def attempt(self, copy: Copy, now: Callable[[], float]) -> Outcome:
        """Try the copy here, and learn from it whether the hop can be reached."""
        began = now()
        probing = self.health.begins()
        try:
            outcome = await self.host.deliver(copy)
        finally:
            if probing:
                self.health.probed()
        was_up = self.health.up
        if outcome.status is Status.UNREACHABLE:
            if not self.host.is_connected:  # else it takes no more connections than it has
                self.health.failed(began, now())
        elif outcome.unsuited or not outcome.reason:  # a connection that was lost says nothing
            self.health.works()
        self._up.inc(self.health.up - was_up)
        return outcome


def moves_on(outcome: Outcome) -> bool:
    """Whether a copy with this outcome goes on to the next hop."""
    if outcome.status is Status.DEFERRED:  # a reason means that the connection was lost: the hop itself said nothing
        return bool(outcome.reason) or (outcome.reply.code == 421 and outcome.stage != "content")
    return outcome.status is Status.UNREACHABLE or outcome.unsuited


def in_sum(outcomes: Sequence[Outcome], *, untried: bool) -> Outcome:
    """The outcome of a copy that nobody took, from those at each hop; `untried`: there are hops that were not asked.

    What may be tried again is the answer before what may not, and what a hop was reached for before what was not.
    """
    if len(outcomes) == 1 and not (outcomes[0].unsuited and untried):
        return outcomes[0]
    reason = "; ".join(f"{each.next_hop}: {each.reason or each.reply}" for each in outcomes)
    for each in outcomes:
        if each.status is Status.DEFERRED:
            return replace(each, reason=reason)
    if all(each.unsuited for each in outcomes) and not untried:
        return outcomes[0]
    if any(each.unsuited for each in outcomes):  # deferred and not unreachable: there is a hop for other copies
        return replace(outcomes[0], status=Status.DEFERRED, reply=_OTHERS_DOWN, reason=reason, unsuited=False)
    return replace(outcomes[0], reply=_ALL_DOWN, reason=reason)


def _by_weight(members: Sequence[_Member]) -> _Member:
    """Whose turn it is: smooth weighted round robin, so that any stretch of copies is shared out as the weights say.

    Each gains its weight, the richest pays what all have gained; a heavy hop's turns are spread, not in a row.
    """
    for member in members:
        member.credit += member.hop.weight or 1
    richest = max(members, key=lambda member: member.credit)
    richest.credit -= sum(member.hop.weight or 1 for member in members)
    return richest
