"""POST to a link for unsubscribing: what is asked, by whom, and the answer to it (RFC 8058 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailwake.tracker import responses
from mailwake.tracker.outcome import Shown
from mailwake.tracker.unsubscribe_form import read_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.tracker.domains import Domain
    from mailwake.tracker.messages import Request, Response
    from mailwake.tracker.outcome import LinkHandler

PATH_PREFIX: Final = "/u/"
"""How the paths of those links begin."""


def takes_form(request: Request) -> bool:
    """Whether this is a request with a form; no other one has a body."""
    return request.method == "POST" and request.path.startswith(PATH_PREFIX)


class Unsubscribing:
    """Answers such requests; `count` gives what counts an answer by its label."""

    def __init__(self, handler: LinkHandler, count: Callable[[str], Callable[[], None]]) -> None:
        self._unsubscribe = handler.unsubscribe
        self._count_done = count("unsubscribed")
        self._count_not_recorded = count("not_recorded")
        self._count_no_form = count("no_form")
        self._count_not_found = count("not_found")

    async def answer(self, request: Request, token: str, domain: Domain) -> Response:
        """The answer; an unsubscription is durable by then, or said not to be."""
        form = read_form(request.headers.get("content-type"), request.body)
        if not form.one_click:
            self._count_no_form()
            return responses.NO_FORM
        outcome = await self._unsubscribe(token, request)
        if outcome is Shown.UNSUBSCRIBED:
            self._count_done()
            # Programs are never redirected (RFC 8058 §3.1); a browser goes on with a GET (RFC 9110 §15.4.4).
            if form.from_page and domain.unsubscribed_url:
                return responses.see_other(domain.unsubscribed_url)
            return responses.UNSUBSCRIBED
        if outcome is Shown.NOT_RECORDED:
            self._count_not_recorded()
            return responses.NOT_RECORDED
        self._count_not_found()
        return domain.not_found
