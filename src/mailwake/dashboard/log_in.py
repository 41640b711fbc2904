"""Logging in with a key, logging out, and light or dark: what a browser may ask without being known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import query_pairs
from mailwake.dashboard.endpoint import come_again
from mailwake.dashboard.forms import read_form
from mailwake.dashboard.headers import with_headers
from mailwake.dashboard.own_paths import HOME, LOG_IN, LOG_OUT, THEME, own_path

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from mailwake.dashboard.site import Dashboard
    from mailwake.dashboard.viewer import Viewer

THEME_AGE = 365 * 86400

FORM_SECONDS = 5.0
"""In which a form has to come, whose sender need not be known; a browser sends it with its request."""

MOST_FORMS = 8
"""Such forms that are awaited at once."""

MOST_FORMS_OF_ONE = 3
"""Of one address."""


class LogIn:
    """The page with the field for the key, and what its forms do."""

    def __init__(self, site: Dashboard) -> None:
        self._site = site
        self._awaited: list[str] = []
        """The addresses whose forms are on their way."""

    async def show(self, request: Request) -> Response:
        """The form; who has logged in already is led on."""
        request.scope["mailwake.route"] = LOG_IN
        if request.headers.get("sec-fetch-site") == "cross-site" and not self._site.sessions.has_nonce(request):
            return with_headers(come_again(request))
        wanted = own_path(dict(query_pairs(request.scope["query_string"])).get("next", HOME))
        if await self._site.sessions.viewer(request) is not None:
            return with_headers(RedirectResponse(wanted, 303))
        return self._page(request, wanted)

    async def try_key(self, request: Request) -> Response:
        """Begin a session, or show the form again and say why not."""
        request.scope["mailwake.route"] = LOG_IN
        form = await self._form(request)
        wanted = own_path(form.get("next", HOME))
        self._site.sessions.check_form(request, form, None)
        response = RedirectResponse(wanted, 303)
        address = self._site.address_of(request)
        try:
            viewer = await self._site.sessions.log_in(request, response, form.get("key", "").strip(), address)
        except ApiError as error:
            if error.status not in (Fault.UNAUTHORIZED.status, Fault.TOO_MANY.status):
                raise
            return self._page(request, wanted, error)
        request.scope["mailwake.key"] = viewer.name
        response.headers["location"] = self._first_page(viewer, wanted)
        return with_headers(response)

    async def leave(self, request: Request) -> Response:
        """End the session."""
        request.scope["mailwake.route"] = LOG_OUT
        self._site.sessions.check_form(request, await self._form(request), await self._site.sessions.viewer(request))
        response = RedirectResponse(LOG_IN, 303)
        self._site.sessions.log_out(request, response)
        return with_headers(response)

    async def set_theme(self, request: Request) -> Response:
        """Remember light or dark in the browser."""
        from mailwake.dashboard.site import THEME_COOKIE, THEMES

        request.scope["mailwake.route"] = THEME
        form = await self._form(request)
        self._site.sessions.check_form(request, form, await self._site.sessions.viewer(request))
        if form.get("theme") not in THEMES:
            raise ApiError(Fault.BAD_PARAMETER, f"the theme is one of {', '.join(THEMES)}")
        response = RedirectResponse(own_path(form.get("next", HOME)), 303)
        secure = self._site.proxies.secure(request)
        response.set_cookie(
            THEME_COOKIE, form["theme"], max_age=THEME_AGE, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return with_headers(response)

    async def _form(self, request: Request) -> dict[str, str]:
        """What a form has sent; ApiError when it does not come at once, or too many others do not.

        Nobody has to be known for this: without an end to it, a few connections that promise a form and never send it
        would have every request that the server takes in hand.
        """
        address = self._site.address_of(request)
        if len(self._awaited) >= MOST_FORMS or self._awaited.count(address) >= MOST_FORMS_OF_ONE:
            raise ApiError(
                Fault.TOO_MANY,
                "too many forms are on their way; try again",
                headers={"retry-after": "1", "connection": "close"},
            )
        self._awaited.append(address)
        try:
            async with asyncio.timeout(FORM_SECONDS):
                return await read_form(request)
        except TimeoutError:
            raise ApiError(Fault.TOO_SLOW, "the form did not come in time", headers={"connection": "close"}) from None
        finally:
            self._awaited.remove(address)

    def _first_page(self, viewer: Viewer, wanted: str) -> str:
        """Where they wanted to go, or, if that is only the start and not theirs, the first page that is."""
        theirs = [page.path for page in self._site.pages if page.nav and viewer.may(page.scope)]
        return theirs[0] if wanted == HOME and theirs and HOME not in theirs else wanted

    def _page(self, request: Request, wanted: str, error: ApiError | None = None) -> Response:
        token, nonce = self._site.sessions.token(request, None)
        body = self._site.templates.render(
            "log_in.html",
            form_token=token,
            wanted=wanted,
            too_many=error is not None and error.status == Fault.TOO_MANY.status,
            refused=error is not None,
            theme=self._site.theme_of(request),
        )
        response = HTMLResponse(body, status_code=200 if error is None else error.status)
        if nonce is not None:
            self._site.sessions.give_nonce(request, response, nonce)
        if error is not None and "retry-after" in error.headers:
            response.headers["retry-after"] = error.headers["retry-after"]
        return with_headers(response)
