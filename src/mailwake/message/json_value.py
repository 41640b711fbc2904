"""JSON as senders put it into headers and context variables: read strictly (RFC 8259), whatever it is made of."""

from __future__ import annotations

import re
from typing import Any

import msgspec

DEEPEST = 64
"""Levels of arrays and objects inside each other; what is nested deeper is refused, so that nothing recurses far."""

# Possessive, and an unclosed string reaches to the end: linear whatever the text.
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class NotJSON(ValueError):  # noqa: N818 - it says what the text is not
    """Text that is not JSON, or that no event could carry: its text says why."""


def read_json(text: bytes) -> Any:
    """The value of a JSON text in UTF-8; of a key that an object has twice the last value counts.

    Raises NotJSON for everything else, also for NaN and Infinity (no JSON), numbers beyond a double's range, lone
    surrogates (no Unicode text, RFC 8259 §8.2), a byte-order mark, and nesting deeper than 64 levels.
    """
    if text.count(b"[") + text.count(b"{") > DEEPEST and _too_deep(text):
        raise NotJSON(f"nested deeper than {DEEPEST} levels")
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and UnicodeDecodeError, are ValueErrors
        raise NotJSON(str(error)) from None


def compact_json(value: Any) -> bytes:
    """A value from `read_json` as JSON in UTF-8 without white space."""
    return msgspec.json.encode(value)


def _too_deep(text: bytes) -> bool:
    """Whether the brackets outside strings are nested too deeply; linear, and without recursion."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        first = found[0][0]
        if first in b"[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif first in b"]}":
            depth -= 1
    return False
