"""What events say about a message besides its links: subject, author, sending domain, text of the fields unfolded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.message.encoded_words import decode_words
from mailwake.message.headers import unfold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailwake.message.headers import Field

SUBJECT_LIMIT = 512
"""Characters of a subject that travel in events; RFC 5322 sets no limit of its own."""

_ANGLE = re.compile(r"<([^<>]*)>\s*$")
_AT_DOMAIN = re.compile(r"@([^@\s>]+)>?\s*$")


@dataclass(frozen=True, slots=True)
class Summary:
    """Subject and author as people read them: encoded-words (RFC 2047) decoded, line folding undone."""

    subject: str
    friendly_from: str
    sending_domain: str
    received_count: int


def summarise(content: bytes, fields: Iterable[Field]) -> Summary:
    """Read the Subject and From fields (the first of each) and count the Received ones, for loop detection."""
    subject = friendly_from = ""
    received = 0
    for field in fields:
        name = field.name.lower()
        if name == b"received":
            received += 1
        elif name == b"subject" and not subject:
            subject = _text(content[field.value_start : field.value_end])
        elif name == b"from" and not friendly_from:
            friendly_from = _text(content[field.value_start : field.value_end])
    return Summary(subject[:SUBJECT_LIMIT], friendly_from[:SUBJECT_LIMIT], domain_of(friendly_from), received)


def domain_of(address: str) -> str:
    """The domain of `address`, `<address>` or `Name <address>` in lower case; "" when there is none."""
    angle = _ANGLE.search(address)
    found = _AT_DOMAIN.search(angle[1] if angle else address)
    return found[1].lower() if found else ""


def _text(value: bytes) -> str:
    return decode_words(unfold(value).strip().decode("utf-8", "replace"))
