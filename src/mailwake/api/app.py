"""The API's application: all routes under `/api/`, put together, and a site of pages beside them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route as PathRoute

from mailwake.api.answering import Answering
from mailwake.api.authentication import Authentication
from mailwake.api.endpoint import Endpoint
from mailwake.api.errors import ApiError, Fault
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parameters import shown
from mailwake.api.peer import AddressReader
from mailwake.api.route_table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from mailwake.api.parts import ApiParts
    from mailwake.api.routes import Route
    from mailwake.api.site import Site


def make_app(
    parts: ApiParts,
    *,
    limits: HttpLimits | None = None,
    routes: Sequence[Route] = ROUTES,
    who: Authentication | None = None,
    site: Site | None = None,
) -> Starlette:
    """The ASGI application, for `serve_api`; `site` shares `who` with it, so that each limit holds for both."""
    limits = limits or limits_of(parts)
    who = who or authentication_of(parts, limits)
    address_of = AddressReader(parts.settings.trusted_proxies)
    by_path = groupby(sorted(routes, key=_order), key=lambda route: route.path)
    endpoints = [PathRoute(path, Endpoint(list(group), parts, who, address_of)) for path, group in by_path]
    return Starlette(
        routes=[*endpoints, *(site.routes if site is not None else ())],
        middleware=[Middleware(Answering, parts=parts, limits=limits, site=site)],
        exception_handlers={404: _no_route},
    )


def authentication_of(parts: ApiParts, limits: HttpLimits | None = None) -> Authentication:
    """Who finds the keys of requests."""
    most = (limits or limits_of(parts)).requests_of_one
    return Authentication(parts.keys, parts.settings, parts.clock, parts.metrics, parts.log, most_at_once=most)


def limits_of(parts: ApiParts) -> HttpLimits:
    """The limits of the server, as the settings have them."""
    return HttpLimits(connections=parts.settings.max_connections)


async def _no_route(request: Request, error: Exception) -> Response:
    path = shown(request.scope["path"])  # not `request.url`: that fails where the Host header makes no URL
    raise ApiError(Fault.NO_ROUTE, f"there is nothing at {path}; /api/ says what there is")


def _order(route: Route) -> tuple[bool, str]:
    return "{" in route.path, route.path  # `/webhooks/events` is not the webhook of the id "events"
