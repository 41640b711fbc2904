"""All routes of the API: the application is made of this table, and so are the OpenAPI document and its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.api.about_routes import about_routes
from mailwake.api.documentation_routes import DOCUMENTATION_ROUTES
from mailwake.api.event_routes import EVENT_ROUTES
from mailwake.api.metrics_routes import METRICS_ROUTES
from mailwake.api.privacy_routes import PRIVACY_ROUTES
from mailwake.api.store_routes import STORE_ROUTES
from mailwake.api.webhook_routes import WEBHOOK_ROUTES

if TYPE_CHECKING:
    from mailwake.api.routes import Route

ROUTES: tuple[Route, ...] = about_routes(
    (*WEBHOOK_ROUTES, *EVENT_ROUTES, *METRICS_ROUTES, *DOCUMENTATION_ROUTES, *STORE_ROUTES, *PRIVACY_ROUTES)
)
