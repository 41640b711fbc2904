"""Every answer that the tracker gives, byte for byte: status, header fields, body (2-tracking §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailwake.tracker.messages import Response, make_response
from mailwake.tracker.pages import NOT_FOUND_PAGE, PIXEL_GIF, ROBOTS_TXT
from mailwake.tracker.unsubscribe_pages import DONE_PAGE, NOT_DONE_PAGE, QUESTION_PAGE

if TYPE_CHECKING:
    from mailwake.tracker.messages import HeaderFields

_NO_STORE: Final = ("cache-control", "no-store")
_NO_INDEX: Final = ("x-robots-tag", "noindex")
_NO_REFERRER: Final = ("referrer-policy", "no-referrer")
_NO_SNIFFING: Final = ("x-content-type-options", "nosniff")
_TEXT: Final = ("content-type", "text/plain; charset=utf-8")
_HTML: Final = ("content-type", "text/html; charset=utf-8")
_JSON: Final = ("content-type", "application/json")


def page(status: int, content: bytes, *more: tuple[str, str]) -> Response:
    """A page for people, which no cache stores, no robot indexes, and whose address no site learns."""
    return make_response(status, [*more, _HTML, _NO_STORE, _NO_INDEX, _NO_REFERRER, _NO_SNIFFING], content)


def _plain(status: int, text: bytes, *fields: tuple[str, str], close: bool = False) -> Response:
    return make_response(status, [*fields, _TEXT, _NO_STORE], text, close=close)


_REDIRECT_FIELDS: Final[HeaderFields] = [_NO_STORE, _NO_INDEX, _NO_REFERRER]
_REDIRECT_LINE, _, _REDIRECT_REST = make_response(302, _REDIRECT_FIELDS).head.partition(b"\r\n")
_TO: Final = _REDIRECT_LINE + b"\r\nlocation: "
_THEN: Final = b"\r\n" + _REDIRECT_REST


def redirect(target: str) -> Response:
    """302 to `target` (printable ASCII), which no cache may store, no robot index, and no site learn the link from."""
    return Response(_TO + target.encode("ascii") + _THEN)


IMAGE: Final = make_response(
    200, [("content-type", "image/gif"), ("cache-control", "no-store, private"), _NO_INDEX], PIXEL_GIF
)
"""The transparent image, which no cache may keep: each showing of the mail has to reach the tracker."""

NOT_FOUND: Final = page(404, NOT_FOUND_PAGE)
"""A small page for people."""

UNSUBSCRIBE_PAGE: Final = page(200, QUESTION_PAGE)
"""A page with a button; nobody is unsubscribed by looking at it."""

UNSUBSCRIBED: Final = page(200, DONE_PAGE)
"""It is done, and on the disk."""

NOT_RECORDED: Final = page(503, NOT_DONE_PAGE, ("retry-after", "60"))
"""It is not done: programs come again, and people are told so."""

NO_FORM: Final = _plain(400, b"Unsubscribing takes a form with the field List-Unsubscribe=One-Click (RFC 8058).\n")
"""A POST that does not say what it wants."""

_SEE_OTHER, _, _ = make_response(303, []).head.partition(b"\r\n")


def see_other(url: str) -> Response:
    """303: a browser goes on to `url` (printable ASCII) with a GET (RFC 9110 §15.4.4)."""
    return Response(_SEE_OTHER + b"\r\nlocation: " + url.encode("ascii") + _THEN)


ROBOTS: Final = make_response(200, [_TEXT, ("cache-control", "public, max-age=86400")], ROBOTS_TXT)
"""A robots.txt that forbids everything."""

WRONG_METHOD: Final = _plain(405, b"Only GET and HEAD are answered here.\n", ("allow", "GET, HEAD"), close=True)
"""405 with the methods that are allowed (RFC 9110 §15.5.6); closes, for a body may follow."""

WRONG_METHOD_HERE: Final = _plain(
    405, b"Only GET, HEAD and POST are answered here.\n", ("allow", "GET, HEAD, POST"), close=True
)
"""The same at a link for unsubscribing."""

BODY_REFUSED: Final = _plain(413, b"Requests with a body are not answered here.\n", close=True)
"""No request here has a body, and where one ends can be disputed (smuggling): the connection closes."""

TOO_MANY: Final = _plain(403, b"Too many requests from your address; please try again in a minute.\n")
"""For an address that sent more requests than the operator allows (2-tracking §2)."""

TOO_MANY_FORMS: Final = _plain(
    503, b"Too many requests from your address; please try again in a minute.\n", ("retry-after", "60")
)
"""The same for unsubscriptions, which mailbox providers send from few addresses: they come again after a 503."""

FAILED: Final = _plain(500, b"The tracker failed to answer; please try again.\n")
"""For a fault of our own that left nothing to redirect to."""

BAD_REQUEST: Final = _plain(400, b"This is no HTTP request that can be understood.\n", close=True)
TARGET_TOO_LONG: Final = _plain(414, b"This address is too long.\n", close=True)
HEADER_TOO_LARGE: Final = _plain(431, b"The request's header is too large.\n", close=True)
WRONG_VERSION: Final = _plain(505, b"Versions 1.1 and 1.0 of HTTP are spoken here.\n", close=True)


def app_links(content: bytes) -> Response:
    """200 with an operator's association file; Apple and Google want `application/json` and no redirect."""
    return make_response(200, [_JSON, ("cache-control", "public, max-age=3600")], content)
