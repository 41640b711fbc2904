"""The Received field that RFC 5321 §4.4 demands of whoever passes a message on."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.listener.session import Session

MAX_RECEIVED = 100
"""Received fields after which a message is taken to be in a loop (RFC 5321 §6.3)."""


def received_field(session: Session, hostname: str, transmission_id: int, now: float) -> bytes:
    """The field, folded, with its line end; it has no `for` clause, which could show a recipient to another."""
    address = session.peer_address
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]" if address else "Unix socket"
    name = f"{session.peer_name} " if session.peer_name else ""
    hello = session.hello_domain if session.hello_domain.isascii() else "unknown"
    return (
        f"Received: from {hello or 'unknown'} ({name}{literal})\r\n"
        f"\tby {hostname} with {session.protocol} id {transmission_id};\r\n"
        f"\t{_date(int(now))}\r\n"
    ).encode("ascii", "replace")


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    # Written as a known zone: "-0000", which the library prefers, would say that the local time is unknown.
    return formatdate(seconds).removesuffix("-0000") + "+0000"
