"""The address of a request's client, as trusted proxies tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.networks import plain_address
from mailwake.tracker.client_facts import ClientFactsReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers
    from starlette.requests import Request

    from mailwake.config.networks import IPNetwork


class AddressReader:
    """Reads the address of one request after another, by the tracker's rules."""

    def __init__(self, trusted_proxies: Iterable[IPNetwork]) -> None:
        self._reader = ClientFactsReader(trusted_proxies)

    def __call__(self, request: Request) -> str:
        """The address of the client; "" when there is none, behind a Unix socket."""
        if request.client is None:
            return ""
        address = self._reader.address(plain_address(request.client.host), _Fields(request.headers))
        request.scope["mailwake.peer"] = address
        return address


class _Fields:
    """Starlette's header fields as the tracker knows them."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def get_all(self, name: str, /) -> list[str]:
        """All values, in the order sent."""
        return self._headers.getlist(name)
