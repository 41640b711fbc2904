"""What requests tell of who makes them, for each program and place, as the enrichment finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mailwake.enrichment.user_agents import UserAgents

if TYPE_CHECKING:
    from mailwake.demo.people import Person, Place
    from mailwake.events.model import Event

_PROXY_ADDRESSES = {
    True: "198.18.{}.{}",
    False: "198.19.{}.{}",
}
_FETCHERS = 48
"""Addresses of one provider's image proxies, in each of two networks."""


class Requests:
    """Makes of a copy's event the event that somebody's requests for it begin with."""

    def __init__(self) -> None:
        self._agents = UserAgents()
        self._known: dict[tuple[str, Place | None, bool, bool], dict[str, Any]] = {}

    def by_person(self, copy: Event, agent: str, person: Person) -> Event:
        """As their own program asks, from where they are; of an anonymous copy nobody knows where that is."""
        if not copy.rcpt_to:
            return replace(copy, **self._facts(agent, None))
        return replace(copy, ip_address=person.ip_address, **self._facts(agent, person.place))

    def by_proxy(self, copy: Event, agent: str, lot: int, *, prefetched: bool) -> Event:
        """As the image proxy of their provider asks in their place; which one of its machines is drawn by `lot`."""
        address = _PROXY_ADDRESSES[prefetched].format(lot // 8 % 6, lot % _FETCHERS) if copy.rcpt_to else ""
        return replace(copy, ip_address=address, **self._facts(agent, None, proxy=True, prefetched=prefetched))

    def by_machine(self, copy: Event, agent: str, address: str, verdict: dict[str, Any], place: Place) -> Event:
        """As a program asks that is not a person's; `verdict` is what the rules say of it."""
        known = bool(copy.rcpt_to)
        facts = self._facts(agent, place if known else None) | verdict
        return replace(copy, ip_address=address if known else "", **facts)

    def _facts(
        self, agent: str, place: Place | None, *, proxy: bool = False, prefetched: bool = False
    ) -> dict[str, Any]:
        key = (agent, place, proxy, prefetched)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._made(agent, place, proxy=proxy, prefetched=prefetched)
        return known

    def _made(self, agent: str, place: Place | None, *, proxy: bool, prefetched: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "delv_method": "esmtp",
            "user_agent": agent,
            "is_proxy": proxy,
            "is_prefetched": prefetched,
            "is_bot": False,
            "rcpt_type": "",
        }
        read = self._agents.facts(agent)
        if proxy:  # what a proxy says of device and place is its own
            return facts | {"agent_family": read["agent_family"]}
        facts |= read
        return facts if place is None else facts | _where(place)


def _where(place: Place) -> dict[str, Any]:
    fields = place._asdict()
    del fields["zone"]
    fields["accept_language"] = fields.pop("language")
    return fields
