"""The numbers of a report and what follows from them: what became of the mail, step by step, and the rates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mailwake.dashboard.formats import share
from mailwake.store.report_question import MAX_ROWS, By, ReportQuestion, ReportRow, ReportTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.store.contract import EventStore
    from mailwake.store.filters import Filters


class Figures(NamedTuple):
    """Counts of one set of events; the cut of the view is in the question."""

    targeted: int = 0
    accepted: int = 0
    bounced: int = 0
    opened: int = 0
    """Messages opened or clicked (`count_unique_confirmed_opened`)."""
    clicked: int = 0
    """Messages clicked (`count_unique_clicked`)."""
    unsubscribed: int = 0
    opens: int = 0
    clicks: int = 0
    """All clicks."""
    by_people: int = 0
    """Of what was opened, what people have opened or clicked, as far as can be told; whatever the cut."""

    @property
    def accepted_rate(self) -> str:
        """Of what was targeted."""
        return share(self.accepted, self.targeted)

    @property
    def bounce_rate(self) -> str:
        """Of what was targeted."""
        return share(self.bounced, self.targeted)

    @property
    def open_rate(self) -> str:
        """Of what was accepted."""
        return share(self.opened, self.accepted)

    @property
    def click_rate(self) -> str:
        """Of what was accepted."""
        return share(self.clicked, self.accepted)

    @property
    def click_to_open_rate(self) -> str:
        """Of what was opened."""
        return share(self.clicked, self.opened)

    @property
    def unsubscribe_rate(self) -> str:
        """Of what was accepted."""
        return share(self.unsubscribed, self.accepted, 2)


METRICS = (
    "count_targeted",
    "count_accepted",
    "count_bounce",
    "count_unique_confirmed_opened",
    "count_unique_clicked",
    "count_unsubscribe",
    "count_rendered",
    "count_clicked",
    "count_human_unique_confirmed_opened",
)
"""What `Figures` are made of, in their order."""


def figures_of(numbers: Sequence[int]) -> Figures:
    """The figures from the numbers of METRICS."""
    return Figures(*numbers)


_OF_LINKS = tuple(METRICS.index(name) for name in ("count_unique_clicked", "count_unsubscribe", "count_clicked"))
"""What a filter of links is about; what was sent and opened is counted without it."""


async def ask_figures(store: EventStore, where: Filters) -> Figures:
    """The figures of all events that `where` lets through; its links are about clicks only."""
    ((_, numbers),) = (await ask_rows(store, where, By.NOTHING)).rows
    return figures_of(numbers)


async def ask_rows(
    store: EventStore,
    where: Filters,
    by: By,
    *,
    order_by: str = "",
    descending: bool = True,
    limit: int = MAX_ROWS,
    offset: int = 0,
) -> ReportTable:
    """Rows of METRICS; with a filter of links they are those that are there without it, with the clicks of these links.

    By a number of clicks such rows are not ordered.
    """
    whole = replace(where, link_names=())
    question = ReportQuestion(
        where=whole, metrics=METRICS, by=by, order_by=order_by, descending=descending, limit=limit, offset=offset
    )
    if not where.link_names:
        return await store.report(question)
    of_links = ReportQuestion(where=where, metrics=METRICS, by=by, limit=MAX_ROWS)
    table, clicked = await asyncio.gather(store.report(question), store.report(of_links))
    numbers_of = dict(clicked.rows)
    return ReportTable(
        [ReportRow(key, _with_clicks(numbers, numbers_of.get(key))) for key, numbers in table.rows], table.groups
    )


def _with_clicks(numbers: Sequence[int], clicked: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(
        number if place not in _OF_LINKS else clicked[place] if clicked else 0 for place, number in enumerate(numbers)
    )


class Change(NamedTuple):
    """How a number compares with an earlier one."""

    text: str
    direction: str
    """`up`, `down` or `same`."""


def change(now: int, before: int) -> Change | None:
    """The change in per cent; None where there was nothing before."""
    if not before:
        return None
    percent = 100 * (now - before) / before
    if abs(percent) < 0.5:
        return Change("as before", "same")
    shown = f"{abs(percent):.0f}" if abs(percent) < 1000 else f"{abs(percent):,.0f}".replace(",", "\u202f")
    return Change(f"{'+' if percent > 0 else '−'}{shown}\u202f%", "up" if percent > 0 else "down")
