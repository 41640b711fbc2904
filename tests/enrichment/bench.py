"""Events as the collector sees them, and an enricher, for the tests of what is said of them."""

from __future__ import annotations

from itertools import count
from typing import Any

from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.enricher import Enricher
from mailwake.enrichment.user_agents import UserAgents
from mailwake.events.model import Event, EventType
from mailwake.events.unique_ids import EPOCH
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
AGENTS = UserAgents()
START = 1_790_689_600_000
_ids = count(1)


def event(event_type: EventType = EventType.CLICK, at: float = 3600, *, copy: int = 0, **fields: Any) -> Event:
    """An event `at` seconds after its message was taken; of a person's browser, unless the fields say otherwise."""
    transmission = (START - EPOCH * 1000) << 22 | 5
    known: dict[str, Any] = {
        "rcpt_to": f"r{copy}@example.com",
        "ip_address": "198.51.100.7",
        "user_agent": CHROME,
        "target_link_url": "https://shop.example/1",
        "is_prefetched": False,
    }
    if event_type.group == "message_event":
        known = {"rcpt_to": known["rcpt_to"]}
    return Event(
        type=event_type,
        event_id=next(_ids),
        timestamp=START + round(at * 1000),
        transmission_id=transmission,
        message_id=f"{transmission:016x}{copy:04x}",
        **{**known, **fields},
    )


class Bench:
    """An enricher, and the metrics that it keeps."""

    def __init__(self, settings: Enrichment) -> None:
        self.metrics = Metrics()
        self.enricher = Enricher(settings, make_logger("json", "error"), self.metrics, agents=AGENTS)

    def judged(self, *events: Event) -> list[Event]:
        """All of them observed, then all of them completed."""
        for each in events:
            self.enricher.observe(each)
        return [self.enricher.complete(each) for each in events]

    def judge(self, one: Event) -> Event:
        """One alone."""
        (found,) = self.judged(one)
        return found

    def count(self, name: str, *labels: str) -> float:
        return self.metrics.counter(name, *labels).value
