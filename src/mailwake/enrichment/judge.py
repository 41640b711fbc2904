"""Machine or person: the rules made ready to be asked, and what they say of an event.

Every condition that a rule has must hold. Of several rules that hold, the surest decides; nothing is added up, as
nobody knows how independent two signs are. A combination that means more than its parts is a rule of its own.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from mailwake.config.networks import NetworkTable, parse_client
from mailwake.enrichment.agent_pattern import agent_matcher
from mailwake.enrichment.rule_tables import JUDGED
from mailwake.events.model import EventType
from mailwake.events.unique_ids import EPOCH
from mailwake.links.body import HONEYPOT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mailwake.config.networks import IPNetwork
    from mailwake.enrichment.copy_history import CopyHistory
    from mailwake.enrichment.rule_tables import ProxyTable, RuleFile, RuleTable
    from mailwake.events.model import Event

_CACHED: Final = 20_000


class Verdict(NamedTuple):
    """What the rules say of an event; where no rule holds, `reason` is empty and `confidence` None."""

    is_bot: bool
    reason: str = ""
    confidence: float | None = None


PERSON: Final = Verdict(is_bot=False)
"""Nothing speaks for a machine; more cannot be said of anybody."""


class Fetch(NamedTuple):
    """Whether a request came through a proxy, and whether ahead of the person."""

    is_proxy: bool
    is_prefetched: bool
    proxy: str = ""


_DIRECT: Final = Fetch(is_proxy=False, is_prefetched=False)
_AHEAD: Final = Fetch(is_proxy=False, is_prefetched=True)


class Judge:
    """The rules of one file, ready to be asked; `history` has what was asked for around each event."""

    def __init__(self, rules: RuleFile, history: CopyHistory, default_threshold: float = 0.5) -> None:
        self._history = history
        threshold = default_threshold if rules.threshold is None else rules.threshold
        # The surest first: the first one that holds decides.
        self._rules: Final = [_Rule(rule, threshold) for rule in sorted(rules.rule, key=lambda rule: -rule.confidence)]
        self._proxies: Final = rules.proxy
        self._proxy_index: Final = _Index(self._proxies)
        tables = [rule.table for rule in self._rules]
        self._rule_index: Final = _Index(tables)
        self._not_of_proxies: Final = _bits(table.proxy is not False for table in tables)
        self._of_links: Final = _bits(table.links is not None for table in tables)
        self._of_heads: Final = _bits(table.head_within is not None for table in tables)
        self._of_honeypots: Final = _bits(table.honeypot_within is not None for table in tables)
        self._of_soon: Final = _bits(table.after_delivery is not None for table in tables)
        self._longest_of: Final[Callable[[int], float]] = functools.lru_cache(_CACHED)(
            lambda bits: max(tables[place].after_delivery or 0.0 for place in _places(bits))
        )
        times = [rule.horizon for rule in self._rules] + [proxy.prefetches_within for proxy in self._proxies]
        self.horizon_ms: Final = int(max(times, default=0) * 1000)
        """How far back the rules look."""

    def fetch(self, event: Event) -> Fetch:
        """Whether a proxy made this request, and whether somebody was there."""
        marked = bool(event.is_prefetched)
        found = self._proxy_index.find(event)
        if not found:
            return _AHEAD if marked else _DIRECT
        proxy = self._proxies[next(_places(found))]
        soon = proxy.prefetches_within
        ahead = marked or proxy.prefetches or (soon > 0 and is_soon(event, self._history, soon))
        return Fetch(is_proxy=True, is_prefetched=ahead, proxy=proxy.name)

    def verdict(self, event: Event, fetch: Fetch) -> Verdict:
        """What the surest rule says of an engagement."""
        found = self._rule_index.find(event)
        for place in _places(found and self._worth_asking(found, event, fetch)):
            rule = self._rules[place]
            if rule.holds(event, fetch, self._history):
                return rule.verdict
        return PERSON

    def _worth_asking(self, left: int, event: Event, fetch: Fetch) -> int:
        # Of most copies there is nothing that most rules look for.
        if fetch.is_proxy:
            left &= self._not_of_proxies
        several, head, trapped = self._history.traces(event.message_id)
        if not several:
            left &= ~self._of_links
        if not head:
            left &= ~self._of_heads
        if not trapped and event.target_link_name != HONEYPOT_NAME:
            left &= ~self._of_honeypots
        soon = left & self._of_soon
        return left & ~soon if soon and not is_soon(event, self._history, self._longest_of(soon)) else left

    def all_that_hold(self, event: Event, fetch: Fetch) -> list[RuleTable]:
        """Every rule that holds for an engagement, the surest first."""
        found = (self._rules[place] for place in _places(self._rule_index.find(event)))
        return [rule.table for rule in found if rule.holds(event, fetch, self._history)]


class _Rule:
    # What is left to ask of a rule when event, program and address fit.
    __slots__ = (
        "_head",
        "_honeypot",
        "_links",
        "_one_address",
        "_prefetched",
        "_proxy",
        "_same",
        "_soon",
        "_within",
        "table",
        "verdict",
    )

    def __init__(self, table: RuleTable, threshold: float) -> None:
        self.table = table
        self.verdict = Verdict(table.confidence >= threshold, table.reason or table.name, table.confidence)
        self._proxy, self._prefetched, self._same = table.proxy, table.prefetched, table.same_address
        self._one_address = table.same_address or table.head_within is not None
        self._soon, self._links = table.after_delivery, table.links
        self._within = int(table.within * 1000)
        self._head = None if table.head_within is None else int(table.head_within * 1000)
        self._honeypot = None if table.honeypot_within is None else int(table.honeypot_within * 1000)

    @property
    def horizon(self) -> float:
        """The seconds that it looks back."""
        table = self.table
        times = (table.after_delivery, table.head_within, table.honeypot_within, table.within if table.links else None)
        return max((time for time in times if time is not None), default=0.0)

    def holds(self, event: Event, fetch: Fetch, history: CopyHistory) -> bool:
        """Whether all of it holds."""
        return (
            (self._proxy is None or self._proxy is fetch.is_proxy)
            and (self._prefetched is None or self._prefetched is fetch.is_prefetched)
            and (self._soon is None or is_soon(event, history, self._soon))
            and not (self._one_address and not event.ip_address)  # nobody knows which requests are of one
            and (self._links is None or self._asked_for_many(event, self._links, history))
            and (self._head is None or history.head_before(*_place(event), self._head))
            and (self._honeypot is None or self._was_trapped(event, self._honeypot, history))
        )

    def _asked_for_many(self, event: Event, links: int, history: CopyHistory) -> bool:
        address = event.ip_address if self._same else None
        return history.links_around(event.message_id, event.timestamp, self._within, address, links) >= links

    def _was_trapped(self, event: Event, within: int, history: CopyHistory) -> bool:
        if event.target_link_name == HONEYPOT_NAME:
            return True
        address = event.ip_address if self._same else None
        return history.honeypot_near(event.message_id, event.timestamp, within, address)


def is_soon(event: Event, history: CopyHistory, seconds: float) -> bool:
    """Whether an engagement came at most so long after its copy's delivery, or after the message was taken."""
    begin = history.delivery_time(event.message_id, event.timestamp)
    if begin is None:
        begin = taken_at(event)
    return event.timestamp - begin <= seconds * 1000


