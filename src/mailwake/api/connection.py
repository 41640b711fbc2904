"""One connection of the API: uvicorn's protocol, with the limits that it lacks.

uvicorn waits for ever for a header or a body, takes headers of any length, and keeps a connection whose client reads
nothing. Here each of these has an end: the server sweeps its connections every second and asks each what is `overdue`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mailwake.api.errors import ApiError, Fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mailwake.api.http_limits import HttpLimits
    from mailwake.clock import Clock


class _Phase(Enum):
    IDLE = auto()
    HEADER = auto()
    BODY = auto()
    ANSWER = auto()


class _HeaderTooLongError(Exception):
    """Ends the parser's work from inside a callback."""


class LimitedConnection(HttpToolsProtocol):
    """Made by uvicorn for each connection; what it is given are members of a subclass, see `with_limits`."""

    limits: HttpLimits
    clock: Clock
    count: Callable[[int], None]
    """Called with the status of each answer that is given here, which the application does not see."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_bytes = 0
        self._enter(_Phase.HEADER)  # nobody connects to say nothing
        self._unanswered = 0
        self._too_long = False
        self._unsent = 0
        self._unsent_since = self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Refuse what is too much."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections or self._of_address() > self.limits.connections_of_address:
            self._refuse(
                ApiError(Fault.BUSY, "there are too many connections; try again", headers={"retry-after": "1"})
            )

    def _of_address(self) -> int:
        host = _host(self)
        return sum(1 for each in self.connections if _host(each) == host)

    def data_received(self, data: bytes) -> None:
        """Let uvicorn parse it; what is still a header behind it may not be too long."""
        if self.transport.is_closing():
            return
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEADER)
        self._header_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEADER and self._header_bytes > self.limits.header_bytes:
            self._too_long = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """The first octet of a request."""
        if self._phase is not _Phase.HEADER:
            self._enter(_Phase.HEADER)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The header is there; now the body has its time."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._too_long = True
            raise _HeaderTooLongError
        self._enter(_Phase.BODY)
        super().on_headers_complete()
        self._unanswered += 1

    def on_message_complete(self) -> None:
        """The request is there; now the application has its time, which it keeps itself."""
        self._enter(_Phase.ANSWER if self._unanswered else _Phase.IDLE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written; the next request may come, or has."""
        self._unanswered -= 1
        if self._phase is _Phase.ANSWER and not self._unanswered:
            self._enter(_Phase.IDLE)
        super().on_response_complete()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.clock.monotonic()
        self._header_bytes = 0

    def sweep(self) -> None:
        """End the connection if its client has had its time."""
        now = self.clock.monotonic()
        waited = now - self._since
        if self.transport.is_closing():
            pass
        elif self._phase is _Phase.IDLE and waited > self.limits.idle_timeout:
            self.transport.close()
        elif self._phase is _Phase.HEADER and waited > self.limits.header_timeout:
            self._refuse(ApiError(Fault.TOO_SLOW, "the header of the request did not come in time"))
        elif self._phase is _Phase.BODY and waited > self.limits.body_timeout:
            if self.cycle.response_started:
                self.transport.close()  # it was refused before it had come
                return
            self._unanswered -= 1  # the application waits for the body; it learns that there is none
            self._refuse(ApiError(Fault.TOO_SLOW, "the body of the request did not come in time"))
        self._sweep_unsent(now)

    def _sweep_unsent(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self.limits.write_timeout:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed, or was too long; uvicorn's own answer would be plain text."""
        if self._too_long:
            self._refuse(ApiError(Fault.LONG_HEADER, f"at most {self.limits.header_bytes} octets are taken"))
            return
        self._refuse(ApiError(Fault.BAD_REQUEST, "this is no HTTP/1.1 request, or its parts contradict each other"))

    def _refuse(self, error: ApiError) -> None:
        """Answer outside of the application, and close; nothing is said between the parts of another answer."""
        if self._unanswered > 0:
            self.transport.abort()
            return
        type(self).count(error.status)
        body = msgspec.json.encode(error.body())
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "connection": "close",
            **error.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        status = f"HTTP/1.1 {error.status} {error.message}\r\n"
        self.transport.write(f"{status}{head}\r\n".encode("latin-1") + body)
        self.transport.close()


def _host(connection: object) -> str | None:
    client = getattr(connection, "client", None)
    return client[0] if client else None


def with_limits(limits: HttpLimits, clock: Clock, count: Callable[[int], None]) -> type[LimitedConnection]:
    """The protocol with these limits: uvicorn makes the objects, so that the class has to carry them."""
    members = {"limits": limits, "clock": clock, "count": staticmethod(count)}
    return type("LimitedConnection", (LimitedConnection,), members)
