"""What becomes of a copy in its mailbox: fetched ahead, scanned, read soon or late, followed, forwarded, left."""

from __future__ import annotations

from bisect import bisect
from typing import TYPE_CHECKING, Any

from mailwake.demo.people import scatter
from mailwake.demo.requests import Requests
from mailwake.demo.schedule import DAY_MS, HOUR_MS, local_ms
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from mailwake.demo.calendar import Calendar
    from mailwake.demo.campaigns import Campaign
    from mailwake.demo.people import People, Person
    from mailwake.events.model import Event

_OPEN: Mapping[str, Any] = {"type": EventType.OPEN}
_INITIAL_OPEN: Mapping[str, Any] = {"type": EventType.INITIAL_OPEN}
_AMP_OPEN: Mapping[str, Any] = {"type": EventType.AMP_OPEN}
_AMP_INITIAL_OPEN: Mapping[str, Any] = {"type": EventType.AMP_INITIAL_OPEN}
_LEFT_BY_LIST: dict[str, Any] = {"type": EventType.LIST_UNSUBSCRIBE}

_MINUTE_MS = 60_000
_SOON_MS = 4_000
"""A click so shortly after delivery gets a word of the rules, though no verdict."""

_AWAKE = (0.15, 0.06, 0.03, 0.03, 0.05, 0.2, 0.6, 0.9, *[1.0] * 13, 0.9, 0.7, 0.4)
"""How likely somebody reads mail in each hour of their day, if they would have."""

_HASTY: dict[str, Any] = {"bot_reason": "hardly_anybody_could", "bot_confidence": 0.4}
_TOOL = {"is_bot": True, "bot_reason": "http_tool", "bot_confidence": 0.95}
_PREVIEW = {"is_bot": True, "bot_reason": "link_preview", "bot_confidence": 0.97}
_TOOL_AGENT = "python-requests/2.32.3"
_PREVIEW_AGENT = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"


