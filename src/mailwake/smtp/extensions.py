"""The extensions of SMTP that a server may offer (RFC 5321 §2.2), by their EHLO keywords."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


class Extension(StrEnum):
    """One extension; the order is that in which EHLO lists them."""

    PIPELINING = "PIPELINING"
    """RFC 2920: hidden, it works all the same, since nobody can tell a pipelined command from a prompt one."""

    SIZE = "SIZE"
    """RFC 1870: without it there is no parameter, and the limit holds as ever."""

    EIGHT_BIT_MIME = "8BITMIME"
    """RFC 6152."""

    SMTPUTF8 = "SMTPUTF8"
    """RFC 6531."""

    ENHANCEDSTATUSCODES = "ENHANCEDSTATUSCODES"
    """RFC 2034: all replies have such codes, so it is always shown."""

    CHUNKING = "CHUNKING"
    """RFC 3030 §2: BDAT."""

    BINARYMIME = "BINARYMIME"
    """RFC 3030 §3: it needs CHUNKING, and goes with it."""

    DSN = "DSN"
    """RFC 3461."""

    XVERP = "XVERP"
    """Postfix's: a sender address of its own for each recipient."""

    STARTTLS = "STARTTLS"
    """RFC 3207."""

    AUTH = "AUTH"
    """RFC 4954."""


EVERY_EXTENSION = frozenset(Extension)


@lru_cache(maxsize=64)
def extensions_without(discarded: tuple[str, ...]) -> frozenset[Extension]:
    """What is left to offer; the same object each time."""
    return EVERY_EXTENSION - set(map(Extension, discarded)) | {Extension.ENHANCEDSTATUSCODES}
