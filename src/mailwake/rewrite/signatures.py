"""Signatures that a message arrives with: a change to its body makes them fail (RFC 6376 §3.7, RFC 8617 §4.1.2)."""

from __future__ import annotations

import re

_SIGNATURE = re.compile(
    rb"^(DKIM-Signature|ARC-Message-Signature|DomainKey-Signature)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.MULTILINE | re.IGNORECASE,
)
_DOMAIN = re.compile(rb"(?:\A|;)\s*+d\s*+=\s*+([^\s;]{1,255})", re.IGNORECASE)
_MOST_NAMED = 10


def signed_by(content: bytes, header_end: int) -> tuple[str, ...]:
    """The signatures over the body that stand in the header `content[:header_end]`, as "DKIM-Signature of a.example".

    Whether they are valid is not asked: those who receive the message will. One that covers only the start of the body
    (`l=`) counts too.
    """
    found = []
    for match in _SIGNATURE.finditer(content, 0, header_end):
        domain = _DOMAIN.search(match[2])
        name = match[1].decode("ascii")
        found.append(f"{name} of {domain[1].decode('utf-8', 'replace')}" if domain else name)
        if len(found) == _MOST_NAMED:
            break
    return tuple(found)
