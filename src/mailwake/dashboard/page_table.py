"""Every page of the dashboard, in the order of its navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.dashboard.breakdowns import BREAKDOWN_PAGES
from mailwake.dashboard.engagement import ENGAGEMENT_PAGES
from mailwake.dashboard.link_page import LINK_PAGES
from mailwake.dashboard.live_page import LIVE_PAGES
from mailwake.dashboard.message_list import MESSAGE_LIST_PAGES
from mailwake.dashboard.message_page import MESSAGE_PAGES
from mailwake.dashboard.overview import OVERVIEW_PAGES
from mailwake.dashboard.recipient_page import RECIPIENT_PAGES
from mailwake.dashboard.suggestions import SUGGESTION_PAGES
from mailwake.dashboard.webhook_pages import WEBHOOK_PAGES

if TYPE_CHECKING:
    from mailwake.dashboard.pages import Page

PAGES: tuple[Page, ...] = (
    *OVERVIEW_PAGES,
    *ENGAGEMENT_PAGES,
    *BREAKDOWN_PAGES,
    *MESSAGE_LIST_PAGES,
    *LIVE_PAGES,
    *LINK_PAGES,
    *MESSAGE_PAGES,
    *RECIPIENT_PAGES,
    *WEBHOOK_PAGES,
    *SUGGESTION_PAGES,
)
