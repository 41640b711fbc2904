"""Where the API of this data directory is served: the collector writes it down, commands beside it read it.

The configuration alone does not say it: a flag, port 0, or a port that was taken may have decided otherwise.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mailwake.service.addresses import Address, bound_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def api_address_kept(path: Path, sockets: Sequence[socket.socket]) -> Iterator[None]:
    """The file holds the first of these sockets' addresses meanwhile; a disk that refuses is no reason to fail."""
    with suppress(OSError, IndexError):
        _write(path, f"http://{reachable(bound_address(sockets[0]))}\n")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def kept_api_address(path: Path) -> str | None:
    """The URL that the file holds; None when nothing is served, or nobody could write it down."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return text if text.startswith("http://") else None


def reachable(address: Address) -> Address:
    """The address by which this machine reaches what listens there: on every interface means on the loopback, too."""
    with suppress(ValueError):  # a name
        if (ip := ipaddress.ip_address(address.host)).is_unspecified:
            return Address("127.0.0.1" if ip.version == 4 else "::1", address.port)
    return address


def _write(path: Path, text: str) -> None:
    # Whole or not at all, and never through a link that somebody has put there.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    temporary.replace(path)
