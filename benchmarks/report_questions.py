"""Ten things that people look at, as the questions that the store is asked for each; and searches for one person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from benchmarks.made_events import DAY

from mailwake.reports.over_time import time_series, week_hours
from mailwake.store.filters import Filters
from mailwake.store.question import Question
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from mailwake.store.duckdb_store import DuckDbStore

Look = Callable[["DuckDbStore"], Awaitable[object]]

FUNNEL = ("count_targeted", "count_accepted", "count_unique_confirmed_opened", "count_unique_clicked")
SERIES = ("count_rendered", "count_clicked")
TABLE = (*FUNNEL, "count_bounce", "count_clicked", "count_unsubscribe")
LINKS = ("count_unique_clicked", "count_raw_clicked", "count_clicked")
_PEOPLE = ("count_targeted", "count_accepted", "count_human_unique_confirmed_opened", "count_human_unique_clicked")
_ZONE = ZoneInfo("Europe/Berlin")
_ROWS = 50


@dataclass(frozen=True)
class Known:
    """What is known of a store's events: their newest time, and some that exist."""

    newest: int
    campaign: str
    customer: str
    recipients: list[str]
    messages: list[str]


async def what_is_known(store: DuckDbStore, number: int) -> Known:
    """`number` people and messages of some days ago, and a campaign and a customer of theirs."""
    newest = (await store.status()).newest
    assert newest is not None
    found = (await store.search(Question(until=newest - 5 * DAY, per_page=number * 20))).events[::20]
    found = [event for event in found if event.rcpt_to]
    newsletter = next((event for event in found if event.pathway == "newsletters"), found[0])
    return Known(
        newest, newsletter.campaign_id, newsletter.customer_id,
        [event.rcpt_to for event in found], [event.message_id for event in found],
    )  # fmt: skip


def looks(known: Known) -> dict[str, list[Look]]:
    """Ten views by name; each is answered when all that it asks has been answered."""
    today = _span(known, 1)
    week_ago = Filters(since=known.newest - 8 * DAY, until=known.newest - 7 * DAY)
    month, all_days = _span(known, 30), _span(known, 90)
    campaign = replace(month, campaigns=(known.campaign,))
    return {
        "overview: today, a week ago, by the hour": [
            _report(today, TABLE), _report(week_ago, TABLE), _series(today, "hour"), _series(week_ago, "hour"),
        ],
        "engagement, 30 days: funnel": [_report(month, FUNNEL)],
        "engagement, 30 days: links": [_report(month, LINKS, By.LINK)],
        "engagement, 30 days: by the day": [_series(month, "day")],
        "engagement, 30 days: day and hour": [lambda store: week_hours(store, month, SERIES, _ZONE)],
        "engagement, 30 days, people only: funnel": [_report(month, _PEOPLE)],
        "one campaign: funnel, links, by the hour": [
            _report(campaign, FUNNEL), _report(campaign, LINKS, By.LINK), _series(campaign, "hour"),
        ],
        "campaigns, 30 days": [_report(month, TABLE, By.CAMPAIGN)],
        "domains, 30 days": [_report(month, TABLE, By.DOMAIN)],
        "one customer's tags, 30 days": [_report(replace(month, only_customer=known.customer), TABLE, By.TAG)],
        "all 90 days: funnel": [_report(all_days, FUNNEL)],
        "all 90 days: campaigns": [_report(all_days, TABLE, By.CAMPAIGN)],
    }  # fmt: skip


def searches(known: Known) -> dict[str, list[Question]]:
    """Searches by name, each for others."""
    return {
        "one person's events": [Question(recipients=(each,)) for each in known.recipients],
        "one message's events": [Question(messages=(each,)) for each in known.messages],
    }


def _span(known: Known, days: int) -> Filters:
    return Filters(since=known.newest - days * DAY, until=known.newest + 1)


def _report(where: Filters, metrics: tuple[str, ...], by: By = By.NOTHING) -> Look:
    order = metrics[0] if by is not By.NOTHING else ""
    question = ReportQuestion(where=where, metrics=metrics, by=by, order_by=order, limit=_ROWS)
    return lambda store: store.report(question)


def _series(where: Filters, precision: str) -> Look:
    return lambda store: time_series(store, where, SERIES, precision, _ZONE)