def taken_at(event: Event) -> int:
    """When the message was taken, in Unix milliseconds; its number has the time of that in it."""
    return event.injection_time or (event.transmission_id >> 22) + EPOCH * 1000


def link_of(event: Event) -> int:
    """What tells the links of a copy apart: the places they lead to."""
    return hash(event.target_link_url)


def _place(event: Event) -> tuple[str, int, str, int]:
    return event.message_id, link_of(event), event.ip_address, event.timestamp


class _Index:
    # Which tables an event's type, program and address leave: one bit each, so that three look-ups find them all.
    def __init__(self, tables: Sequence[RuleTable | ProxyTable]) -> None:
        # By the type's number: it costs less than finding an enumeration's member in a dictionary.
        self._by_event: Final = [0] * (max(EventType) + 1)
        for name, kind in JUDGED.items():
            self._by_event[kind] = _bits(name in (table.events or ()) for table in tables)
        matchers = [None if table.agents is None else agent_matcher(table.agents) for table in tables]
        self._anywhere: Final = _bits(table.networks is None for table in tables)
        holders: dict[IPNetwork, int] = {}
        for place, table in enumerate(tables):
            for network in table.networks or ():
                holders[network] = holders.get(network, 0) | 1 << place
        self._networks: Final = NetworkTable(holders.items())
        cached = functools.lru_cache(_CACHED)
        self._by_agent: Final[Callable[[str], int]] = cached(
            lambda agent: _bits(match is None or match(agent) for match in matchers)
        )
        self._by_address: Final[Callable[[str], int]] = cached(self._holders)

    def find(self, event: Event) -> int:
        """The bits of the tables whose event, program and address fit."""
        found = self._by_event[event.type]
        return found and found & self._by_agent(event.user_agent) & self._by_address(event.ip_address)

    def _holders(self, address: str) -> int:
        bits = self._anywhere
        for found in self._networks.matches(parse_client(address)):
            bits |= found
        return bits


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _places(bits: int) -> Iterator[int]:
    # The numbers of the bits that are set, the lowest first.
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
