"""The tables of campaigns, tags, customers and domains: the same figures, told apart by each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.api.errors import ApiError, Fault
from mailwake.dashboard.engagement import ENGAGEMENT
from mailwake.dashboard.figures import METRICS, Figures, ask_rows, figures_of
from mailwake.dashboard.formats import number
from mailwake.dashboard.pages import Page
from mailwake.dashboard.tables import (
    MOST_CSV_ROWS,
    PER_PAGE,
    Cell,
    Column,
    Table,
    csv_answer,
    order_of,
    table_parameters,
)
from mailwake.store.report_question import By, ReportRow

if TYPE_CHECKING:
    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.dashboard.tables import Order


class _Breakdown(NamedTuple):
    """One of the tables."""

    name: str
    """In the path and of the file."""
    title: str
    filter: str
    """The parameter that narrows a page to one row."""
    by: By
    nothing: str
    """What rows without a value are called."""
    lead: str


BREAKDOWNS = (
    _Breakdown("campaigns", "Campaigns", "campaign", By.CAMPAIGN, "(no campaign)", "What was sent together."),
    _Breakdown("tags", "Tags", "tag", By.TAG, "(no tag)", "A message with several tags counts for each of them."),
    _Breakdown("customers", "Customers", "customer", By.CUSTOMER, "(no customer)", "Whose mail it was."),
    _Breakdown("domains", "Domains", "domain", By.DOMAIN, "(no domain)", "Where the recipients are."),
)

_RATES = {
    "accepted_rate": lambda each: (each.accepted, each.targeted),
    "open_rate": lambda each: (each.opened, each.accepted),
    "click_rate": lambda each: (each.clicked, each.accepted),
}
_BY_RATE = "a rate"


def columns_of(breakdown: _Breakdown) -> tuple[Column, ...]:
    """The columns of a table."""
    return (
        Column("name", breakdown.title.removesuffix("s"), number=False),
        Column("targeted", "Targeted", "count_targeted", "Copies taken, and those that policy rejected"),
        Column("accepted", "Accepted", "count_accepted", "Copies that the next hop accepted", minor=True),
        Column("accepted_rate", "% of targeted", _BY_RATE, "Accepted, of targeted", minor=True),
        Column("bounced", "Bounced", "count_bounce", "Copies refused for good, or expired", minor=True),
        Column("opened", "Opened", "count_unique_confirmed_opened", "Messages opened or clicked, each once"),
        Column("open_rate", "Open rate", _BY_RATE, "Opened, of accepted"),
        Column("clicked", "Clicked", "count_unique_clicked", "Messages in which a link was clicked, each once"),
        Column("click_rate", "Click rate", _BY_RATE, "Clicked, of accepted"),
        Column("unsubscribed", "Unsubscribed", "count_unsubscribe", "By a link, or by the mail program", minor=True),
    )


class _Found(NamedTuple):
    rows: list[ReportRow]
    groups: int


async def _ask(visit: Visit, breakdown: _Breakdown, order: Order, *, offset: int, limit: int) -> _Found:
    where, metric = visit.view.where(), order.column.metric
    by_rate = metric == _BY_RATE
    if not by_rate and not where.link_names:
        table = await ask_rows(
            visit.store,
            where,
            breakdown.by,
            order_by=metric,
            descending=order.descending,
            limit=limit,
            offset=offset,
        )
        return _Found(table.rows, table.groups)
    table = await ask_rows(visit.store, where, breakdown.by, order_by="count_targeted", limit=MOST_CSV_ROWS)
    if table.groups > MOST_CSV_ROWS:
        raise ApiError(
            Fault.BAD_PARAMETER,
            f"{table.groups} rows are too many to be ordered by a rate, or with a filter of links; order them by a "
            "count, or filter them otherwise",
        )
    return _Found(_ordered(table.rows, order)[offset : offset + limit], table.groups)


def _ordered(rows: list[ReportRow], order: Order) -> list[ReportRow]:
    metric = order.column.metric
    if metric == _BY_RATE:
        return sorted(rows, key=lambda row: _rate(order.column.key, row), reverse=order.descending)
    if metric in METRICS:
        return sorted(rows, key=lambda row: row.numbers[METRICS.index(metric)], reverse=order.descending)
    return sorted(rows, key=lambda row: row.key, reverse=order.descending)


def _rate(name: str, row: ReportRow) -> float:
    part, whole = _RATES[name](figures_of(row.numbers))
    return part / whole if whole else -1.0


def _page(breakdown: _Breakdown) -> Page:
    columns = columns_of(breakdown)

    async def answer(visit: Visit) -> Response:
        order = order_of(visit, columns, "targeted")
        found = await _ask(visit, breakdown, order, offset=order.offset, limit=PER_PAGE)
        rows = [_row(visit, breakdown, row) for row in found.rows]
        table = Table(breakdown.title, columns, rows, found.groups, order.column.key, order.descending, order.page)
        return await visit.render(
            "breakdown.html", breakdown=breakdown, table=table, csv=f"/dashboard/{breakdown.name}.csv"
        )

    return Page(
        path=f"/dashboard/{breakdown.name}",
        answer=answer,
        query=table_parameters(columns),
        nav=breakdown.title,
        group="Reports",
        icon=breakdown.name,
        of_all_customers=breakdown.by is By.CUSTOMER,
    )


def _row(visit: Visit, breakdown: _Breakdown, row: ReportRow) -> list[Cell]:
    name = str(row.key[0])
    figures = figures_of(row.numbers)
    href = visit.detail_url(ENGAGEMENT, **{breakdown.filter: name}) if name else None
    return [
        Cell(name or breakdown.nothing, href),
        Cell(number(figures.targeted)),
        Cell(number(figures.accepted)),
        Cell(figures.accepted_rate),
        Cell(number(figures.bounced)),
        Cell(number(figures.opened)),
        Cell(figures.open_rate, part=_part(figures.opened, figures.accepted)),
        Cell(number(figures.clicked)),
        Cell(figures.click_rate, part=_part(figures.clicked, figures.accepted)),
        Cell(number(figures.unsubscribed)),
    ]


def _part(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 0.0


def _csv(breakdown: _Breakdown) -> Page:
    columns = columns_of(breakdown)

    async def answer(visit: Visit) -> Response:
        order = order_of(visit, columns, "targeted")
        found = await _ask(visit, breakdown, order, offset=0, limit=MOST_CSV_ROWS)
        rows = [(str(row.key[0]), *row.numbers) for row in found.rows]
        return csv_answer(f"{breakdown.name}-{visit.view.file_suffix}", (breakdown.filter, *Figures._fields), rows)

    return Page(path=f"/dashboard/{breakdown.name}.csv", answer=answer, query=table_parameters(columns))


BREAKDOWN_PAGES = tuple(page for each in BREAKDOWNS for page in (_page(each), _csv(each)))
