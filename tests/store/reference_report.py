"""Reports as one would count by hand: each metric said in its own words, without a thought for cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.store.memory_store import fulfils

from mailwake.events.model import Event, EventType
from mailwake.store.report_question import WEEK, By, ReportQuestion, ReportRow, ReportTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_EPOCH = datetime(1970, 1, 1)
_CLICKS = {"click", "amp_click"}
_OPENS = {"open", "initial_open", "amp_open", "amp_initial_open"}
_INITIAL = {"initial_open", "amp_initial_open"}
_UNSUBSCRIBES = {"link_unsubscribe", "list_unsubscribe"}


def report(events: Sequence[Event], question: ReportQuestion, zone: ZoneInfo | None = None) -> ReportTable:
    """What a store must answer; `zone` is the one that the question's local time was made of."""
    zone = zone or ZoneInfo("UTC")
    groups: dict[tuple[str | int, ...], list[Event]] = {} if question.by is not By.NOTHING else {(): []}
    for event in events:
        if fulfils(event, question.where):
            for key in _keys(event, question, zone):
                groups.setdefault(key, []).append(event)
    rows = [ReportRow(key, tuple(count(name, group) for name in question.metrics)) for key, group in groups.items()]
    rows.sort(key=lambda row: row.key)
    if question.order_by:
        place = question.metrics.index(question.order_by)
        rows.sort(key=lambda row: row.numbers[place], reverse=question.descending)
    return ReportTable(rows[question.offset : question.offset + question.limit], len(rows))


def _keys(event: Event, question: ReportQuestion, zone: ZoneInfo) -> Iterator[tuple[str | int, ...]]:
    by = question.by
    if by is By.NOTHING:
        yield ()
    elif by is By.TAG:
        yield from ((tag,) for tag in set(event.rcpt_tags))
    elif by in (By.LINK, By.LINK_NAME):
        if event.type.wire_name in _CLICKS:
            yield (event.target_link_name, event.target_link_url)[: 1 if by is By.LINK_NAME else 2]
    elif by in (By.TIME, By.WEEK_HOUR):
        yield (_moment(event.timestamp, question, zone),)
    else:
        yield (getattr(event, by.columns[0]),)


def _moment(milliseconds: int, question: ReportQuestion, zone: ZoneInfo) -> int:
    utc = datetime.fromtimestamp(milliseconds // 1000, tz=ZoneInfo("UTC"))
    local = utc.astimezone(zone)
    if question.by is By.WEEK_HOUR:
        return local.weekday() * 24 + local.hour
    clock = local.replace(tzinfo=None, fold=0)
    midnight = clock.replace(hour=0, minute=0, second=0)
    spans = question.spans
    if spans.months:
        begin = midnight.replace(day=1)
    elif spans.width == WEEK:
        begin = midnight - timedelta(days=local.weekday())
    else:
        begin = _EPOCH + timedelta(milliseconds=_milliseconds(clock) // spans.width * spans.width)
    if spans.is_local:
        return _milliseconds(begin)
    return (milliseconds // 1000) * 1000 - (_milliseconds(clock) - _milliseconds(begin))


def _milliseconds(clock: datetime) -> int:
    return round((clock - _EPOCH).total_seconds() * 1000)


def count(name: str, events: Sequence[Event]) -> int:
    """One metric of these events."""
    chosen: Callable[[Event], bool] = lambda event: True  # noqa: E731
    short = name
    if "nonprefetched_" in name:
        short = name.replace("nonprefetched_", "")
        chosen = lambda event: not event.is_prefetched  # noqa: E731
    elif "human_" in name:
        short = name.replace("human_", "")
        chosen = lambda event: not event.is_prefetched and not event.is_bot  # noqa: E731
    return _METRICS[short]([event for event in events if chosen(event)])


def _number(types: set[str]) -> Callable[[list[Event]], int]:
    return lambda events: sum(1 for event in events if event.type.wire_name in types)


def _messages(types: set[str]) -> Callable[[list[Event]], int]:
    return lambda events: len(
        {
            (event.transmission_id, event.message_id)
            for event in events
            if event.type.wire_name in types and event.transmission_id and not event.message_id.endswith("ffff")
        }
    )


def _links(events: list[Event]) -> int:
    return len(
        {
            (event.rcpt_to, event.target_link_name, event.target_link_url)
            for event in events
            if event.type.wire_name in _CLICKS and event.rcpt_to
        }
    )


def _deliveries(events: list[Event], *, first: bool) -> list[Event]:
    return [each for each in events if each.type is EventType.DELIVERY and (not each.num_retries) is first]


def _bounces(*classes: int) -> Callable[[list[Event]], int]:
    def number(events: list[Event]) -> int:
        bounces = [each for each in events if each.type is EventType.BOUNCE]
        return sum(1 for each in bounces if (1 if each.bounce_class is None else each.bounce_class) in classes)

    return number


_HARD, _SOFT = (10, 30, 90), (20, 21, 22, 23, 24, 40, 60, 70, 100)
_BLOCK, _ADMIN = (50, 51, 52, 53, 54), (25, 80)
_METRICS: dict[str, Callable[[list[Event]], int]] = {
    "count_targeted": _number({"injection", "policy_rejection"}),
    "count_injected": _number({"injection"}),
    "count_rejected": _number({"policy_rejection"}),
    "count_policy_rejection": _number({"policy_rejection"}),
    "count_sent": _number({"delivery", "bounce"}),
    "count_accepted": _number({"delivery"}),
    "count_delivered": _number({"delivery"}),
    "count_delivered_first": lambda events: len(_deliveries(events, first=True)),
    "count_delivered_subsequent": lambda events: len(_deliveries(events, first=False)),
    "count_delayed": _number({"delay"}),
    "count_delayed_first": lambda events: sum(
        1 for each in events if each.type is EventType.DELAY and not each.num_retries
    ),
    "count_bounce": _number({"bounce"}),
    "count_inband_bounce": _number({"bounce"}),
    "count_hard_bounce": _bounces(*_HARD),
    "count_soft_bounce": _bounces(*_SOFT),
    "count_block_bounce": _bounces(*_BLOCK),
    "count_admin_bounce": _bounces(*_ADMIN),
    "count_undetermined_bounce": lambda events: (
        _number({"bounce"})(events) - _bounces(*_HARD, *_SOFT, *_BLOCK, *_ADMIN)(events)
    ),
    "total_msg_volume": lambda events: sum(each.msg_size or 0 for each in events if each.type is EventType.DELIVERY),
    "total_delivery_time_first": lambda events: sum(each.queue_time or 0 for each in _deliveries(events, first=True)),
    "total_delivery_time_subsequent": lambda events: sum(
        each.queue_time or 0 for each in _deliveries(events, first=False)
    ),
    "count_rendered": _number(_OPENS),
    "count_initial_rendered": _number(_INITIAL),
    "count_unique_rendered": _messages(_OPENS),
    "count_unique_initial_rendered": _messages(_INITIAL),
    "count_unique_confirmed_opened": _messages(_OPENS | _CLICKS),
    "count_clicked": _number(_CLICKS),
    "count_raw_clicked": _links,
    "count_unique_clicked": _messages(_CLICKS),
    "count_unsubscribe": _number(_UNSUBSCRIBES),
}
