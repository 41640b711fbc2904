"""The header fields with which mail programs offer to unsubscribe.

List-Unsubscribe is of RFC 2369 §3.2; List-Unsubscribe-Post beside it makes it one click (RFC 8058 §3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mailwake.message.headers import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.message.headers import Field

ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""The form field that stands in List-Unsubscribe-Post, and that a mail program sends back (RFC 8058 §3.1)."""

LONGEST_URL = 900
"""Octets; with its name around it the field must fit a line of 998 (RFC 5322 §2.1.1), for a URL cannot be folded."""

_FIELD = b"List-Unsubscribe"
_POST_FIELD = b"List-Unsubscribe-Post"
# What may stand in the address of a mailto: URI as it is (RFC 6068 §2).
_MAILTO_SAFE = "!$'*+-._@~"


def has_own(header_fields: Sequence[Field]) -> bool:
    """Whether the sender has seen to unsubscribing, be it by one of the two fields alone."""
    return any(find(header_fields, name) for name in (_FIELD, _POST_FIELD))


def unsubscribe_fields(url: bytes, mailto: str = "", line_break: bytes = b"\r\n") -> bytes:
    """Both fields with their line ends; `url` is https as RFC 8058 §3.1 demands, `mailto` an address or "".

    The URL comes first: of several, programs take the first that they can use (RFC 2369 §2).
    """
    value = b"<" + url + b">"
    if mailto:
        address = quote(mailto, safe=_MAILTO_SAFE)
        value += b"," + line_break + b"\t<mailto:" + address.encode("ascii") + b"?subject=unsubscribe>"
    post = "=".join(ONE_CLICK).encode("ascii")
    return _FIELD + b": " + value + line_break + _POST_FIELD + b": " + post + line_break
