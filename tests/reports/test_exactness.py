"""Every number of every report is what one counts by hand: whatever came, twice, late, was erased or forgotten."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.store.events import event
from tests.store.reference_report import report

from mailwake.api.app import make_app
from mailwake.api.metrics_answers import DELIVERABILITY, GROUPINGS
from mailwake.api.parts import ApiParts
from mailwake.clock import ManualClock
from mailwake.config.api_settings import Api
from mailwake.config.store_settings import Store
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.events.model import Event, EventType
from mailwake.events.wire import iso_time
from mailwake.feed.contract import Position
from mailwake.metrics import Metrics
from mailwake.reports.local_time import PRECISIONS, local_time
from mailwake.store.duckdb_store import open_store
from mailwake.store.filters import Cut, Filters
from mailwake.store.measures import CLICKS, MEASURES
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mailwake.store.duckdb_store import DuckDbStore

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Adelaide", "America/Santiago")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


EDGES = (
    "2026-09-06T04:00",  # Santiago's midnight that is left out
    "2026-09-30T18:15",  # a month begins in Kathmandu
    "2026-10-03T16:30",  # Adelaide's clocks are set forward
    "2026-10-25T00:00",  # an hour begins that Berlin has twice
    "2026-10-25T01:00",
    "2026-10-25T23:00",  # a week begins in Berlin
    "2026-10-31T23:00",
    "2026-11-01T05:30",  # in the hour that New York has twice
    "2026-11-01T06:00",
    "2026-11-01T06:30",
)
MOMENTS = tuple(at(edge) + apart for edge in EDGES for apart in (-60_000, -1, 0, 1))
UNTIL = at("2026-12-01T00:00")
OF_LINKS = tuple(name for name, measure in MEASURES.items() if measure.is_of_links)

PEOPLE = ("", "p1", "p2", "p3")
LINKS = (
    ("", ""),
    ("offer", "https://x.example/1"),
    ("offer", "https://x.example/2"),
    ("Raw URL", "https://x.example/1"),
)
FIELDS: dict[str, tuple[Any, ...]] = {
    "type": (*EventType,),
    "timestamp": MOMENTS,
    "person": PEOPLE,
    "transmission_id": (1, 2, 0),
    "link": LINKS,
    "is_bot": (None, True, False),
    "is_prefetched": (None, True, False),
    "campaign_id": ("", "spring", "autumn"),
    "recipient_domain": ("example.org", "example.net", ""),
    "sending_domain": ("shop.example", ""),
    "rcpt_tags": ((), ("a",), ("a", "b")),
    "bounce_class": (None, 10, 25, 50, 70, 1, 99),
    "num_retries": (None, 0, 2),
    "msg_size": (None, 1000),
    "queue_time": (None, 70),
}
CODES = 1
for _values in FIELDS.values():
    CODES *= len(_values)

NUMBERS = count(1)


def made(number: int, code: int, customer: str) -> Event:
    """The event that a number stands for: one draw for all its fields, which is quick and shrinks well."""
    drawn: dict[str, Any] = {}
    for name, values in FIELDS.items():
        code, place = divmod(code, len(values))
        drawn[name] = values[place]
    person, (link_name, link_url) = drawn.pop("person"), drawn.pop("link")
    if drawn["type"] in CLICKS:
        drawn |= {"target_link_name": link_name, "target_link_url": link_url}
    recipient = PEOPLE.index(person)
    regular = f"{drawn['transmission_id']:016x}{recipient if person else 0xFFFF:04x}"
    return event(
        number,
        customer_id=customer,
        rcpt_to=f"{person}.{customer}@example.org" if person else "",
        message_id=regular if recipient != 3 else f"none-of-ours-{drawn['transmission_id']}",
        **drawn,
    )


@dataclass(frozen=True)
class Step:
    """New events, the first of them twice; perhaps all earlier ones again; then somebody is erased, or a time."""

    codes: list[int]
    again: bool
    erased: str
    forgotten: int


STEPS = st.lists(
    st.builds(
        Step,
        codes=st.lists(st.integers(0, CODES - 1), max_size=25),
        again=st.booleans(),
        erased=st.sampled_from(("", "", "", "p1")),
        forgotten=st.sampled_from((0, 0, 0, at("2026-10-03T16:30"))),
    ),
    min_size=1,
    max_size=4,
)


def some(name: str, *values: Any) -> st.SearchStrategy[tuple[str, Any]]:
    chosen = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
    return st.tuples(st.just(name), chosen.map(tuple))


# Two at once at most: more of them let nothing through.
FILTERS: st.SearchStrategy[dict[str, Any]] = st.lists(
    st.one_of(
        st.tuples(st.just("since"), st.sampled_from(MOMENTS[:20])),
        st.tuples(st.just("until"), st.sampled_from(MOMENTS[20:])),
        some("campaigns", "spring", "", "SPRING"),
        some("recipient_domains", "example.NET", "example.org"),
        some("sending_domains", "SHOP.example"),
        some("tags", "b", "c"),
        some("transmissions", 1, 0),
        some("messages", f"{1:016x}0001", "none-of-ours-2"),
        some("link_names", "offer", "Raw URL"),
        some("link_urls", "https://x.example/1"),
        some("types", EventType.CLICK, EventType.OPEN, EventType.DELIVERY),
        some("bounce_classes", 10, 99),
        st.tuples(st.just("cut"), st.sampled_from(Cut)),
    ),
    max_size=2,
).map(dict)


@dataclass
class Rig:
    """One store for all examples, each of which is a customer of its own; and the API over it."""

    store: DuckDbStore
    api: httpx.AsyncClient
    loads: int = 0
    kept: dict[int, Event] = field(default_factory=dict)

    async def take(self, steps: list[Step], customer: str) -> None:
        """What happens to the store, and what must be in it then."""
        self.kept, every = {}, []
        for step in steps:
            new = [made(next(NUMBERS), code, customer) for code in step.codes]
            every += new
            batch = [*(every if step.again else new), *new[:3]]
            self.loads += 1
            await self.store.load(batch, Position(1, self.loads))
            self.kept = {each.event_id: each for each in batch} | self.kept
            if step.erased:
                recipient = f"{step.erased}.{customer}@example.org"
                gone = [each.event_id for each in self.kept.values() if each.rcpt_to == recipient]
                assert await self.store.erase([recipient.upper()]) == len(gone)
                self.kept = {number: each for number, each in self.kept.items() if number not in gone}
            if step.forgotten:
                await self.store.forget_before(step.forgotten)
                self.kept = {n: each for n, each in self.kept.items() if each.timestamp >= step.forgotten}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    with closing(open_store(tmp_path / "store", Store())) as store:
        await store.open()
        clock = ManualClock()
        parts = ApiParts(
            settings=Api(max_requests_per_key=0),
            keys=ApiKeys(tmp_path / "api-keys.sqlite3", clock),
            clock=clock,
            metrics=Metrics(),
            log=structlog.wrap_logger(None, [LogCapture()]),
            store=store,
        )
        transport = httpx.ASGITransport(make_app(parts))
        key = {"authorization": parts.keys.create("all", [Scope.READ])}
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=key) as api:
            yield Rig(store, api)


# `deadline`: a file that is written anew takes its time.
slow = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@slow
@given(steps=STEPS, zone=st.sampled_from(ZONES).map(ZoneInfo), data=st.data())
async def test_every_metric_of_every_row_is_what_one_counts_by_hand(
    rig: Rig, steps: list[Step], zone: ZoneInfo, data: st.DataObject
) -> None:
    customer = str(next(NUMBERS))
    await rig.take(steps, customer)
    where = Filters(since=MOMENTS[0], until=MOMENTS[-1], only_customer=customer)
    time = local_time(zone, MOMENTS[0], MOMENTS[-1])
    for by in data.draw(st.lists(st.sampled_from(By), min_size=3, max_size=4, unique=True)):
        metrics = OF_LINKS if by in (By.LINK, By.LINK_NAME) else tuple(MEASURES)
        question = ReportQuestion(
            where=where,
            metrics=metrics,
            by=by,
            local_time=time,
            spans=PRECISIONS[data.draw(st.sampled_from(sorted(PRECISIONS)))] if by is By.TIME else PRECISIONS["day"],
            order_by=data.draw(st.sampled_from(("", metrics[0], metrics[-1]))) if by is not By.NOTHING else "",
            descending=data.draw(st.booleans()),
            limit=data.draw(st.integers(1, 5)) if by in (By.TAG, By.LINK) else 10_000,
        )
        assert await rig.store.report(question) == report([*rig.kept.values()], question, zone), by


_DRAWN = random.Random(7)  # events, no secrets
MANY = [_DRAWN.randrange(CODES) for _ in range(300)]


@settings(slow, max_examples=80)
@given(filters=FILTERS, by=st.sampled_from((By.NOTHING, By.CAMPAIGN, By.TAG)))
async def test_every_filter_lets_through_what_it_should(rig: Rig, filters: dict[str, Any], by: By) -> None:
    if not rig.kept:
        await rig.take([Step(MANY, again=False, erased="", forgotten=0)], "many")
    where = Filters(**{"since": MOMENTS[0], "until": UNTIL, "only_customer": "many", **filters})
    metrics = ("count_targeted", "count_unique_confirmed_opened", "count_raw_clicked", "count_bounce")
    question = ReportQuestion(where=where, metrics=metrics, by=by)
    assert await rig.store.report(question) == report([*rig.kept.values()], question)


@slow
@given(steps=STEPS, zone=st.sampled_from(ZONES), data=st.data())
async def test_the_api_says_what_one_counts_by_hand(
    rig: Rig, steps: list[Step], zone: str, data: st.DataObject
) -> None:
    customer = str(next(NUMBERS))
    await rig.take(steps, customer)
    events = [*rig.kept.values()]
    where = Filters(since=MOMENTS[5], until=MOMENTS[-2], only_customer=customer)
    query = {"from": iso_time(MOMENTS[5]), "to": iso_time(MOMENTS[-2]), "timezone": zone}
    bound = {"x-msys-subaccount": customer}

    async def results(path: str, metrics: tuple[str, ...], **more: str) -> list[dict[str, Any]]:
        answer = await rig.api.get(path, params={**query, **more, "metrics": ",".join(metrics)}, headers=bound)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    expected = report(events, ReportQuestion(where=where, metrics=tuple(MEASURES))).rows[0]
    assert await results(DELIVERABILITY, tuple(MEASURES)) == [dict(zip(MEASURES, expected.numbers, strict=True))]

    grouping = GROUPINGS[word := data.draw(st.sampled_from(sorted(GROUPINGS)))]
    metrics = OF_LINKS if "link" in word else tuple(MEASURES)
    question = ReportQuestion(where=where, metrics=metrics, by=grouping.by, order_by=metrics[0])
    assert await results(f"{DELIVERABILITY}/{word}", metrics) == [
        {**dict(zip(grouping.fields, key, strict=True)), **dict(zip(metrics, numbers, strict=True))}
        for key, numbers in report(events, question).rows
    ]

    precision = data.draw(st.sampled_from(("hour", "12hr", "day", "week", "month")))
    spans = PRECISIONS[precision]
    question = ReportQuestion(where=where, metrics=OF_LINKS, by=By.TIME, spans=spans)
    series = await results(f"{DELIVERABILITY}/time-series", OF_LINKS, precision=precision)
    by_hand = {
        begins(key[0], ZoneInfo(zone), is_local=spans.is_local): dict(zip(OF_LINKS, numbers, strict=True))
        for key, numbers in report(events, question, ZoneInfo(zone)).rows
        if any(numbers)
    }
    assert {point.pop("ts"): point for point in series if any(point[name] for name in OF_LINKS)} == by_hand


def begins(key: int | str, zone: ZoneInfo, *, is_local: bool) -> str:
    """The moment that a span begins at, as the clock on the wall shows it."""
    milliseconds = int(key)
    if not is_local:
        return datetime.fromtimestamp(milliseconds / 1000, zone).isoformat()
    wall = (datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)).replace(tzinfo=zone)
    return wall.astimezone(UTC).astimezone(zone).isoformat()
