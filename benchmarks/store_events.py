"""Events as months of mail bring them, from a seed: campaigns of many customers, people, machines and prefetches."""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

from mailwake.events.model import Event, EventType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

START = 1_780_000_000_000
DAYS = 90
CUSTOMERS = 60
CAMPAIGNS = 3_000
_EPOCH = 1_735_689_600_000
_AGENTS = (
    ("Chrome", "Windows", False, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/{}.0.0.0"),
    ("Mobile Safari", "iOS", True, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15"),
    ("GmailImageProxy", "Other", False, "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com)"),
    ("Firefox", "Linux", False, "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"),
)
_PLACES = (("DE", "Berlin", 52.52, 13.40), ("US", "Austin", 30.27, -97.74), ("FR", "Lyon", 45.76, 4.84))


def generate(number: int, *, people: int, seed: int = 7) -> Iterator[Event]:
    """So many events in the order of their times, over DAYS days."""
    source = _Source(random.Random(seed), people)
    step = DAYS * 86_400_000 / number * 2.9  # a message has 2.9 events, on the average
    waiting: list[tuple[int, int, Event]] = []
    made = given = 0
    while given < number:
        now = START + int(made * step)
        made += 1
        for event in source.message(now):
            heapq.heappush(waiting, (event.timestamp, event.event_id, event))
        while waiting and waiting[0][0] <= now and given < number:
            given += 1
            yield heapq.heappop(waiting)[2]


class _Source:
    def __init__(self, chance: random.Random, people: int) -> None:
        self._chance = chance
        self._people = people
        self._ids = 0

    def _id(self, now: int) -> int:
        self._ids += 1
        return (now - _EPOCH) << 22 | (self._ids & 0x3FFFFF)

    def message(self, now: int) -> Iterator[Event]:
        """A message and what becomes of it."""
        chance = self._chance
        person = chance.randrange(self._people)
        # A campaign is sent within some days, and most mail of a day is of a few campaigns.
        day = (now - START) / (DAYS * 86_400_000)
        campaign = int(day * CAMPAIGNS + chance.expovariate(0.05)) % CAMPAIGNS
        transmission = self._id(now)
        known: dict[str, Any] = {
            "message_id": f"{transmission:016x}0000",
            "transmission_id": transmission,
            "customer_id": str(campaign % CUSTOMERS),
            "campaign_id": f"campaign-{campaign}",
            "rcpt_to": f"person{person}@mail{person % 997}.example",
            "raw_rcpt_to": f"person{person}@mail{person % 997}.example",
            "recipient_domain": f"mail{person % 997}.example",
            "routing_domain": f"mail{person % 997}.example",
            "rcpt_meta": {"user": person, "plan": "gold" if person % 5 else "free"},
            "rcpt_tags": ("news", f"tag{campaign % 40}"),
            "friendly_from": f"News <news@sender{campaign % CUSTOMERS}.example>",
            "msg_from": f"bounces@sender{campaign % CUSTOMERS}.example",
            "sending_domain": f"sender{campaign % CUSTOMERS}.example",
            "subject": f"What is new, number {campaign}",
            "msg_size": 20_000 + campaign * 7 % 9000,
            "injection_time": now,
            "open_tracking": True,
            "click_tracking": True,
            "node_name": "node1",
        }
        yield Event(type=EventType.INJECTION, event_id=self._id(now), timestamp=now, **known)
        if chance.random() < 0.03:
            yield self._bounce(now + chance.randrange(50, 5000), known)
            return
        later = now + chance.randrange(50, 5000)
        yield Event(
            type=EventType.DELIVERY, event_id=self._id(later), timestamp=later, raw_reason="250 2.0.0 OK: queued",
            reason="250 2.0.0 OK: queued", queue_time=later - now, num_retries=0, delv_method="esmtp",
            ip_address=f"198.51.100.{person % 50}", **known,
        )  # fmt: skip
        for _ in range(int(chance.expovariate(1.4))):
            later += int(chance.expovariate(1 / 20_000_000)) + 1000
            yield self._engagement(later, known)

    def _bounce(self, at: int, known: dict[str, Any]) -> Event:
        said = "550 5.1.1 <person> User unknown in virtual mailbox table"
        return Event(
            type=EventType.BOUNCE, event_id=self._id(at), timestamp=at, raw_reason=said, reason=said,
            error_code=550, bounce_class=10, queue_time=900, num_retries=0, **known,
        )  # fmt: skip

    def _engagement(self, at: int, known: dict[str, Any]) -> Event:
        chance = self._chance
        family, system, is_mobile, agent = chance.choice(_AGENTS)
        country, city, latitude, longitude = chance.choice(_PLACES)
        clicked = chance.random() < 0.3
        fields: dict[str, Any] = {}
        if clicked:
            fields["target_link_url"] = f"https://shop{known['customer_id']}.example/p/{chance.randrange(40)}?utm=mail"
            fields["target_link_name"] = f"product {chance.randrange(40)}"
        return Event(
            type=EventType.CLICK if clicked else EventType.OPEN, event_id=self._id(at), timestamp=at,
            delv_method="esmtp", user_agent=agent.format(chance.randrange(90, 130)), accept_language="en-GB,en;q=0.9",
            ip_address=f"{chance.randrange(1, 223)}.{chance.randrange(256)}.{chance.randrange(256)}.0",
            agent_family=family, os_family=system, is_mobile=is_mobile, is_proxy="Proxy" in family,
            is_prefetched=False, country=country, city=city, latitude=latitude, longitude=longitude,
            is_bot=chance.random() < 0.1, bot_confidence=0.9, **fields, **known,
        )  # fmt: skip
