"""The engagement report: the funnel, the rates, which links were clicked, and when (2-tracking.md, section 6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from mailwake.api.parameters import Parameter, choice
from mailwake.dashboard.figures import Figures, ask_figures
from mailwake.dashboard.formats import number, share
from mailwake.dashboard.pages import Page
from mailwake.dashboard.series import ask_series, heat_of
from mailwake.dashboard.tables import (
    MOST_CSV_ROWS,
    Cell,
    Column,
    Table,
    csv_answer,
    order_of,
    table_parameters,
)
from mailwake.links.body import HONEYPOT_NAME
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.dashboard.tables import Order
    from mailwake.store.report_question import ReportRow, ReportTable

ENGAGEMENT = "/dashboard/engagement"
_CSV = "/dashboard/links.csv"

LINK_COLUMNS = (
    Column("name", "Link", number=False),
    Column("unique", "Unique clicks", "count_unique_clicked", "Messages in which it was clicked, each once"),
    Column("clicks", "Clicks", "count_clicked", "All clicks"),
    Column("share", "Share of all clicks", "", "Its clicks, of all clicks here", sortable=False),
)
_LINK_METRICS = ("count_unique_clicked", "count_clicked")
_PER_PAGE = 10
_HEAT = {"opens": 2, "clicks": 3}
"""What the map of the week shows: the place among the metrics of a series."""

_QUERY = (
    *table_parameters(LINK_COLUMNS),
    Parameter(name="heat", kind=choice(*_HEAT), doc="What the map of the week shows.", default="opens"),
)


class Step(NamedTuple):
    """A step of the funnel."""

    label: str
    kind: str
    total: int
    share: str
    """Of what was targeted."""
    part: float
    """The same from 0 to 1."""
    href: str | None
    meaning: str
    following: float = 0.0
    """The part of the step behind it."""


async def _engagement(visit: Visit) -> Response:
    view, store = visit.view, visit.store
    order = order_of(visit, LINK_COLUMNS, "clicks", _PER_PAGE)
    figures, series, links = await asyncio.gather(
        ask_figures(store, view.where()),
        ask_series(store, view.where(), view.zone),
        _links(visit, order, order.offset, _PER_PAGE),
    )
    most = max((row.numbers[1] for row in links.rows), default=0)
    rows = [_link_row(visit, row, figures.clicks, most) for row in links.rows]
    table = Table("Links", LINK_COLUMNS, rows, links.groups, order.column.key, order.descending, order.page, _PER_PAGE)
    heat = visit.query["heat"]
    return await visit.render(
        "engagement.html",
        figures=figures,
        steps=funnel(visit, figures),
        series=series,
        table=table,
        heat=heat_of(series.week, _HEAT[heat]),
        heat_of=heat,
        csv=_CSV,
    )


def funnel(visit: Visit, figures: Figures) -> list[Step]:
    """Targeted, accepted, opened, clicked: each with its share of targeted, and where to see the events."""
    steps = (
        ("Targeted", "targeted", figures.targeted, ("injection", "policy_rejection"), "copies taken or rejected"),
        ("Accepted", "accepted", figures.accepted, ("delivery",), "copies that the next hop accepted"),
        (
            "Unique confirmed opens",
            "opened",
            figures.opened,
            ("open", "initial_open", "amp_open", "amp_initial_open", "click", "amp_click"),
            "messages opened or clicked",
        ),
        ("Unique clicks", "clicked", figures.clicked, ("click", "amp_click"), "messages in which a link was clicked"),
    )
    whole = figures.targeted
    parts = [min(1.0, count / whole) if whole else 0.0 for _, _, count, _, _ in steps]
    return [
        Step(label, kind, count, share(count, whole), part, visit.events_url(*types), meaning, following)
        for (label, kind, count, types, meaning), part, following in zip(
            steps, parts, (*parts[1:], parts[-1]), strict=True
        )
    ]


async def _links(visit: Visit, order: Order, offset: int, limit: int) -> ReportTable:
    question = ReportQuestion(
        where=visit.view.where(),
        metrics=_LINK_METRICS,
        by=By.LINK,
        order_by=order.column.metric,
        descending=order.descending,
        limit=limit,
        offset=offset,
    )
    return await visit.store.report(question)


def _link_row(visit: Visit, row: ReportRow, all_clicks: int, most: int) -> list[Cell]:
    """A link; its bar is as long as its clicks are beside the `most` of one link here."""
    (name, url), (unique, clicks) = map(str, row.key), row.numbers
    href = visit.here(link=name) if name else None
    detail = "the hidden link, which only machines find" if name == HONEYPOT_NAME else url
    return [
        Cell(name or "(no name)", href, detail),
        Cell(number(unique)),
        Cell(number(clicks)),
        Cell(share(clicks, all_clicks), part=clicks / most if most else 0.0),
    ]


async def _links_csv(visit: Visit) -> Response:
    found = await _links(visit, order_of(visit, LINK_COLUMNS, "clicks"), 0, MOST_CSV_ROWS)
    all_clicks = (await ask_figures(visit.store, visit.view.where())).clicks
    rows = [(*row.key, *row.numbers, round(row.numbers[1] / all_clicks, 6) if all_clicks else 0) for row in found.rows]
    head = ("link_name", "link_url", "unique_clicks", "clicks", "share_of_clicks")
    return csv_answer(f"links-{visit.view.file_suffix}", head, rows)


ENGAGEMENT_PAGES = (
    Page(path=ENGAGEMENT, answer=_engagement, query=_QUERY, nav="Engagement", group="Reports", icon="engagement"),
    Page(path=_CSV, answer=_links_csv, query=_QUERY),
)
