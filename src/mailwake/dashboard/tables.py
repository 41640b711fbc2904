"""Tables as pages show them: which columns, in which order, which part; the same as CSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from mailwake.api.parameters import Parameter, choice, whole
from mailwake.csv_text import csv_lines
from mailwake.store.report_question import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.dashboard.pages import Visit

PER_PAGE = 25
MOST_PAGES = 1_000_000
CSV_TYPE = "text/csv; charset=utf-8; header=present"


class Column(NamedTuple):
    """A column: its name in URLs, on the page, and the metric that orders it ("" is by name)."""

    key: str
    label: str
    metric: str = ""
    meaning: str = ""
    number: bool = True
    sortable: bool = True
    minor: bool = False
    """Whether it is left out where there is little room."""


class Cell(NamedTuple):
    """What stands in a cell, and where it leads."""

    text: str
    href: str | None = None
    detail: str = ""
    """In a smaller line below."""
    part: float = 0.0
    """The length of a bar, from 0 to 1; 0: there is none."""


class Table(NamedTuple):
    """A part of a table, ordered."""

    caption: str
    columns: Sequence[Column]
    rows: list[list[Cell]]
    groups: int
    """Rows of all parts."""
    sort: str
    descending: bool
    page: int
    per_page: int = PER_PAGE

    @property
    def first(self) -> int:
        """The number of the first row here."""
        return (self.page - 1) * self.per_page + 1

    @property
    def last(self) -> int:
        """The number of the last row here."""
        return self.first + len(self.rows) - 1

    @property
    def pages(self) -> int:
        """How many parts there are."""
        return max(1, -(-self.groups // self.per_page))


class Order(NamedTuple):
    """How the viewer wants a table."""

    column: Column
    descending: bool
    page: int
    offset: int
    """Rows before this part."""


def table_parameters(columns: Sequence[Column]) -> tuple[Parameter, ...]:
    """The parameters of a page with such a table."""
    return (
        Parameter(name="sort", kind=choice(*(each.key for each in columns if each.sortable)), doc="The column."),
        Parameter(name="order", kind=choice("asc", "desc"), doc="Smallest or largest first."),
        Parameter(name="page", kind=whole(1, MOST_PAGES), doc="Which part of the rows.", default=1),
    )


def order_of(visit: Visit, columns: Sequence[Column], usual: str, per_page: int = PER_PAGE) -> Order:
    """What the URL says; numbers begin with the largest, names with A."""
    wanted = visit.query.get("sort", usual)
    (column,) = (each for each in columns if each.key == wanted)
    order = visit.query.get("order", "desc" if column.metric else "asc")
    page: int = visit.query["page"]
    return Order(column, bool(column.metric) and order == "desc", page, (page - 1) * per_page)


def csv_answer(name: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Response:
    """A file of this table, for a spreadsheet; cells that would be formulas there are marked as text."""
    body = "\ufeff" + "".join(csv_lines(head, rows))  # without the mark, spreadsheets take it for another charset
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    headers = {"content-disposition": f'attachment; filename="{safe}.csv"'}
    return Response(body.encode(), headers=headers, media_type=CSV_TYPE)


MOST_CSV_ROWS = MAX_ROWS
"""Rows of a CSV file; more are a question for the API."""
