"""xtext: text in the parameters of commands, octets that may not stand there as `+` and two hexadecimal digits."""

from __future__ import annotations

import re

# RFC 3461 §4 wants upper case in what is sent; lower case is read as well, as Postfix does.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*+")
_WRITTEN = re.compile(r"\+[0-9A-Fa-f]{2}")
_HEXCHAR = re.compile(rb"\+([0-9A-Fa-f]{2})")
_PLAIN = frozenset(range(33, 127)) - frozenset(b"+=")


class XtextError(ValueError):
    """What is no xtext, or says no UTF-8."""


def is_xtext(text: str) -> bool:
    """Whether this may be decoded, whatever it says."""
    return _XTEXT.fullmatch(text) is not None


def normal_xtext(text: str) -> str:
    """The same xtext as RFC 3461 §4 has it, for others who may read it more strictly."""
    return _WRITTEN.sub(lambda found: found[0].upper(), text) if "+" in text else text


def decode_xtext(text: str) -> str:
    """The text that is meant; XtextError."""
    if _XTEXT.fullmatch(text) is None:
        raise XtextError("not xtext (RFC 3461)")
    if "+" not in text:
        return text
    octets = _HEXCHAR.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), text.encode("ascii"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise XtextError("not UTF-8") from None


def encode_xtext(text: str) -> str:
    """`text` as xtext; a lone surrogate, which UTF-8 does not have, becomes a question mark."""
    octets = text.encode("utf-8", "replace")
    return "".join(chr(octet) if octet in _PLAIN else f"+{octet:02X}" for octet in octets)
