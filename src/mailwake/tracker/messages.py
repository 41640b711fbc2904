"""What the tracker is asked and what it answers: an HTTP request as it was read, a response ready to be sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    HeaderFields = Sequence[tuple[str, str]]

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class _Names(dict[str, bytes]):
    # The names that are asked for: a few, which stand in the code.
    def __missing__(self, name: str) -> bytes:
        self[name] = encoded = name.encode()
        return encoded


_NAMES: Final = _Names()


class RequestHeaders:
    """The fields of a request's header; names are asked for in lower case."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[bytes, bytes | list[bytes]]) -> None:
        """`values` by lower-case name; a list where a name stands several times."""
        self._values = values

    def __contains__(self, name: str) -> bool:
        """Whether the field was sent."""
        return _NAMES[name] in self._values

    def get(self, name: str) -> str | None:
        """The first value, None when the field was not sent."""
        value = self._values.get(_NAMES[name])
        if value is None:
            return None
        return _text(value if isinstance(value, bytes) else value[0])

    def get_all(self, name: str) -> list[str]:
        """All values, in the order sent."""
        value = self._values.get(_NAMES[name])
        if value is None:
            return []
        return [_text(value)] if isinstance(value, bytes) else [_text(each) for each in value]


def _text(value: bytes) -> str:
    # RFC 9110 §5.5 leaves octets beyond ASCII open; programs of today send UTF-8 where they send any.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Request:
    """One HTTP request."""

    __slots__ = (
        "authority",
        "body",
        "client",
        "headers",
        "http_1_0",
        "keep_alive",
        "method",
        "path",
        "query",
        "unread_body",
    )

    def __init__(
        self,
        method: str,
        path: str,
        headers: RequestHeaders,
        *,
        query: str = "",
        authority: str | None = None,
        client: str = "",
        keep_alive: bool = True,
        http_1_0: bool = False,
        unread_body: bool = False,
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.path = path
        """The path with its percent-escapes decoded."""
        self.query = query
        """What stands behind the question mark, as it was sent."""
        self.authority = authority
        """The host of an absolute request target; None in the usual form."""
        self.client = client
        """The peer's IP address, or the one that a PROXY header named; "" over a Unix socket."""
        self.headers = headers
        self.keep_alive = keep_alive
        """Whether the client will take another answer on the same connection."""
        self.http_1_0 = http_1_0
        """Whether it speaks HTTP/1.0."""
        self.body = body
        """The body, where one is taken (`HttpApp.takes_body`); else empty."""
        self.unread_body = unread_body
        """Whether a body was announced that nobody reads; the connection closes after the answer."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path[:40]}>"


class Response(NamedTuple):
    """An answer: its status line and fields up to the date, which the server adds, and its body."""

    head: bytes
    body: bytes = b""
    close: bool = False
    """Whether it is the last one on its connection."""


class HttpApp(Protocol):
    """What answers requests."""

    def takes_body(self, request: Request) -> bool:
        """Whether a body of this request is to be read before it is answered."""
        ...

    def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        """Call `respond` once, now or later; nothing may be raised. For HEAD the server leaves the body out."""
        ...


def make_response(status: int, fields: HeaderFields, body: bytes = b"", *, close: bool = False) -> Response:
    """The response of this status with these fields and its length."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in fields)]
    lines.append(f"content-length: {len(body)}")
    return Response("".join(f"{line}\r\n" for line in lines).encode("latin-1"), body, close)
