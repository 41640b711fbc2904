"""Errors as pages: what is wrong, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from starlette.requests import Request

from mailwake.api.errors import Fault
from mailwake.api.routes import Reply
from mailwake.dashboard.headers import HEADERS
from mailwake.dashboard.own_paths import HOME
from mailwake.dashboard.pages import HTML_TYPE, NO_STORE

if TYPE_CHECKING:
    from starlette.types import Scope

    from mailwake.api.errors import ApiError
    from mailwake.dashboard.site import Dashboard


class _Words(NamedTuple):
    heading: str
    cure: str


_WORDS = {
    400: _Words("This address cannot be read", "Correct it, or begin again without filters."),
    401: _Words("Please log in", "Then try again."),
    403: _Words("You may not do this", "Log in as somebody who may."),
    404: _Words("There is nothing here", "It may be gone, or belong to another customer."),
    405: _Words("This page cannot do that", "Begin again on the overview."),
    408: _Words("This came too slowly", "Load the page anew, and try again."),
    413: _Words("That is too much", "Send less."),
    415: _Words("This is no form", "Begin again on the overview."),
    429: _Words("Too many requests", "Wait a little, and try again."),
    500: _Words("Something is broken", "It is a defect of mailwake. The operator finds it in the log."),
    503: _Words("The figures are not to be had now", "Try again in a moment. `mailwake store status` tells more."),
}
_OTHER = _Words("This did not work", "Begin again on the overview.")


def _same(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return quote(scope["path"]) + (f"?{query}" if query else "")


def error_reply(site: Dashboard, scope: Scope, error: ApiError, request_id: str) -> Reply:
    """The page for an error; in plain text, should the page be what is broken."""
    words = _WORDS.get(error.status, _OTHER)
    if error.description == NO_STORE:
        words = _Words("No events are kept here", "Then load this page anew.")
    elif error.description.startswith("the proxy does not say"):
        words = _Words("You may not see anything yet", "The operator has to mend that at the proxy.")
    elif error.description.startswith("this form was not sent"):
        words = _Words("This was not done", "Nothing has changed.")
    try:
        page = site.templates.render(
            "error.html",
            words=words,
            status=error.status,
            description=error.description,
            request_id=request_id,
            home=HOME,
            back=quote(scope["path"]) if error.status == Fault.BAD_PARAMETER.status else "",
            again=_same(scope) if error.status in (429, 503) and scope["method"] == "GET" else "",
            log_in=error.status in (401, 403),
            theme=site.theme_of(Request(scope)),
        )
    except Exception:
        site.parts.log.exception("the API failed", request=request_id)
        page = f"{words.heading}. {error.description}"
        return Reply(page.encode(), "text/plain; charset=utf-8", error.status, {**HEADERS, **error.headers})
    headers = {name: value for name, value in error.headers.items() if name != "www-authenticate"}
    return Reply(page.encode(), HTML_TYPE, error.status, {**HEADERS, **headers})
