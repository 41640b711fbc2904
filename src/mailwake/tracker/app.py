"""The tracker as an HTTP application: it looks at the request, asks its handler what a link means, and answers.

This is the hot path of a click. It knows HTTP; what a token holds and what is recorded is the handler's business.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.links.tracked_url import parse_path
from mailwake.tracker import responses
from mailwake.tracker.domains import APP_LINKS_PREFIX
from mailwake.tracker.outcome import Shown
from mailwake.tracker.unsubscribing import PATH_PREFIX, Unsubscribing, takes_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.tracker.address_rate import AddressRate
    from mailwake.tracker.domains import Domain, Domains
    from mailwake.tracker.messages import Request, Response
    from mailwake.tracker.outcome import LinkHandler, Outcome


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
        self._count_unsubscribe_page = counted("unsubscribe_page")
        self._unsubscribing = Unsubscribing(handler, counted)

    def takes_body(self, request: Request) -> bool:
        """Whether a body of this request is read: none has one but the form of an unsubscription."""
        return takes_form(request)

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
        form = False
        if method != "GET" and method != "HEAD":
            form = takes_form(request)
            if not form:
                self._count_wrong_method()
                unsubscribes = request.path.startswith(PATH_PREFIX)
                return responses.WRONG_METHOD_HERE if unsubscribes else responses.WRONG_METHOD
        if request.unread_body:
            self._count_body_refused()
            return responses.BODY_REFUSED
        if self._rate is not None and not self._rate.allows(request):
            self._count_too_many()
            return responses.TOO_MANY_FORMS if form else responses.TOO_MANY
        domain = self._domains.of(request)
        if not domain.serve:
            self._count_wrong_host()
            return domain.not_found
        path = request.path
        tracked = parse_path(path.rstrip("/"))  # some programs that copy links add a slash
        if tracked is None:
            return await self._other(path, request) or self._not_found(domain)
        family, token = tracked
        if form:
            return await self._unsubscribing.answer(request, token, domain)
        outcome = await self._follow(family, token, request, record=method == "GET")
        return self._shown(outcome, domain)

    def _not_found(self, domain: Domain) -> Response:
        self._count_not_found()
        return domain.not_found

    def _shown(self, outcome: Outcome, domain: Domain) -> Response:
        if outcome is Shown.IMAGE:
            self._count_image()
            return responses.IMAGE
        if outcome is Shown.UNSUBSCRIBE:
            self._count_unsubscribe_page()
            return domain.unsubscribe_page
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
