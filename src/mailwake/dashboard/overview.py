"""The first page: whether anyone reads our mail, today beside the same time last week."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mailwake.dashboard.engagement import ENGAGEMENT
from mailwake.dashboard.figures import Change, Figures, ask_figures, ask_rows, change, figures_of
from mailwake.dashboard.formats import number, share
from mailwake.dashboard.message_list import message_url, recipient_url
from mailwake.dashboard.own_paths import HOME
from mailwake.dashboard.pages import Page
from mailwake.dashboard.periods import Comparison, comparison
from mailwake.dashboard.series import KINDS, Series, ask_series, sparkline
from mailwake.store.question import Question
from mailwake.store.report_question import By

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.store.filters import Filters

_DAY_MS = 86_400_000
_SERIES_DAYS = 14
"""The curve is never shorter: one day says nothing without those before it."""

_TOP = 10
_NEWEST = 8


_GOOD = {"targeted": "", "accepted": "", "opened": "up", "clicked": "up", "bounced": "down", "unsubscribed": "down"}


class Tile(NamedTuple):
    """A number with what it was before."""

    label: str
    kind: str
    value: str
    before: str
    change: Change | None
    spark: str
    """The points of its curve; "" where there is none."""
    good: str
    """The direction that is good; "" where that is nobody's business but the sender's."""


class TopRow(NamedTuple):
    """One of the largest campaigns."""

    name: str
    href: str | None
    figures: Figures


async def _overview(visit: Visit) -> Response:
    status = await visit.store.status()
    if not status.events:
        return await visit.render("overview.html", first_steps=True)
    view = visit.view
    against = comparison(view.period, view.now, view.zone)
    now, before, series, top, newest = await asyncio.gather(
        ask_figures(visit.store, view.where(since=against.since, until=against.until)),
        ask_figures(visit.store, view.where(since=against.earlier_since, until=against.earlier_until)),
        ask_series(visit.store, _longer(visit), view.zone, at_least_days=True),
        ask_rows(visit.store, view.where(), By.CAMPAIGN, order_by="count_targeted", limit=_TOP),
        visit.store.search(Question(**view.fields(), per_page=_NEWEST)),
    )
    return await visit.render(
        "overview.html",
        first_steps=False,
        headline=headline(now, before, against),
        against=against,
        tiles=_tiles(now, before, series),
        figures=now,
        series=series,
        top=[_top_row(visit, str(row.key[0]), row.numbers) for row in top.rows],
        newest=newest.events,
        events_url=visit.events_url(),
        recipient_url=recipient_url,
        message_url=message_url,
        behind=visit.store_behind(),
        newest_stored=status.newest if visit.viewer.customer is None else None,  # it may be another customer's
    )


def _longer(visit: Visit) -> Filters:
    where = visit.view.where()
    assert where.since is not None
    assert where.until is not None
    return replace(where, since=min(where.since, where.until - _SERIES_DAYS * _DAY_MS))


def _top_row(visit: Visit, name: str, numbers: Sequence[int]) -> TopRow:
    return TopRow(name, visit.detail_url(ENGAGEMENT, campaign=name) if name else None, figures_of(numbers))


def headline(now: Figures, before: Figures, against: Comparison) -> tuple[str, str]:
    """The answer in a word, and in a sentence."""
    if not now.targeted and not now.opens and not now.clicks:
        return "Nothing was sent or read", f"{against.title}: no event fits the filters."
    counts = f"{number(now.opened)} of {number(now.accepted)} accepted messages were opened or clicked"
    if not now.opened and (now.opens or now.clicks):
        counts = f"opens {number(now.opens)}, clicks {number(now.clicks)}"
        return "It is opened; by whom, nobody can know", f"{against.title}: {counts}, all of anonymous copies."
    if not now.opened:
        return (
            "Nobody has read it yet",
            f"{against.title}: none of {number(now.accepted)} accepted messages was opened.",
        )
    if not now.accepted:
        counts = f"{number(now.opened)} messages of earlier days were opened or clicked"
    people = f", {number(now.by_people)} of them by people as far as can be told" if now.by_people < now.opened else ""
    was = f"; {against.earlier_title} {number(before.opened)}" if before.opened else ""
    word = "Yes, people read it" if now.by_people else "Machines look at it, people do not yet"
    return word, f"{against.title}: {counts}{people}{was}."


def _tiles(now: Figures, before: Figures, series: Series) -> list[Tile]:
    curves = {kind: [point.numbers[place] for point in series.points] for place, kind in enumerate(KINDS)}
    counts = (
        ("Targeted", "targeted", now.targeted, before.targeted),
        ("Accepted", "accepted", now.accepted, before.accepted),
        ("Unique confirmed opens", "opened", now.opened, before.opened),
        ("Unique clicks", "clicked", now.clicked, before.clicked),
    )
    tiles = [
        Tile(label, kind, number(count), number(earlier), change(count, earlier), sparkline(curves[kind]), _GOOD[kind])
        for label, kind, count, earlier in counts
    ]
    return tiles + [_rate_tile(*each, now, before) for each in _RATES]


def _rate_tile(
    label: str, kind: str, pair: Callable[[Figures], tuple[int, int]], digits: int, now: Figures, before: Figures
) -> Tile:
    """A rate, and its change in percentage points."""
    (part, whole), (earlier_part, earlier_whole) = pair(now), pair(before)
    changed = None
    if whole and earlier_whole:
        points = 100 * part / whole - 100 * earlier_part / earlier_whole
        shown = f"{abs(points):.{digits}f}"
        up = points > 0
        changed = Change(f"{'+' if up else '−'}{shown} pp", "up" if up else "down")
        if not float(shown):
            changed = Change("as before", "same")
    earlier = share(earlier_part, earlier_whole, digits)
    return Tile(label, kind, share(part, whole, digits), earlier, changed, "", _GOOD[kind])


_RATES: tuple[tuple[str, str, Callable[[Figures], tuple[int, int]], int], ...] = (
    ("Open rate", "opened", lambda figures: (figures.opened, figures.accepted), 1),
    ("Click rate", "clicked", lambda figures: (figures.clicked, figures.accepted), 1),
    ("Bounce rate", "bounced", lambda figures: (figures.bounced, figures.targeted), 1),
    ("Unsubscribe rate", "unsubscribed", lambda figures: (figures.unsubscribed, figures.accepted), 2),
)
"""Each with what it is a part of what, and its digits behind the point."""

OVERVIEW_PAGES = (
    Page(path=HOME, answer=_overview, usual_range="today", nav="Overview", group="Reports", icon="overview"),
)
