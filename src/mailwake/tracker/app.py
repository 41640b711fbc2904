"""The tracker as an HTTP application: it looks at the request, asks its handler what a link means, and answers.

This is the hot path of a click. It knows HTTP; what a token holds and what is recorded is the handler's business.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from mailwake.links.tracked_url import parse_path
from mailwake.tracker import responses
from mailwake.tracker.domains import APP_LINKS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.tracker.address_rate import AddressRate
    from mailwake.tracker.domains import Domain, Domains
    from mailwake.tracker.messages import Request, Response


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
    """Answers every request to a tracking domain (2-tracking §2); give it to `http_server.HttpServer`.

    `rate` limits the requests of one address; None means no limit.
    """

    def __init__(
        self, handler: LinkHandler, domains: Domains, metrics: Metrics, log: Logger, *, rate: AddressRate | None = None
    ) -> None:
        self._follow = handler.follow
        self._rate = rate
        self._domains = domains
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

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
        self._count_wrong_host = counted("wrong_host")
        self._count_failed = counted("failed")

    def takes_body(self, request: Request) -> bool:
        """No request here has a body."""
        return False

    def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        """Answer one request."""
        task = asyncio.get_running_loop().create_task(self._answer(request, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        try:
            response = await self._response(request)
        except Exception:
            self._count_failed()
            self._log.exception("tracker request failed", path=request.path[:2])
            response = responses.FAILED
        respond(response)

    async def _response(self, request: Request) -> Response:
        method = request.method
        if method != "GET" and method != "HEAD":
            self._count_wrong_method()
            return responses.WRONG_METHOD
        if request.unread_body:
            self._count_body_refused()
            return responses.BODY_REFUSED
        if self._rate is not None and not self._rate.allows(request):
            self._count_too_many()
            return responses.TOO_MANY
        domain = self._domains.of(request)
        if not domain.serve:
            self._count_wrong_host()
            return domain.not_found
        path = request.path
        tracked = parse_path(path.rstrip("/"))  # some programs that copy links add a slash
        if tracked is None:
            return await self._other(path, request) or self._not_found(domain)
        family, token = tracked
        outcome = await self._follow(family, token, request, record=method == "GET")
        return self._shown(outcome, domain)

    def _not_found(self, domain: Domain) -> Response:
        self._count_not_found()
        return domain.not_found

    def _shown(self, outcome: Outcome, domain: Domain) -> Response:
        if outcome is Shown.IMAGE:
            self._count_image()
            return responses.IMAGE
        if isinstance(outcome, Shown):
            return self._not_found(domain)
        self._count_redirect()
        return responses.redirect(outcome)

    async def _other(self, path: str, request: Request) -> Response | None:
        if path == "/robots.txt":
            self._count_robots()
            return responses.ROBOTS
        if path.startswith(APP_LINKS_PREFIX):
            content = await self._domains.app_links_file(request)
            if content is not None:
                self._count_app_links()
                return responses.app_links(content)
        return None
