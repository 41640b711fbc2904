"""What holds for every message that is made fit for a server without 8BITMIME or BINARYMIME.

Bodies are decoded by the standard library; where it sees the same structure as we do, its own reading of the whole
message, before and after, is compared, too.
"""

from __future__ import annotations

import base64
import contextlib
import email
import quopri
import re
from typing import TYPE_CHECKING, NamedTuple

from mailwake.message.mime_tree import Part, parse, parse_inside
from mailwake.rewrite.body_encoding import Domain, has_mail_lines
from mailwake.rewrite.transfer_conversion import ConversionImpossible, Converted, convert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

SEVEN_BIT = Domain(eight_bit=False, any_lines=True)
SEVEN_BIT_LINES = Domain(eight_bit=False, any_lines=False)
EIGHT_BIT_LINES = Domain(eight_bit=True, any_lines=False)
DOMAINS = (SEVEN_BIT, SEVEN_BIT_LINES, EIGHT_BIT_LINES)
PLAIN = {b"", b"7bit", b"7-bit", b"8bit", b"8-bit", b"binary"}
_ENCODING_FIELD = re.compile(
    rb"^content-transfer-encoding[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?", re.MULTILINE | re.IGNORECASE
)
_ADDED = re.compile(rb"^(?:MIME-Version: 1\.0|Content-Type: text/plain; charset=[a-z8-]+)\r\n", re.MULTILINE)
_NOT_ASCII = bytes(range(0x80, 0x100))


class Leaf(NamedTuple):
    """A part without parts: what it is, what its header says but for the encoding, and its octets."""

    number: str
    content_type: bytes
    header: bytes
    octets: bytes


def check_conversion(content: bytes) -> None:
    """For each kind of server: refused, or fit for it and with the same parts as before."""
    for domain in DOMAINS:
        with contextlib.suppress(ConversionImpossible):
            check_converted(content, convert(content, domain), domain)


def check_converted(content: bytes, converted: Converted, domain: Domain) -> None:
    """`converted` is fit for the domain, nothing is left to do, and every part says what it said."""
    result = converted.content
    if not domain.any_lines:
        assert has_mail_lines(result)
    if not domain.eight_bit:
        assert converted.eight_bit_header or result.isascii()
        assert in_bodies(result).isascii()
    assert convert(result, domain)[:2] == (result, 0)
    before = list(leaves(content, parse(content, crlf_only=True), 0))
    after = list(leaves(result, parse(result, crlf_only=True), 0))
    assert after == before
    if not any(leaf.content_type == b"message/global" for leaf in before):  # the library never decodes these
        check_by_the_library(content, result, [leaf.octets for leaf in before])


def leaves(content: bytes, part: Part, depth: int) -> Iterator[Leaf]:
    """The leaves of a part, those of messages inside it among them."""
    if part.content_type == b"message/rfc822" and part.transfer_encoding in PLAIN and not part.broken and depth < 50:
        inside = parse_inside(content, part, depth, crlf_only=True)
        yield from leaves(content, inside, depth + 1)
    elif part.is_multipart and not part.broken:
        for child in part.parts:
            yield from leaves(content, child, depth + 1)
    else:
        header = content[part.start : part.header_end]
        header = _ADDED.sub(b"", _ENCODING_FIELD.sub(b"", header))
        yield Leaf(part.number, part.content_type, header, decoded(content[part.body_start : part.end], part))


def decoded(body: bytes, part: Part) -> bytes:
    """The octets of a body; those of base64 as characters, for nobody agrees on the damaged ones."""
    if part.broken:
        return body
    if part.transfer_encoding == b"quoted-printable":
        return quopri.decodestring(body)
    if part.transfer_encoding == b"base64":
        characters = re.sub(rb"[^A-Za-z0-9+/=]", b"", body)
        try:
            return base64.b64decode(characters, validate=True)
        except ValueError:
            return characters
    return body


def in_bodies(content: bytes) -> bytes:
    """The message without its headers and those inside it."""
    spans: list[tuple[int, int]] = []
    _add_headers(content, parse(content, crlf_only=True), 0, spans)
    out, position = [], 0
    for start, end in spans:
        out.append(content[position:start])
        position = end
    return b"".join([*out, content[position:]])


def _add_headers(content: bytes, part: Part, depth: int, spans: list[tuple[int, int]]) -> None:
    spans.append((part.start, part.header_end))
    if part.broken:
        return
    for child in part.parts:
        _add_headers(content, child, depth + 1, spans)
    if part.content_type == b"message/rfc822" and part.transfer_encoding in PLAIN and depth < 50:
        inside = parse_inside(content, part, depth, crlf_only=True)
        _add_headers(content, inside, depth + 1, spans)


def check_by_the_library(content: bytes, result: bytes, octets: list[bytes]) -> None:
    """`email` reads the same payloads from both messages, where it understands the first one as we do."""
    before = library_leaves(email.message_from_bytes(content))
    if [payload for _, payload in before] == octets:
        assert library_leaves(email.message_from_bytes(result)) == before


def library_leaves(message: Message) -> list[tuple[str, bytes]]:
    found = []
    for part in message.walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append((part.get_content_type(), payload))
    return found
