"""Listening sockets that systemd made and hands over (socket activation, sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from mailwake.service.addresses import Address

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""


def take_given_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets in the order of the unit; the variables that told of them are removed, so that no child reads them.

    Raises StartupError, one line, for a descriptor that is no listening stream socket.
    """
    pid, count, _ = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdigit():
        return []  # they are for another process: a parent that was activated, and left its variables behind
    return [_adopt(FIRST_DESCRIPTOR + index) for index in range(int(count))]


def _adopt(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        given = socket.socket(fileno=descriptor)
        if given.type == socket.SOCK_STREAM and given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            given.setblocking(False)  # several workers accept from it: who comes too late must not wait
            return given
        given.detach()
    except OSError:
        pass
    raise StartupError(
        f"systemd handed over descriptor {descriptor}, which is no listening stream socket: "
        "use ListenStream= with Accept=no in mailwake.socket, and nothing else"
    )


def socket_text(given: socket.socket) -> str:
    """Where it listens, as settings write it: HOST:PORT, or the path of a Unix socket."""
    name = given.getsockname()
    if given.family == socket.AF_UNIX:
        return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return f"[{name[0]}]:{name[1]}" if given.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def serves(given: socket.socket, address: Address) -> bool:
    """Whether the socket is bound to just this address; one on [::] may serve every IPv4 address as well."""
    if given.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host, port = given.getsockname()[:2]
    if port != address.port:
        return False
    if given.family == socket.AF_INET6 and host == "::" and address.host == "0.0.0.0":  # noqa: S104  # only compared
        return not given.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    try:
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False  # binding says what is wrong with the name
    return found[0][4][:2] == (host, port)
