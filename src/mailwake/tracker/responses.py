"""Every answer that the tracker gives, byte for byte: status, header fields, body (2-tracking §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailwake.tracker.pages import NOT_FOUND_PAGE, PIXEL_GIF, ROBOTS_TXT

if TYPE_CHECKING:
    from mailwake.tracker.rsgi import HeaderFields, Responder

# Granian copies the fields, so that one list can serve every answer; only a redirect needs a list of its own.
_NO_STORE: Final = ("cache-control", "no-store")
_NO_INDEX: Final = ("x-robots-tag", "noindex")
_NO_REFERRER: Final = ("referrer-policy", "no-referrer")
_CLOSE: Final = ("connection", "close")
_TEXT: Final = ("content-type", "text/plain; charset=utf-8")

_IMAGE: Final[HeaderFields] = [("content-type", "image/gif"), ("cache-control", "no-store, private"), _NO_INDEX]
_NOT_FOUND: Final[HeaderFields] = [
    ("content-type", "text/html; charset=utf-8"),
    _NO_STORE,
    _NO_INDEX,
    _NO_REFERRER,
    ("x-content-type-options", "nosniff"),
]
_ROBOTS: Final[HeaderFields] = [_TEXT, ("cache-control", "public, max-age=86400")]
_APP_LINKS: Final[HeaderFields] = [("content-type", "application/json"), ("cache-control", "public, max-age=3600")]
_WRONG_METHOD: Final[HeaderFields] = [("allow", "GET, HEAD"), _TEXT, _NO_STORE, _CLOSE]
_BODY_REFUSED: Final[HeaderFields] = [_TEXT, _NO_STORE, _CLOSE]
_TOO_MANY: Final[HeaderFields] = [_TEXT, _NO_STORE]
_FAILED: Final[HeaderFields] = [_TEXT, _NO_STORE]


def redirect(responder: Responder, target: str) -> None:
    """302 to `target` (printable ASCII), which no cache may store, no robot index, and no site learn the link from."""
    responder.response_empty(302, [("location", target), _NO_STORE, _NO_INDEX, _NO_REFERRER])


def image(responder: Responder) -> None:
    """200 with the transparent image, which no cache may keep: each showing of the mail has to reach the tracker."""
    responder.response_bytes(200, _IMAGE, PIXEL_GIF)


def not_found(responder: Responder) -> None:
    """404 with a small page for people."""
    responder.response_bytes(404, _NOT_FOUND, NOT_FOUND_PAGE)


def robots(responder: Responder) -> None:
    """200 with a robots.txt that forbids everything."""
    responder.response_bytes(200, _ROBOTS, ROBOTS_TXT)


def app_links(responder: Responder, content: bytes) -> None:
    """200 with an operator's association file; Apple and Google want `application/json` and no redirect."""
    responder.response_bytes(200, _APP_LINKS, content)


def wrong_method(responder: Responder) -> None:
    """405 with the methods that are allowed (RFC 9110 §15.5.6); closes, for a body may follow."""
    responder.response_bytes(405, _WRONG_METHOD, b"Only GET and HEAD are answered here.\n")


def body_refused(responder: Responder) -> None:
    """413, and the connection closes: no request here has a body, and where one ends can be disputed (smuggling)."""
    responder.response_bytes(413, _BODY_REFUSED, b"Requests with a body are not answered here.\n")


def too_many(responder: Responder) -> None:
    """403, for an address that sent more requests than the operator allows (2-tracking §2)."""
    responder.response_bytes(403, _TOO_MANY, b"Too many requests from your address; please try again in a minute.\n")


def failed(responder: Responder) -> None:
    """500, for a fault of our own that left nothing to redirect to."""
    responder.response_bytes(500, _FAILED, b"The tracker failed to answer; please try again.\n")
