"""One path of the dashboard: from a request to the call of its page's function."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mailwake.api.errors import ApiError, Fault
from mailwake.dashboard.event_stream import EventStream
from mailwake.dashboard.forms import read_form
from mailwake.dashboard.headers import with_headers
from mailwake.dashboard.own_paths import LOG_IN, own_path
from mailwake.dashboard.pages import Visit
from mailwake.dashboard.view import given_pairs, make_view, read_values
from mailwake.store.filters import QuestionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from mailwake.dashboard.pages import Page
    from mailwake.dashboard.site import Dashboard
    from mailwake.dashboard.viewer import Viewer


class PageEndpoint:
    """Answers all methods of one path."""

    def __init__(self, site: Dashboard, pages: Sequence[Page]) -> None:
        self._site = site
        self._pages = {page.method: page for page in pages}
        self._route = pages[0].path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application; ApiError for what is shown as an error."""
        scope["mailwake.route"] = self._route
        request = Request(scope, receive)
        page = self._pages.get("GET" if request.method == "HEAD" else request.method)
        if page is None:
            allowed = ", ".join(self._pages)
            raise ApiError(Fault.WRONG_METHOD, f"this page answers {allowed} only", headers={"allow": allowed})
        with ExitStack() as place:
            try:
                response = await self._answer(page, request, place)
            except QuestionError as error:
                raise ApiError(Fault.BAD_PARAMETER, str(error)) from None
            if isinstance(response, EventStream):
                place.close()  # it has one among the streams
            await with_headers(response)(scope, receive, send)

    async def _answer(self, page: Page, request: Request, place: ExitStack) -> Response:
        self._site.address_of(request)
        if page.method == "GET" and self._comes_from_elsewhere(request):
            return come_again(request)
        viewer = await self._site.sessions.viewer(request)
        if viewer is None:
            return _log_in_first(page, request)
        request.scope["mailwake.key"] = viewer.name
        request.scope["mailwake.viewer"] = viewer
        if not viewer.may(page.scope):
            raise ApiError(Fault.FORBIDDEN, _needs(viewer, page))
        place.enter_context(self._site.who.place(viewer.name, by_key=viewer.by_key))
        form = {}
        if page.method == "POST":
            form = await read_form(request)
            self._site.sessions.check_form(request, form, viewer)
        given = given_pairs(request.scope["query_string"])
        if page.method == "GET" and len(given) < request.scope["query_string"].count(b"="):
            clean = f"?{urlencode(given)}" if given else ""
            return RedirectResponse(quote(request.scope["path"]) + clean, 303)  # what a form has sent empty
        return await page.answer(self._visit(page, request, viewer, given, form))

    def _visit(
        self, page: Page, request: Request, viewer: Viewer, given: list[tuple[str, str]], form: dict[str, str]
    ) -> Visit:
        values = read_values(page.query, given)
        view = make_view(
            values,
            given,
            viewer,
            now=self._site.parts.clock.now(),
            usual_range=page.usual_range,
            usual_zone=self._site.settings.timezone,
        )
        own = {each.name: values[each.name] for each in page.query if each.name in values}
        return Visit(request=request, site=self._site, page=page, viewer=viewer, view=view, query=own, form=form)

    def _comes_from_elsewhere(self, request: Request) -> bool:
        """Whether another site's link led here: then the browser sends no cookies of ours, as they are strict."""
        return (
            request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
            and request.headers.get("sec-fetch-mode") == "navigate"
            and not self._site.sessions.has_nonce(request)
        )


def come_again(request: Request) -> Response:
    """A page that asks for itself once more: that request is our own, and comes with the cookies."""
    path, query = quote(request.scope["path"]), request.scope["query_string"].decode("latin-1")
    target = quote(f"{path}?{query}" if query else path, safe="/?&=%+,:;@~._-")
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>One moment</title>'
        f'<meta http-equiv="refresh" content="0; url={target.replace("&", "&amp;")}"></head>'
        f'<body><p><a href="{target.replace("&", "&amp;")}">Go on</a></p></body></html>'
    )


def _log_in_first(page: Page, request: Request) -> Response:
    dest = request.headers.get("sec-fetch-dest", "document")
    if page.method != "GET" or dest not in ("document", "iframe", "frame"):
        raise ApiError(Fault.UNAUTHORIZED, "your session is over, or you have not logged in: log in and try again")
    query = request.scope["query_string"].decode("latin-1")
    wanted = request.scope["path"] + (f"?{query}" if query else "")
    # Not one so long that the log-in would have a URL that no server takes.
    return RedirectResponse(f"{LOG_IN}?{urlencode({'next': own_path(wanted)})}", 303)


def _needs(viewer: Viewer, page: Page) -> str:
    who = f"the key '{viewer.name}'" if viewer.by_key else viewer.name
    may = ", ".join(sorted(viewer.scopes))
    cure = f"log in with one made with --scope {page.scope}" if viewer.by_key else "see dashboard.user_scopes"
    return f"{who} may {may}; this page needs {page.scope}: {cure}"
