"""`host:port` texts, and sockets bound to them that several workers can share."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Any

from mailwake.errors import StartupError

BACKLOG = 1024
"""Connections the kernel keeps for a worker that is busy or being restarted."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host (name, IPv4 or IPv6 address) and a TCP port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, setting: str) -> Address:
    """Read `host:port`, `[ipv6]:port` or `:port` (every interface); StartupError names the setting if it is neither."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise StartupError(f"{setting}: {text!r} is not an address; write HOST:PORT, for example 127.0.0.1:2525")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise StartupError(f"{setting}: write an IPv6 address in brackets: [{host}]:{port}")
    return Address(host or "0.0.0.0", int(port))  # noqa: S104  # an empty host is the operator's wish for every interface


def bind_shared(address: Address, count: int, setting: str) -> list[socket.socket]:
    """`count` sockets on one address, among which the kernel spreads connections (SO_REUSEPORT) once they listen.

    Raises StartupError, one line that says what to do, when the address is taken or not ours.
    """
    try:
        info = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise StartupError(f"{setting}: cannot resolve {address.host!r}: {error.strerror or error}") from None
    family, target = info[0], info[4]
    if address.port:
        _check_free(family, target, address, setting)
    first = _bound_socket(family, target, address, setting)
    return [first, *bind_more(first, count - 1, setting)]  # with port 0 the first bind decides the port of all


def bind_more(like: socket.socket, count: int, setting: str) -> list[socket.socket]:
    """`count` further sockets on the address of one from `bind_shared`."""
    address = bound_address(like)
    return [_bound_socket(like.family, like.getsockname(), address, setting) for _ in range(count)]


def listen(bound: socket.socket, setting: str) -> None:
    """Have the kernel take connections for it: from now on they wait in its queue until somebody accepts them."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        where = bound.getsockname() if bound.family == socket.AF_UNIX else bound_address(bound)
        raise _explain(error, where, setting) from None


def _check_free(family: int, target: Any, address: Address, setting: str) -> None:
    # SO_REUSEPORT would let a second mailwake of the same user share the port silently, and take half the mail.
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(target)
            probe.listen(1)
        except OSError as error:
            raise _explain(error, address, setting) from None


def _bound_socket(family: int, target: Any, address: Address, setting: str) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(target)
    except OSError as error:
        listening.close()
        raise _explain(error, address, setting) from None
    listening.setblocking(False)
    return listening


def _explain(error: OSError, address: Address | str, setting: str) -> StartupError:
    advice = {
        errno.EADDRINUSE: "another program listens there; stop it or choose another port",
        errno.EACCES: "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE); choose a higher port",
        errno.EADDRNOTAVAIL: "this machine has no such address; use one of its own",
    }.get(error.errno or 0, error.strerror or str(error))
    return StartupError(f"{setting}: cannot listen on {address}: {advice}")


def bound_address(listening: socket.socket) -> Address:
    """The address a socket really has, which tells the port when 0 was asked for."""
    host, port = listening.getsockname()[:2]
    return Address(host, port)
