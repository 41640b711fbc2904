"""The first page: whether anyone reads our mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.dashboard.own_paths import HOME
from mailwake.dashboard.pages import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit


async def _overview(visit: Visit) -> Response:
    status = await visit.store.status()
    return visit.render("overview.html", store=status)


OVERVIEW_PAGES = (
    Page(path=HOME, answer=_overview, usual_range="today", nav="Overview", group="Reports", icon="overview"),
)
