"""Which messages the agency's customers send when: issues of newsletters as bursts, streams as the day goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from mailwake.demo.calendar import BUCKET_MS
from mailwake.demo.people import MARKETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from mailwake.demo.customers import Customer, Newsletter, Stream

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

_OF_HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 11, 12, 12, 11, 12, 11, 10, 10, 11, 12, 13, 13, 12, 10, 7, 4)
"""How much of what people set off happens in each hour of their day."""

_OF_WEEKDAYS = (1.08, 1.06, 1.04, 1.04, 1.02, 0.84, 0.86)
_BURSTS = 40
"""A burst lasts as many minutes at most."""


@lru_cache(100_000)
def _offset_of_day(zone: str, day: int) -> int:
    moment = datetime.fromtimestamp(day * DAY_MS / 1000, UTC) + timedelta(hours=12)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)


def local_ms(zone: str, time_ms: int) -> int:
    """A time as the clocks of a place show it, in milliseconds as if it were UTC; clocks change at midnight."""
    return time_ms + _offset_of_day(zone, time_ms // DAY_MS)


class Issue(NamedTuple):
    """One sending of a newsletter."""

    customer: int
    newsletter: Newsletter
    number: int
    """Of all issues of this newsletter, ever."""
    day: str
    """2026-11-26, where the sender is."""
    begin_ms: int
    end_ms: int

    @property
    def label(self) -> str:
        """The name of its campaign."""
        return f"{self.newsletter.name}-{self.day}"


class Planned(NamedTuple):
    """A message that is to be sent: its issue or stream, and of the customer's people the first and how many."""

    time_ms: int
    customer: int
    part: Issue | Stream
    person: int
    recipients: int = 1


def issues(customers: list[Customer], begin_ms: int, end_ms: int) -> list[Issue]:
    """All issues that are sent in this time, in order."""
    found: list[Issue] = []
    for place, customer in enumerate(customers):
        zone = MARKETS[customer.market][0][0].zone
        for newsletter in customer.trade.newsletters:
            for day in range(begin_ms // DAY_MS - 1, end_ms // DAY_MS + 2):
                if (day + 3) % 7 not in newsletter.weekdays:  # the first of 1970 was a Thursday
                    continue
                start = day * DAY_MS + int((newsletter.hour + place % 5 * 0.05) * HOUR_MS) - _offset_of_day(zone, day)
                if begin_ms <= start < end_ms:
                    number = day // 7 * len(newsletter.weekdays) + newsletter.weekdays.index((day + 3) % 7)
                    date = datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
                    # The pace of an injector: all of it in some minutes.
                    minutes = 4 + (place * 7 + number) % _BURSTS
                    found.append(Issue(place, newsletter, number, date, start, start + minutes * 60_000))
    return sorted(found, key=lambda issue: (issue.begin_ms, issue.customer, issue.newsletter.name))


class Schedule:
    """What is sent; `planned(bucket)` gives each bucket's messages, and has to be asked for one after the other.

    `audiences` are the customers' numbers of people, `streamed` their messages of streams a day.
    """

    def __init__(
        self,
        customers: list[Customer],
        audiences: list[int],
        streamed: list[float],
        issues: list[Issue],
        chance: Random,
    ) -> None:
        self._customers = customers
        self._audiences = audiences
        self._streamed = streamed
        self._waiting = issues[::-1]
        self._under_way: list[tuple[Issue, int]] = []
        self._chance = chance
        self._zones = [MARKETS[customer.market][0][0].zone for customer in customers]

    def planned(self, bucket: int) -> list[Planned]:
        """The messages of this bucket, in the order of their times."""
        begin = bucket * BUCKET_MS
        found = [*self._of_issues(begin, begin + BUCKET_MS)]
        for place in range(len(self._customers)):
            found += self._of_streams(place, begin)
        found.sort(key=lambda each: each.time_ms)
        return found

    def _of_issues(self, begin: int, until: int) -> Iterator[Planned]:
        while self._waiting and self._waiting[-1].begin_ms < until:
            self._under_way.append((self._waiting.pop(), 0))
        going_on = []
        for issue, sent in self._under_way:
            audience, length = self._audiences[issue.customer], issue.end_ms - issue.begin_ms
            each = self._customers[issue.customer].recipients_each
            reached = audience if until >= issue.end_ms else audience * (until - issue.begin_ms) // length
            reached -= 0 if reached == audience else reached % each
            for person in range(sent, reached, each):
                at = issue.begin_ms + length * person // audience
                yield Planned(max(at, begin), issue.customer, issue, person, min(each, reached - person))
            if reached < audience:
                going_on.append((issue, reached))
        self._under_way = going_on

    def _of_streams(self, place: int, begin: int) -> Iterator[Planned]:
        local = local_ms(self._zones[place], begin)
        rate = self._streamed[place] * _OF_HOURS[local // HOUR_MS % 24] / sum(_OF_HOURS)
        rate *= _OF_WEEKDAYS[(local // DAY_MS + 3) % 7] * BUCKET_MS / HOUR_MS
        chance, audience = self._chance.random, self._audiences[place]
        for stream in self._customers[place].trade.streams:
            for _ in range(int(rate * stream.share + chance())):
                yield Planned(begin + int(chance() * BUCKET_MS), place, stream, int(chance() * audience))
