"""The generator: a seed, a number, an end; and all that happened in the mail of a made-up agency until then."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mailwake.demo.calendar import BUCKET_MS, Calendar
from mailwake.demo.campaigns import campaign_of
from mailwake.demo.customers import customers as make_customers
from mailwake.demo.next_hop import NextHop
from mailwake.demo.people import People
from mailwake.demo.reading import Reading, Scanners
from mailwake.demo.requests import Requests
from mailwake.demo.schedule import DAY_MS, Schedule, issues
from mailwake.links.body import NOBODY, message_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.demo.campaigns import Campaign
    from mailwake.demo.customers import Customer
    from mailwake.demo.people import Person
    from mailwake.demo.schedule import Issue, Planned
    from mailwake.events.model import Event

EVENTS_A_MESSAGE = 3.2
LOST_A_DAY = 0.0011
"""On the average, and the share of the people who get no newsletters any more after a day; both measured."""

_FEW_PEOPLE = 3


def generate(events: int, *, end_ms: int, days: int = 30, customers: int = 8, seed: int = 7) -> Iterator[Event]:
    """About so many events, in the order of their times, in the `days` before `end_ms` (Unix milliseconds).

    The same for the same arguments. Reserved names and addresses only (RFC 2606, 5737, 2544, 6598). Memory is what is
    still to happen: some hundred MB for each million events a day.
    """
    begin_ms = end_ms - days * DAY_MS
    messages = events / EVENTS_A_MESSAGE / max(0.5, 1 - LOST_A_DAY * days)
    agency = _Agency(messages, begin_ms, end_ms, make_customers(customers), seed)
    for bucket in range(begin_ms // BUCKET_MS, (end_ms - 1) // BUCKET_MS + 1):
        yield from agency.happenings(bucket)


class _Agency:
    def __init__(self, messages: float, begin_ms: int, end_ms: int, customers: list[Customer], seed: int) -> None:
        chance = Random(seed)
        self._random = chance.random
        self._time = range(begin_ms, end_ms)
        self._customers = customers
        self._calendar = Calendar(end_ms)
        sendings = issues(customers, begin_ms, end_ms)
        sizes = _sizes(customers, sendings, messages, days=(end_ms - begin_ms) / DAY_MS)
        self._people = [
            People(place, customer.market, size, seed)
            for place, (customer, (size, _)) in enumerate(zip(customers, sizes, strict=True))
        ]
        self._schedule = Schedule(
            customers, [size for size, _ in sizes], [streamed for _, streamed in sizes], sendings, chance
        )
        self._gone: list[dict[int, int]] = [{} for _ in customers]  # from when on whom gets no newsletter any more
        self._campaigns: dict[tuple[int, str], Campaign] = {}
        requests = Requests()
        self._next_hop = NextHop(self._calendar, chance)
        self._reading = Reading(self._calendar, chance, requests)
        self._scanners = Scanners(self._calendar, chance, requests)

    def happenings(self, bucket: int) -> Iterator[Event]:
        """What happens in a bucket; to be asked for one after the other."""
        for planned in self._schedule.planned(bucket):
            if planned.time_ms in self._time:
                self._send(planned)
        yield from self._calendar.happen(bucket)

    def _send(self, planned: Planned) -> None:
        campaign = self._campaign(planned)
        transmission = self._calendar.transmission(planned.time_ms)
        for index in range(planned.recipients):
            self._send_copy(planned, campaign, transmission, index)

    def _send_copy(self, planned: Planned, campaign: Campaign, transmission: int, index: int) -> None:
        at, number = planned.time_ms, planned.person + index
        gone = self._gone[planned.customer]
        suppressed = gone.get(number, at) < at
        if suppressed and campaign.leaving is not None:
            return  # senders leave out whom they may not write to
        person = self._people[planned.customer].person(number)
        copy = self._copy(campaign, transmission, index, person, number, at)
        if suppressed and not person.exists:
            self._next_hop.refuse(copy, person, at)
            return
        self._calendar.add(at, copy, {"type": copy.type})
        delivered = self._next_hop.answer(copy, person, at)
        if not delivered:
            gone[number] = at
            return
        seen = self._as_links_say(copy, campaign)
        if person.scanned:
            self._scanners.scan(seen, campaign, person, delivered)
        people = self._people[planned.customer]
        self._reading.read(seen, campaign, person, delivered, people, lambda when: gone.setdefault(number, when))

    def _campaign(self, planned: Planned) -> Campaign:
        key = (planned.customer, planned.part.label)
        known = self._campaigns.get(key)
        if known is None:
            known = self._campaigns[key] = campaign_of(self._customers[planned.customer], planned.part)
        return known

    def _copy(self, campaign: Campaign, transmission: int, index: int, person: Person, number: int, at: int) -> Event:
        if campaign.anonymous:
            return replace(
                campaign.like, message_id=message_id(transmission, index), transmission_id=transmission,
                injection_time=at, msg_from="",
            )  # fmt: skip
        return replace(
            campaign.like,
            message_id=message_id(transmission, index),
            transmission_id=transmission,
            rcpt_to=person.address,
            raw_rcpt_to=person.raw_address,
            recipient_domain=person.domain,
            routing_domain=person.domain,
            rcpt_meta={"user": number, "plan": "plus" if number % 6 == 0 else "free"},
            injection_time=at,
        )

    def _as_links_say(self, copy: Event, campaign: Campaign) -> Event:
        """The copy as its links name it: an anonymous one's say nothing of whose it is."""
        if not campaign.anonymous:
            return copy
        return replace(copy, message_id=message_id(copy.transmission_id, NOBODY))


def _sizes(
    customers: list[Customer], sendings: list[Issue], messages: float, *, days: float
) -> list[tuple[int, float]]:
    """Each customer's number of people, and messages of streams a day, so that all is about so many messages."""
    issued = [sum(each.customer == place for each in sendings) for place in range(len(customers))]
    streamed = [_streamed_to_each(customer, days) for customer in customers]
    weights = [customer.weight for customer in customers]
    scale = messages / sum(
        weight * (newsletters + others) for weight, newsletters, others in zip(weights, issued, streamed, strict=True)
    )
    return [
        (max(_FEW_PEOPLE, round(scale * weight)), scale * weight * others / days)
        for weight, others in zip(weights, streamed, strict=True)
    ]


def _streamed_to_each(customer: Customer, days: float) -> float:
    """Messages of streams that each of a customer's people gets on the average, beside the usual newsletters."""
    trade = customer.trade
    usual = sum(len(each.weekdays) for each in trade.newsletters) * days / 7
    return usual * trade.streamed / (1 - trade.streamed)
