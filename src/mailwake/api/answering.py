"""What holds for every request: its id, its line in the log, its time, and that there is always an answer."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect

from mailwake.api.errors import ApiError, Fault
from mailwake.api.file_reply import PATIENCE
from mailwake.api.routes import Reply
from mailwake.errors import MailwakeError
from mailwake.webhooks.webhook import WebhookError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mailwake.api.http_limits import HttpLimits
    from mailwake.api.parts import ApiParts
    from mailwake.api.site import Site

_GONE = "the handler is closed"
"""What uvloop says to whoever writes to a client that has gone."""

HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Header fields of every answer; nothing is said about other origins, so that browsers let none of them read."""


class Answering:
    """Around all routes; nothing that they raise gets past it."""

    def __init__(self, app: ASGIApp, *, parts: ApiParts, limits: HttpLimits, site: Site | None = None) -> None:
        self._app = app
        self._site = site
        self._parts = parts
        self._limits = limits
        self._in_hand = 0
        self._seconds = parts.metrics.histogram("api_request_seconds")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        started = self._parts.clock.monotonic()
        held = True

        def begun() -> None:
            # Whoever has no key may take an answer slowly, but no place with it that others need.
            nonlocal held
            if held and "mailwake.key" not in scope:
                held = False
                self._in_hand -= 1

        answer = _Answer(send, secrets.token_hex(8), begun)
        if len(scope["path"]) > len("/api/") and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/")  # as for the vendor, a slash at the end means nothing
        self._in_hand += 1
        try:
            await self._answered(scope, receive, answer)
        finally:
            if held:
                self._in_hand -= 1
            self._tell(scope, answer, self._parts.clock.monotonic() - started)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        with suppress(ClientDisconnect):  # also in the answer that says what went wrong
            await self._answered_or_explained(scope, receive, answer)

    async def _answered_or_explained(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            if self._in_hand > self._limits.requests:
                raise ApiError(Fault.BUSY, "too many requests at once; try again", headers={"retry-after": "1"})
            async with asyncio.timeout(self._limits.answer_timeout + self._limits.body_timeout) as patience:
                scope[PATIENCE] = patience  # whoever sends a large file has done with it
                await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            raise
        except TimeoutError:
            slow = ApiError(Fault.BUSY, "this takes too long; ask for less", headers={"retry-after": "10"})
            await answer.instead(self._shown(scope, slow, answer.request_id))
        except Exception as error:
            explained = self._explained(error, answer.request_id)
            await answer.instead(self._shown(scope, explained, answer.request_id))

    def _shown(self, scope: Scope, error: ApiError, request_id: str) -> Reply:
        if self._site is not None and self._site.holds(scope["path"]):
            return self._site.error_page(scope, error, request_id)
        return Reply(msgspec.json.encode(error.body()), status=error.status, headers=error.headers)

    def _explained(self, error: Exception, request_id: str) -> ApiError:
        if isinstance(error, ApiError):
            return error
        if isinstance(error, WebhookError):
            return ApiError.of_webhook(error)
        if isinstance(error, MailwakeError):  # a file that cannot be read: the operator's to mend, not the client's
            self._parts.log.error("the API cannot answer", request=request_id, error=str(error))
            return ApiError(
                Fault.BUSY,
                "this cannot be read now, or takes too long; the log says why",
                headers={"retry-after": "10"},
            )
        self._parts.log.exception("the API failed", request=request_id, exc_info=error)
        return ApiError(Fault.SERVER_FAULT, f"the log has the reason under request {request_id}")

    def _tell(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = scope.get("mailwake.route", "unknown")
        if not scope.get("mailwake.stream"):  # it lasts as long as it may, and says nothing of how quick we are
            self._seconds.observe(seconds)
        self._parts.metrics.counter("api_requests_total", route, str(answer.status)).inc()
        client = scope.get("client")
        line = {
            "request": answer.request_id,
            "method": scope["method"][:20],
            # Never the query: it holds people's addresses.
            "path": scope["path"][:200],
            "status": answer.status,
            "key": scope.get("mailwake.key", ""),
            "peer": scope.get("mailwake.peer") or (client[0] if client else ""),
            "total_ms": round(seconds * 1000, 1),
        }
        if line["key"] or answer.status == Fault.UNAUTHORIZED.status:
            self._parts.log.info("api request", **line)
        else:  # whoever has no key cannot fill the log: 401 has its limit for an address
            self._parts.log.debug("api request without a key", **line)


class _Answer:
    """Sends an answer with the fields that all have, or an error instead if nothing was sent yet."""

    def __init__(self, send: Send, request_id: str, begun: Callable[[], None]) -> None:
        self._send = send
        self._begun = begun
        self.request_id = request_id
        self.status = 0
        """0: the client had gone."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._begun()
            own = {**HEADERS, "x-request-id": self.request_id}
            given = [*message["headers"]]
            named = {name for name, _ in given}
            given += [(n.encode(), v.encode()) for n, v in own.items() if n.encode() not in named]
            message = {**message, "headers": given}
        try:
            await self._send(message)
        except RuntimeError as error:
            if _GONE not in str(error):
                raise
            raise ClientDisconnect from None

    async def instead(self, reply: Reply) -> None:
        """Answer this, unless something was answered already."""
        if self.status:  # too late: uvicorn sees that the answer is cut short, and closes
            return
        fields = {"content-type": reply.media_type, "content-length": str(len(reply.body)), **reply.headers}
        await self.send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            }
        )
        await self.send({"type": "http.response.body", "body": reply.body})
