"""What can be filtered by: the most frequent values of the period, which the fields of the filters propose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from mailwake.api.parameters import Parameter, choice
from mailwake.dashboard.pages import Page
from mailwake.dashboard.view import FILTERS
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit

MOST = 200

_BY = {
    "campaign": (By.CAMPAIGN, "count_targeted"),
    "domain": (By.DOMAIN, "count_targeted"),
    "tag": (By.TAG, "count_targeted"),
    "customer": (By.CUSTOMER, "count_targeted"),
    "link": (By.LINK_NAME, "count_clicked"),
}


async def _suggest(visit: Visit) -> Response:
    name = visit.query["field"]
    by, metric = _BY[name]
    where = visit.view.where(**{FILTERS[name][0]: ()})  # other values of the same filter may be added
    question = ReportQuestion(where=where, metrics=(metric,), by=by, order_by=metric, limit=MOST)
    rows = (await visit.store.report(question)).rows
    return JSONResponse([row.key[0] for row in rows if row.key[0]])


SUGGESTION_PAGES = (
    Page(
        path="/dashboard/suggestions",
        answer=_suggest,
        query=(Parameter(name="field", kind=choice(*_BY), doc="The filter.", required=True),),
    ),
)