class Reading:
    """Enters what people do in the calendar; `leave(person index, time)` is told who has left a list."""

    def __init__(self, calendar: Calendar, chance: Random, requests: Requests) -> None:
        self._calendar = calendar
        self._chance = chance
        self._random = chance.random
        self._requests = requests

    def read(
        self,
        copy: Event,
        campaign: Campaign,
        person: Person,
        delivered: int,
        people: People,
        leave: Callable[[int], object],
    ) -> None:
        """All that happens to a copy that was delivered then, except by scanners."""
        program = person.program
        if program.prefetches and self._random() < 0.93:
            self._prefetch(copy, campaign, person, delivered)
        wish = 0.34 * campaign.appeal * person.liveliness
        if self._random() >= wish:
            return
        at = self._reading_time(delivered, person, hurried=campaign.hurried)
        if not program.prefetches and self._random() < program.shows_images:
            self._open_again_and_again(copy, campaign, person, at)
        if self._random() < 0.07 * campaign.appeal * person.liveliness:
            self._follow(copy, campaign, person, at, delivered)
        if campaign.leaving is not None and self._random() < 0.006:
            self._leave(copy, campaign, person, at, leave)
        if self._random() < 0.008:
            other = people.person(int(self._random() * people.number))
            self._forwarded(copy, campaign, other, at)

    def _prefetch(self, copy: Event, campaign: Campaign, person: Person, delivered: int) -> None:
        """A program fetches all images of all mail, read or not, when it likes."""
        at = delivered + 3_000 + int(self._chance.expovariate(1 / (35 * _MINUTE_MS)))
        by = self._requests.by_proxy(copy, person.program.images, at, prefetched=True)
        self._images(by, campaign, at)

    def _reading_time(self, delivered: int, person: Person, *, hurried: bool) -> int:
        lot, expovariate = self._random(), self._chance.expovariate
        if hurried:
            mean = 4_000 if lot < 0.1 else 1.5 * _MINUTE_MS if lot < 0.6 else 3 * HOUR_MS
        elif lot < 0.985:
            mean = 25 * _MINUTE_MS if lot < 0.33 else 4 * HOUR_MS if lot < 0.72 else 26 * HOUR_MS
        else:
            mean = 9 * DAY_MS
        at = delivered + 2_050 + int(expovariate(1 / mean))
        zone = person.place.zone
        local = local_ms(zone, at)
        hour = local // HOUR_MS % 24
        if not hurried and self._random() >= _AWAKE[hour]:  # they sleep, and look in the morning
            at += ((7 - hour) % 24) * HOUR_MS - local % HOUR_MS + int(2.5 * HOUR_MS * self._random())
            local = local_ms(zone, at)
        weekday = (local // DAY_MS + 3) % 7
        if weekday > 4 and person.scanned and self._random() < 0.7:  # mail for the office waits until Monday
            at += (7 - weekday) * DAY_MS
        return at

    def _open_again_and_again(self, copy: Event, campaign: Campaign, person: Person, at: int) -> None:
        program = person.program
        if program.proxy:
            by = self._requests.by_proxy(copy, program.images, at, prefetched=False)
        else:
            by = self._requests.by_person(copy, program.images, person)
        while True:
            self._images(by, campaign, at)
            if self._random() >= 0.2:
                return
            at += _MINUTE_MS + int(self._chance.expovariate(1 / (7 * HOUR_MS)))

    def _images(self, by: Event, campaign: Campaign, at: int) -> None:
        """The images of a message are loaded: the one at its start, if it has one, then the one at its end."""
        like = campaign.like
        amp = like.amp_enabled and by.is_proxy and not by.is_prefetched and at % 3 == 0
        if like.initial_pixel:
            self._calendar.add(at, by, _AMP_INITIAL_OPEN if amp else _INITIAL_OPEN)
            if self._random() < 0.04:  # long messages are cut, and their end is never loaded
                return
        self._calendar.add(at + 40 + int(300 * self._random()), by, _AMP_OPEN if amp else _OPEN)

    def _follow(self, copy: Event, campaign: Campaign, person: Person, at: int, delivered: int) -> None:
        by = self._requests.by_person(copy, person.browser, person)
        amp = copy.amp_enabled and person.program.proxy and not person.program.prefetches and at % 3 == 0
        at += 900 + int(self._chance.expovariate(1 / (4_000 if campaign.hurried else 35_000)))
        while True:
            changes = campaign.links[self._which(campaign)]
            if amp:
                changes = {**changes, "type": EventType.AMP_CLICK}
            elif at - delivered <= _SOON_MS:
                changes = {**changes, **_HASTY}
            self._calendar.add(at, by, changes)
            self._others_follow(copy, changes, person, at)
            if self._random() >= 0.26:
                return
            at += 5_000 + int(self._chance.expovariate(1 / 60_000))

    def _which(self, campaign: Campaign) -> int:
        return bisect(campaign.weights, self._random() * campaign.weights[-1])

    def _others_follow(self, copy: Event, changes: dict[str, Any], person: Person, at: int) -> None:
        lot = self._random()
        if lot < 0.025:  # they have pasted the link into a conversation, or had a script look at it
            agent, verdict = (_PREVIEW_AGENT, _PREVIEW) if lot < 0.015 else (_TOOL_AGENT, _TOOL)
            address = f"198.51.100.{64 + int(lot * 1e5) % 64}"
            by = self._requests.by_machine(copy, agent, address, verdict, person.place)
            self._calendar.add(at + 30_000 + int(6e7 * lot), by, {**changes, **verdict})

    def _leave(self, copy: Event, campaign: Campaign, person: Person, at: int, leave: Callable[[int], object]) -> None:
        assert campaign.leaving is not None
        at += 4_000 + int(self._chance.expovariate(1 / 40_000))
        if self._random() < 0.6:
            by, changes = self._requests.by_person(copy, person.browser, person), campaign.leaving
        else:  # the button of their mail program
            by, changes = self._requests.by_person(copy, person.program.browsers[0], person), _LEFT_BY_LIST
        self._calendar.add(at, by, changes)
        leave(at)

    def _forwarded(self, copy: Event, campaign: Campaign, other: Person, at: int) -> None:
        """Somebody else gets to see it, and all that they do counts as the recipient's."""
        at += 10 * _MINUTE_MS + int(self._chance.expovariate(1 / (5 * HOUR_MS)))
        if not other.program.proxy:
            self._images(self._requests.by_person(copy, other.program.images, other), campaign, at)
        if self._random() < 0.4:
            changes = campaign.links[self._which(campaign)]
            self._calendar.add(at + 20_000, self._requests.by_person(copy, other.browser, other), changes)


_SCANNERS = (
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
        "several_links_at_once",
        0.9,
    ),
    ("Mozilla/5.0 (compatible; MimecastLinkCheck/2.1)", "security_scanner", 0.95),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/128.0.0.0 Safari/537.36", "several_links_at_once", 0.9),
)
"""Programs of gateways; what the rules call them, and how sure they are of an open."""


class Scanners:
    """Companies' gateways, which look at every message within seconds and follow all its links."""

    def __init__(self, calendar: Calendar, chance: Random, requests: Requests) -> None:
        self._calendar = calendar
        self._random = chance.random
        self._requests = requests

    def scan(self, copy: Event, campaign: Campaign, person: Person, delivered: int) -> None:
        """Enter what the gateway of this person's company does with a copy, if it does."""
        if self._random() < 0.25 or len(campaign.links) < 3:  # seen before, or little to see
            return
        lot = scatter(len(person.domain) + sum(person.domain.encode()))
        agent, reason, sure = _SCANNERS[lot % len(_SCANNERS)]
        trapped = campaign.honeypot is not None
        if trapped:
            reason, sure = "honeypot", 0.9
        verdict = {"is_bot": True, "bot_reason": reason, "bot_confidence": sure}
        if reason == "honeypot" and "Mimecast" in agent:
            verdict |= {"bot_reason": "security_scanner", "bot_confidence": 0.95}
        address = f"203.0.113.{lot % 250 + 1}"
        by = self._requests.by_machine(copy, agent, address, verdict, person.place)
        at = delivered + 300 + int(25_000 * self._random() ** 3)
        if self._random() < 0.5:
            self._calendar.add(at, by, _INITIAL_OPEN if copy.initial_pixel else _OPEN)
        surer = {"bot_confidence": 0.99, "bot_reason": reason} if trapped else {"bot_confidence": 0.95}
        honeypots = () if campaign.honeypot is None else (campaign.honeypot,)
        for number, changes in enumerate((*campaign.links, *honeypots)):
            # All within two seconds.
            self._calendar.add(at + 60 + number * 150 + int(100 * self._random()), by, {**changes, **surer})
