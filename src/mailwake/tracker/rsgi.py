"""The part of the RSGI interface that the tracker uses, so that the application can be read and tested without Granian.

Source: Granian's RSGI specification 1.5 (a request comes as a scope, the answer goes through a protocol object).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    HeaderFields = Sequence[tuple[str, str]]


class RequestHeaders(Protocol):
    """The request's header fields; names are lower case, values that are not printable ASCII count as absent."""

    def __contains__(self, name: str, /) -> bool:
        """Whether the field was sent."""
        ...

    def get(self, name: str, /) -> str | None:
        """The first value."""
        ...

    def get_all(self, name: str, /) -> Sequence[str]:
        """All values, in the order sent."""
        ...


class Request(Protocol):
    """One HTTP request (RSGI's scope)."""

    @property
    def method(self) -> str:
        """The method, as sent."""
        ...

    @property
    def path(self) -> str:
        """The path with percent-escapes decoded."""
        ...

    @property
    def client(self) -> str:
        """The peer as `address:port`, IPv6 in brackets."""
        ...

    @property
    def authority(self) -> str | None:
        """The host of an absolute request target, or of HTTP/2."""
        ...

    @property
    def headers(self) -> RequestHeaders:
        """The header fields."""
        ...


class Responder(Protocol):
    """Where the one answer to a request goes (RSGI's protocol object)."""

    def response_empty(self, status: int, headers: HeaderFields, /) -> None:
        """Answer without a body."""
        ...

    def response_bytes(self, status: int, headers: HeaderFields, body: bytes, /) -> None:
        """Answer with a body; for HEAD the server leaves it out and keeps its length."""
        ...
