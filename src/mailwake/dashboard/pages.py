"""What a page is, declared once, and one request for it as its function sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse, Response

from mailwake.api.errors import ApiError, Fault
from mailwake.control.api_keys import Scope
from mailwake.dashboard.view import VIEW_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from mailwake.api.parameters import Parameter
    from mailwake.api.parts import ApiParts
    from mailwake.dashboard.site import Dashboard
    from mailwake.dashboard.view import View
    from mailwake.dashboard.viewer import Viewer
    from mailwake.store.contract import EventStore

HTML_TYPE = "text/html; charset=utf-8"

PLACES = ("page", "cursor")
"""Parameters by which pages say which part of a long list they show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A path of the dashboard. `answer` gives the response; what cannot be answered is an ApiError, shown as a page."""

    path: str
    """With parameters in braces."""
    answer: Callable[[Visit], Awaitable[Response]]
    scope: Scope = Scope.READ
    """What the viewer must be allowed; for what a form does, that of what it does."""
    method: str = "GET"
    """GET, or POST: then the form's token has been checked."""
    query: tuple[Parameter, ...] = ()
    """Its own parameters, beside those of every view."""
    usual_range: str = "30d"
    nav: str = ""
    """What the navigation calls it; "": it is not there."""
    group: str = ""
    """Under which heading it stands there."""
    icon: str = ""
    """The name of its picture in `icons.html`."""
    of_all_customers: bool = False
    """Whether it tells customers apart, which is nothing for who may see one only: then it is not in the navigation."""
    is_form_of_page: bool = False
    """Whether it does what a form of the page one step up its path asks, and answers with that page."""
    under: str = ""
    """The name of the page in the navigation that this one belongs to, where it is not there itself."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request, by somebody who may make it: known, allowed, read."""

    request: Request
    site: Dashboard
    page: Page
    viewer: Viewer
    view: View
    query: Mapping[str, Any]
    """The page's own parameters by name."""
    form: Mapping[str, str] = field(default_factory=dict)
    """What a form has sent; empty for a GET."""

    @property
    def parts(self) -> ApiParts:
        """What the collector has."""
        return self.site.parts

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the path."""
        return dict(self.request.path_params)

    @property
    def store(self) -> EventStore:
        """The store of events; ApiError 503 where there is none."""
        if self.parts.store is None:
            raise ApiError(Fault.BUSY, NO_STORE)
        return self.parts.store

    def store_behind(self) -> float:
        """How many seconds the store is behind, as its loader says; 0 when it has everything."""
        return next((value for name, _, value in self.parts.metrics.snapshot() if name == "store_behind_seconds"), 0.0)

    @property
    def here_path(self) -> str:
        """The path of this page, or of the one that it answers with, without parameters."""
        path: str = self.request.scope["path"]
        return quote(path.rpartition("/")[0] if self.page.is_form_of_page else path)

    @property
    def page_nav(self) -> str:
        """What the navigation marks as being here."""
        return self.page.nav or self.page.under

    def navigation(self) -> list[tuple[str, list[Page]]]:
        """The pages that this viewer may see, by their groups."""
        groups: dict[str, list[Page]] = {}
        for page in self.site.pages:
            if page.nav and self.viewer.may(page.scope) and not (page.of_all_customers and self.viewer.customer):
                groups.setdefault(page.group, []).append(page)
        return [*groups.items()]

    def events_url(self, *types: str) -> str | None:
        """The list of the events of these types (names on the wire) that the view is about; None without one."""
        pages = [page for page in self.site.pages if page.nav == "Messages" and self.viewer.may(page.scope)]
        return self.detail_url(pages[0].path, events=",".join(types) or None) if pages else None

    def detail_url(self, path: str, **changes: str | None) -> str:
        """Another page about the same events: with the period, as what is usual there may be another one."""
        named: dict[str, str | None] = {"range": self.view.period.range} if self.view.period.range else {}
        return self.url(path, **named, **changes)

    def url(self, path: str, **changes: str | None) -> str:
        """A page of ours with the view of this one, but for `changes` of its parameters (`from_` is `from`)."""
        return path + self.view.query(_named(changes))

    def suggestions_url(self, field: str) -> str:
        """Where the values of a filter are that could be added here."""
        return self.detail_url("/dashboard/suggestions", field=field)

    def here(self, **changes: str | None) -> str:
        """The same page with some of its parameters changed; if it is about something else then, from its beginning."""
        return self.here_path + self.view.query({**self._own(changes), **_named(changes)})

    def here_as(self, path: str) -> str:
        """Another path with all parameters of this page: the same as a file."""
        return path + self.view.query(self._own({}))

    def without(self, name: str, value: str) -> str:
        """The same page without one value of a filter."""
        return self.here_path + self.view.query(self._own({name: None}), without=(name, value))

    def given(self, but: Collection[str] = ()) -> list[tuple[str, str]]:
        """The parameters of this page by name, for the hidden fields of a form that sets those of `but`."""
        own = [(name, value) for name, value in self._own({"range": None}).items() if value]
        return [(name, value) for name, value in (*self.view.pairs, *own) if name not in but]

    def _own(self, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """The page's own parameters; another view of it begins with the first of its parts."""
        moved = any(each.rstrip("_") in VIEW_NAMES for each in changes)
        names = [each.name for each in self.page.query if not (moved and each.name in PLACES)]
        return {name: self.request.query_params.get(name) for name in names}

    async def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page from a template, which has `visit`, `view`, and these values."""
        token, nonce = self.site.sessions.token(self.request, self.viewer)
        # In a thread: a long page takes a tenth of a second, and the loop has events to move.
        body = await asyncio.to_thread(
            self.site.templates.render,
            template,
            visit=self,
            view=self.view,
            form_token=token,
            theme=self.site.theme_of(self.request),
            **values,
        )
        response = HTMLResponse(body, status_code=status)
        if nonce is not None:
            self.site.sessions.give_nonce(self.request, response, nonce)
        return response

    def redirect(self, path: str) -> Response:
        """Go on to another page, after a form has done something."""
        return RedirectResponse(path, 303)


NO_STORE = (
    "there is no store of events here: set `enabled = true` in the section [store] of the configuration and reload; it "
    "is filled with what the feed still has"
)
"""What to say where nothing can be counted."""


def _named(changes: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name.rstrip("_"): value for name, value in changes.items()}
