"""The tracker as an RSGI application: it reads the request, asks its handler what a link means, and answers.

This is the hot path of a click. It knows HTTP; what a token holds and what is recorded is the handler's business.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from mailwake.links.tracked_url import parse_path
from mailwake.tracker import app_links, responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.tracker.address_rate import AddressRate
    from mailwake.tracker.app_links import AppLinks
    from mailwake.tracker.rsgi import Request, RequestHeaders, Responder


class Shown(Enum):
    """What a link can lead to when it is no redirect."""

    IMAGE = "image"
    NOTHING = "nothing"
    UNSUBSCRIBE = "unsubscribe"
    """The page that asks whether to unsubscribe."""
    UNSUBSCRIBED = "unsubscribed"
    NOT_RECORDED = "not recorded"
    """An unsubscription that failed: whoever asked shall ask again."""


Outcome = str | Shown
"""What a link leads to: the target's URL in printable ASCII, the image, or nothing (404)."""


class LinkHandler(Protocol):
    """What the tracker asks about each link."""

    async def follow(self, family: str, token: str, request: Request, *, record: bool) -> Outcome:
        """What the link `/<family>/…/<token>` leads to; with `record` its event is durable when this returns."""
        ...


class TrackerApp:
    """Answers every request to a tracking domain (2-tracking §2); give it to `granian_server.serve_tracker`.

    `rate` limits the requests of one address; None means no limit.
    """

    def __init__(
        self, handler: LinkHandler, links: AppLinks, metrics: Metrics, log: Logger, *, rate: AddressRate | None = None
    ) -> None:
        self._follow = handler.follow
        self._rate = rate
        self._app_links = links
        self._log = log

        def counted(answer: str) -> Callable[[], None]:
            return metrics.counter("tracker_requests_total", answer).inc

        self._count_redirect = counted("redirect")
        self._count_image = counted("image")
        self._count_not_found = counted("not_found")
        self._count_robots = counted("robots")
        self._count_app_links = counted("app_links")
        self._count_wrong_method = counted("wrong_method")
        self._count_body_refused = counted("body_refused")
        self._count_too_many = counted("too_many")
        self._count_failed = counted("failed")

    async def __rsgi__(self, request: Request, responder: Responder) -> None:
        """Answer one request; the server calls this in a task of its own."""
        try:
            method = request.method
            if method != "GET" and method != "HEAD":
                self._count_wrong_method()
                responses.wrong_method(responder)
                return
            if has_body(request.headers):
                self._count_body_refused()
                responses.body_refused(responder)
                return
            if self._rate is not None and not self._rate.allows(request):
                self._count_too_many()
                responses.too_many(responder)
                return
            path = request.path
            tracked = parse_path(path.rstrip("/"))  # some programs that copy links add a slash
            if tracked is None:
                await self._answer_other(path, request, responder)
                return
            family, token = tracked
            self._show(await self._follow(family, token, request, record=method == "GET"), responder)
        except Exception:
            self._count_failed()
            self._log.exception("tracker request failed", path=request.path[:2])
            responses.failed(responder)

    def _show(self, outcome: Outcome, responder: Responder) -> None:
        if outcome is Shown.IMAGE:
            self._count_image()
            responses.image(responder)
        elif isinstance(outcome, Shown):
            self._count_not_found()
            responses.not_found(responder)
        else:
            self._count_redirect()
            responses.redirect(responder, outcome)

    async def _answer_other(self, path: str, request: Request, responder: Responder) -> None:
        if path == "/robots.txt":
            self._count_robots()
            responses.robots(responder)
            return
        if path.startswith(app_links.PATH_PREFIX):
            content = await self._app_links.find(request)
            if content is not None:
                self._count_app_links()
                responses.app_links(responder, content)
                return
        self._show(Shown.NOTHING, responder)


def has_body(headers: RequestHeaders) -> bool:
    """Whether a request comes with a body: none may, and Granian takes both ways of saying how long it is at once."""
    return "transfer-encoding" in headers or ("content-length" in headers and headers.get("content-length") != "0")
