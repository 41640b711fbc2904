"""RFC 2047 encoded-words in text: `=?utf-8?Q?caf=C3=A9?=`, as real senders write them."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from encodings.aliases import aliases

# RFC 2047 §2, more lenient in two points that mail libraries get wrong: no white space is asked for around a word,
# and white space may stand in the encoded text. RFC 2231 §5 adds a language to the charset, after an asterisk.
_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([QqBb])\?([^?]*)\?=")
_ANY_WORD = r"=\?[A-Za-z0-9_.:*-]{1,81}\?[QqBb]\?[^?]*\?="
_RUN = re.compile(rf"{_ANY_WORD}(?:[ \t\r\n]+{_ANY_WORD})*")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")

# A closed list: Python remembers every name that it has searched for in vain, for ever, and its search is slow.
_NO_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs"}
_CHARSETS = frozenset(name for alias, codec in aliases.items() if codec not in _NO_CHARSETS for name in (alias, codec))


def decode_words(text: str) -> str:
    """`text` with its encoded-words decoded; white space between adjacent words goes (RFC 2047 §6.2).

    Adjacent words of one charset are decoded together, since some senders cut a character in two. Words whose charset
    is unknown, or whose octets are no text in it, stay as they stand: nothing is guessed.
    """
    return _RUN.sub(_decode_run, text) if "=?" in text else text


def _decode_run(found: re.Match[str]) -> str:
    runs: list[tuple[str, bytes]] = []
    for charset, encoding, encoded in _WORD.findall(found[0]):
        octets = _octets(encoding, encoded)
        if octets is None:
            return found[0]
        if runs and runs[-1][0] == charset.lower():
            runs[-1] = (charset.lower(), runs[-1][1] + octets)
        else:
            runs.append((charset.lower(), octets))
    try:
        return "".join(_text(charset, octets) for charset, octets in runs)
    except (LookupError, UnicodeError):
        return found[0]


def _octets(encoding: str, encoded: str) -> bytes | None:
    """The octets of one word's encoded text, None when it is damaged."""
    if not encoded.isascii():
        return None
    raw = encoded.encode("ascii")
    if encoding in "Qq":  # RFC 2047 §4.2
        return _HEX.sub(lambda pair: bytes.fromhex(pair[1].decode("ascii")), raw.replace(b"_", b" "))
    raw = b"".join(raw.split()).rstrip(b"=")
    try:
        return b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except binascii.Error:
        return None


def _text(charset: str, octets: bytes) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", charset)
    if name not in _CHARSETS:
        raise LookupError(charset)
    text = octets.decode(name)
    text.encode("utf-8")  # UTF-7 can bring lone surrogates, which no event could carry
    return text
