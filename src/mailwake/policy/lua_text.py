"""What Lua policies read and write of a message as Momentum has it: words decoded and encoded, text parts decoded."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from mailwake.message.encoded_words import decode_words
from mailwake.message.mime_tree import parse
from mailwake.rewrite.charsets import LeftAlone, working_text
from mailwake.rewrite.transfer_encoding import decode, encoding_of

if TYPE_CHECKING:
    from mailwake.message.mime_tree import Part

_MOST_OCTETS_IN_A_WORD = 45
"""Of text: base64 makes 60 characters of them, and a word may have 75 (RFC 2047 §2)."""


def decoded_value(value: bytes) -> bytes:
    """A field's value with its encoded-words as UTF-8; octets that are no text stay as they are."""
    if b"=?" not in value:
        return value
    try:
        return decode_words(value.decode()).encode()
    except UnicodeDecodeError:
        return value


def encoded_value(value: bytes) -> str:
    """A field's value for the header: text beyond ASCII as encoded-words, octets that are no text as they are."""
    if value.isascii():
        return value.decode("ascii")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "surrogateescape")
    return " ".join(f"=?utf-8?B?{b64encode(piece.encode()).decode('ascii')}?=" for piece in _pieces(text))


def _pieces(text: str) -> list[str]:
    pieces, size = [""], 0
    for character in text:
        size += len(character.encode())
        if size > _MOST_OCTETS_IN_A_WORD:
            pieces.append("")
            size = len(character.encode())
        pieces[-1] += character
    return pieces


def text_parts(content: bytes) -> list[bytes]:
    """The text parts of a message in their order, transfer encoding undone, as UTF-8 where their charset is known."""
    return [_text(part, content) for part in parse(content).walk() if part.content_type.startswith(b"text/")]


def _text(part: Part, content: bytes) -> bytes:
    raw = content[part.body_start : part.end]
    try:
        body = decode(raw, encoding_of(part))
    except LeftAlone:
        return raw
    try:
        text = working_text(body, part.charset)
        return text.octets.decode(text.codec).encode()
    except (LeftAlone, UnicodeError):
        return body
