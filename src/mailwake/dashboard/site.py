"""The dashboard put together: its paths, what every page has, and how its errors look."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from mailwake.api.errors import ApiError, Fault
from mailwake.api.peer import AddressReader
from mailwake.api.routes import Reply
from mailwake.dashboard.endpoint import PageEndpoint
from mailwake.dashboard.error_pages import error_reply
from mailwake.dashboard.event_stream import Streams
from mailwake.dashboard.log_in import LogIn
from mailwake.dashboard.own_paths import HOME, LOG_IN, LOG_OUT, THEME, is_own
from mailwake.dashboard.page_table import PAGES
from mailwake.dashboard.proxies import TrustedProxies
from mailwake.dashboard.sealing import Sealer
from mailwake.dashboard.sessions import Sessions
from mailwake.dashboard.static_files import StaticFiles
from mailwake.dashboard.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from mailwake.api.authentication import Authentication
    from mailwake.api.parts import ApiParts
    from mailwake.config.dashboard_settings import Dashboard as DashboardSettings
    from mailwake.dashboard.pages import Page

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "mailwake_theme"


class Dashboard:
    """A `Site` for `make_app`. `secret` seals its sessions: with the same one, log-ins outlive a restart."""

    def __init__(
        self,
        parts: ApiParts,
        settings: DashboardSettings,
        who: Authentication,
        secret: bytes,
        pages: Sequence[Page] = PAGES,
        *,
        streams: Streams | None = None,
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.pages = pages
        self.who = who
        self.proxies = TrustedProxies(parts.settings, settings)
        self.sealer = Sealer(secret)
        self.streams = Streams(asyncio.Event()) if streams is None else streams
        self.sessions = Sessions(self.sealer, who, self.proxies, settings, parts.clock)
        self.address_of = AddressReader(parts.settings.trusted_proxies)
        self.static = StaticFiles()
        self.templates = Templates(self.static.path, settings.title)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its paths; those with a parameter come last."""
        by_path = groupby(
            sorted(self.pages, key=lambda page: ("{" in page.path, page.path)), key=lambda page: page.path
        )
        log_in = LogIn(self)
        return [
            Route("/", _to_home, methods=["GET"]),
            self.static.route(),
            Route(LOG_IN, log_in.show, methods=["GET"]),
            Route(LOG_IN, log_in.try_key, methods=["POST"]),
            Route(LOG_OUT, log_in.leave, methods=["POST"]),
            Route(THEME, log_in.set_theme, methods=["POST"]),
            *(Route(path, PageEndpoint(self, list(pages))) for path, pages in by_path),
            Route("/dashboard/{rest:path}", _nothing),
        ]

    def holds(self, path: str) -> bool:
        """Whether an error at this path is shown as a page."""
        return is_own(path)

    def error_page(self, scope: Scope, error: ApiError, request_id: str) -> Reply:
        """What is answered to a request that failed."""
        return error_reply(self, scope, error, request_id)

    def theme_of(self, request: Request) -> str:
        """Light or dark, as the browser's user has chosen; `auto` is what the system says."""
        chosen = request.cookies.get(THEME_COOKIE, "auto")
        return chosen if chosen in THEMES else "auto"


async def _to_home(request: Request) -> Response:
    request.scope["mailwake.route"] = "/"
    return RedirectResponse(HOME, 303)


async def _nothing(request: Request) -> Response:
    raise ApiError(Fault.NO_ROUTE, "there is no such page")
