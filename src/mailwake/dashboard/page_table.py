"""Every page of the dashboard, in the order of its navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.dashboard.overview import OVERVIEW_PAGES

if TYPE_CHECKING:
    from mailwake.dashboard.pages import Page

PAGES: tuple[Page, ...] = (*OVERVIEW_PAGES,)
