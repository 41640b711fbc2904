"""What a client brings to a connection and what the server's EHLO reply offers it (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mailwake.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client introduces itself and what it insists on."""

    hello_name: str
    lmtp: bool = False
    """LHLO instead of EHLO, and what RFC 2033 has different."""

    tls: bool = False
    """Whether the connection is encrypted from its first octet (RFC 8314)."""

    starttls: Literal["never", "offered", "required"] = "offered"
    username: str = ""
    password: str = field(default="", repr=False)
    """With a user name: log in before anything is sent."""

    chunking: bool = True
    """Whether BDAT is used when offered."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server offers; the defaults are those of a server that knows only HELO."""

    pipelining: bool = False
    chunking: bool = False
    eight_bit_mime: bool = False
    binary_mime: bool = False
    """BINARYMIME, which is of use only with CHUNKING (RFC 3030 §3)."""

    dsn: bool = False
    smtputf8: bool = False
    starttls: bool = False
    size: int | None = None
    """The largest message in octets; 0 is offered without a limit (RFC 1870 §4), None is not offered."""

    auth: frozenset[str] = frozenset()


def read_capabilities(reply: Reply, *, use_chunking: bool = True) -> Capabilities:
    """The capabilities in an EHLO reply: keywords in any case, unknown ones ignored, and CHUNKING if not wanted."""
    offered: dict[str, list[str]] = {}
    for line in reply.text.split("\n")[1:]:  # the first line is the server's name and greeting
        # Some servers still write "AUTH=PLAIN LOGIN" for clients older than RFC 2554.
        keyword, *parameters = line.upper().replace("AUTH=", "AUTH ").split() or [""]
        offered.setdefault(keyword, []).extend(parameters)
    chunking = use_chunking and "CHUNKING" in offered
    return Capabilities(
        pipelining="PIPELINING" in offered,
        chunking=chunking,
        eight_bit_mime="8BITMIME" in offered,
        binary_mime=chunking and "BINARYMIME" in offered,
        dsn="DSN" in offered,
        smtputf8="SMTPUTF8" in offered,
        starttls="STARTTLS" in offered,
        size=_read_size(offered.get("SIZE")),
        auth=frozenset(offered.get("AUTH", ())),
    )


def _read_size(parameters: list[str] | None) -> int | None:
    if parameters is None:
        return None
    digits = parameters[0] if parameters else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else 0


def authentication_lines(mechanisms: frozenset[str], username: str, password: str) -> list[bytes] | None:
    """What to send, one line after each reply, to log in by PLAIN (RFC 4616) or LOGIN; None if neither is offered."""
    name, word = username.encode(), password.encode()
    if "PLAIN" in mechanisms:
        return [b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0" + word) + b"\r\n"]
    if "LOGIN" in mechanisms:
        return [b"AUTH LOGIN\r\n", base64.b64encode(name) + b"\r\n", base64.b64encode(word) + b"\r\n"]
    return None
