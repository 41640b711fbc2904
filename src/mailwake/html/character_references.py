"""Character references in attribute values, decoded exactly as a browser does (WHATWG HTML §13.2.5.72 – 13.2.5.80).

`html.unescape` follows the rules for text; in an attribute `?a=1&copy=2` holds no reference.
"""

from __future__ import annotations

import re
from html.entities import html5

_REFERENCE = re.compile(
    r"&(?:#0*+(?P<decimal>[0-9]++)|#[xX]0*+(?P<hexadecimal>[0-9a-fA-F]++)|#(?P<zero>[xX]?+0++)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*+))(?P<semicolon>;?+)(?=(?P<equals>=?))"
)
_REPLACEMENT = "\ufffd"
_LARGEST_DIGITS = 8
# Numbers that mean a character of windows-1252 (§13.2.5.80, the table for 0x80 to 0x9F).
_WINDOWS_1252 = {
    code: bytes((code,)).decode("windows-1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def decode(value: str) -> str:
    """`value` as it stands between the quotes, with its character references decoded."""
    ampersands = value.count("&")
    if ampersands and ampersands == value.count("&amp;"):  # nearly all links that hold any
        return value.replace("&amp;", "&")
    return _REFERENCE.sub(_decoded, value) if ampersands else value


def _decoded(match: re.Match[str]) -> str:
    decimal, hexadecimal, zero, name, semicolon, equals = match.groups()
    if name is None:
        return _numbered(decimal, hexadecimal, zero)
    if semicolon:
        # `&notit;` is no reference in an attribute: the longest name it starts with is followed by a letter.
        return html5.get(name + ";", match[0])
    if not equals and name in html5:
        return html5[name]
    return match[0]


def _numbered(decimal: str | None, hexadecimal: str | None, zero: str | None) -> str:
    digits = decimal or hexadecimal or ""
    if zero is not None or len(digits) > _LARGEST_DIGITS:
        return _REPLACEMENT
    code = int(digits, 10 if decimal else 16)
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return _REPLACEMENT
    return _WINDOWS_1252.get(code) or chr(code)
