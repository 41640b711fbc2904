"""What a request says of the person behind it: the address (through trusted proxies only), the program, prefetching."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mailwake.tracker.messages import Request, RequestHeaders

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

USER_AGENT_LIMIT: Final = 512
"""Bytes of `User-Agent` that are kept; real ones stay under 400."""

ACCEPT_LANGUAGE_LIMIT: Final = 128
"""Bytes of `Accept-Language` that are kept."""

HOP_LIMIT: Final = 32
"""Proxies that are walked past at most; a longer list is made up."""

_CACHED_ADDRESSES: Final = 4096
_NO_MARKS: Final = (None, None, None)


class FieldValues(Protocol):
    """The header fields of a request, of whatever server."""

    def get_all(self, name: str, /) -> Sequence[str]:
        """All values of a field, in the order sent."""
        ...


class ClientFacts(NamedTuple):
    """The facts as they go into the event; empty text where the request said nothing."""

    address: str
    user_agent: str
    accept_language: str
    prefetched: bool


class ClientFactsReader:
    """Reads the facts of one request after another; knows which peers are proxies whose word counts.

    A trusted proxy's `X-Forwarded-For` or `Forwarded` (RFC 7239) is walked from the right, past other trusted proxies,
    to the first address that is none. Whatever cannot be understood there, or two headers that contradict each other
    (a proxy sets one and hands on the client's other), gives the peer's own address.
    """

    def __init__(self, trusted_proxies: Iterable[Network] = ()) -> None:
        self._trusted: Final = tuple(trusted_proxies)
        cached = functools.lru_cache(_CACHED_ADDRESSES)
        self._normalised: Callable[[str], str | None] = cached(normalised_address)
        self._is_trusted: Callable[[str], bool] = cached(self._in_trusted_network)

    def read(self, request: Request) -> ClientFacts:
        """The facts of `request`; never fails."""
        headers = request.headers
        return ClientFacts(
            self.address(request.client, headers),
            _tame(headers.get("user-agent"), USER_AGENT_LIMIT),
            _tame(headers.get("accept-language"), ACCEPT_LANGUAGE_LIMIT),
            is_prefetch(headers),
        )

    def address(self, peer: str, headers: FieldValues) -> str:
        """The client's address for a request from the peer at this address, "" for that of a Unix socket.

        Who may connect to the file of a Unix socket is a proxy on this machine, whose word counts.
        """
        if peer and not (self._trusted and self._is_trusted(peer)):
            return peer
        return self._forwarded_address(headers) or peer

    def _forwarded_address(self, headers: FieldValues) -> str | None:
        by_list = self._nearest_untrusted(_forwarded_for_list(headers.get_all("x-forwarded-for")))
        by_standard = self._nearest_untrusted(_forwarded_elements(headers.get_all("forwarded")))
        if by_list and by_standard and by_list != by_standard:
            return None
        return by_list or by_standard

    def _nearest_untrusted(self, hops: Sequence[str]) -> str | None:
        address = None
        for hop in hops:
            address = self._normalised(hop)
            if address is None or not self._is_trusted(address):
                return address
        return address if len(hops) < HOP_LIMIT else None

    def _in_trusted_network(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def normalised_address(text: str) -> str | None:
    """The address in `text` without port and brackets, IPv4 out of its IPv6 mapping; None when it is none.

    Accepts `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80` (RFC 7239 §6).
    """
    host = text
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    if len(host) > 45 or "%" in host:  # no zone identifiers: they mean nothing outside the proxy
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_prefetch(headers: RequestHeaders) -> bool:
    """Whether a browser says that it fetches ahead of the person (`Sec-Purpose`, and the older `Purpose`, `X-Moz`)."""
    marks = headers.get("sec-purpose"), headers.get("purpose"), headers.get("x-moz")
    return marks != _NO_MARKS and any(mark is not None and "prefetch" in mark.lower() for mark in marks)


def _is_port(text: str) -> bool:
    return text[0] == ":" and 1 < len(text) <= 6 and text[1:].isascii() and text[1:].isdigit()


def _forwarded_for_list(values: Sequence[str]) -> list[str]:
    """The elements of all `X-Forwarded-For` fields, nearest proxy first, at most HOP_LIMIT."""
    joined = ",".join(values)
    return [hop.strip() for hop in reversed(joined.rsplit(",", HOP_LIMIT)[-HOP_LIMIT:])] if joined else []


def _forwarded_elements(values: Sequence[str]) -> list[str]:
    """The `for` of each `Forwarded` element (RFC 7239 §4), nearest proxy first; an element without one gives ``""``."""
    return [_for_parameter(element) for element in _forwarded_for_list(values)]


def _for_parameter(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            value = value.strip()
            return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return ""


def _tame(text: str | None, limit: int) -> str:
    """`text` cut to `limit` bytes, with control characters and other invisible ones as spaces."""
    if not text:
        return ""
    if len(text) > limit:
        text = text[:limit]
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else " " for character in text)
