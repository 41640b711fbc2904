"""One path: from a request to the call of its route, and from what that gives to an answer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mailwake.api.bodies import decode_body, read_body
from mailwake.api.errors import ApiError, Fault
from mailwake.api.file_reply import FileReply, send_file
from mailwake.api.parameters import read_query
from mailwake.api.routes import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from mailwake.api.authentication import Authentication
    from mailwake.api.parts import ApiParts
    from mailwake.api.routes import Route
    from mailwake.control.api_keys import ApiKey

SUBACCOUNT = "x-msys-subaccount"
"""The vendor's header by which a key for all customers asks for the data of one."""

PIECE = 65_536
"""Octets of an answer that are written at once: a client has to take one before it is given the next."""


class Endpoint:
    """Answers all methods of one path."""

    def __init__(
        self, routes: Sequence[Route], parts: ApiParts, who: Authentication, address_of: Callable[[Request], str]
    ) -> None:
        self._path = routes[0].path
        self._routes = {route.method: route for route in routes}
        if "GET" in self._routes:
            self._routes["HEAD"] = self._routes["GET"]
        self._allow = ", ".join(sorted({*self._routes, "OPTIONS"}))
        self._parts = parts
        self._who = who
        self._address_of = address_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application; ApiError for what cannot be answered otherwise."""
        scope["mailwake.route"] = self._path
        request = Request(scope, receive)
        if request.method == "OPTIONS":
            await Response(status_code=204, headers={"allow": self._allow})(scope, receive, send)
            return
        route = self._routes.get(request.method)
        if route is None:
            raise ApiError(
                Fault.WRONG_METHOD,
                f"this path answers {self._allow}, and not {request.method[:20]}",
                headers={"allow": self._allow},
            )
        with ExitStack() as place:
            reply = await self._answer(route, request, place)
            if isinstance(reply, FileReply):
                await send_file(reply, scope, send)
            else:
                await _send(reply, send)

    async def _answer(self, route: Route, request: Request, place: ExitStack) -> Reply | FileReply:
        key = await self._allowed(route, request)
        if key is not None:
            place.enter_context(self._who.place(key.name))
        query = read_query(route.query, request.scope["query_string"], route.unsupported)
        body: Any = None
        if route.body is not None and not (route.body_optional and _has_no_body(request)):
            body = decode_body(await read_body(request, self._parts.settings.max_body), route.body)
        call = Call(
            parts=self._parts,
            key=key,
            customer=_customer(key, request.headers.get(SUBACCOUNT)),
            path=request.path_params,
            query=query,
            body=body,
        )
        return _reply(route, await route.answer(call))

    async def _allowed(self, route: Route, request: Request) -> ApiKey | None:
        if route.scope is None:
            return None
        key = await self._who.caller(request.headers.get("authorization"), self._address_of(request))
        request.scope["mailwake.key"] = key.name
        if not key.may(route.scope):
            raise ApiError(
                Fault.FORBIDDEN,
                f"the key '{key.name}' may {', '.join(sorted(key.scopes))}; this needs a key made with "
                f"--scope {route.scope}",
            )
        return key


def _has_no_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


def _customer(key: ApiKey | None, asked: str | None) -> str | None:
    bound = None if key is None else key.customer
    if key is None or asked is None or asked == bound:
        return bound
    if bound is not None:
        raise ApiError(Fault.FORBIDDEN, f"the key '{key.name}' is for another customer than the one that is asked for")
    return asked


def _reply(route: Route, given: Any) -> Reply | FileReply:
    if isinstance(given, (Reply, FileReply)):
        return given
    if route.status == 204:
        return Reply(b"", status=204)
    return Reply(msgspec.json.encode({"results": given}), status=route.status)


async def _send(reply: Reply, send: Send) -> None:
    fields = dict(reply.headers)
    if reply.status != 204:
        fields |= {"content-type": reply.media_type, "content-length": str(len(reply.body))}
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    for start in range(0, len(reply.body), PIECE):
        await send({"type": "http.response.body", "body": reply.body[start : start + PIECE], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
