"""The token of a tracked link: all that its event needs, compact, encrypted and authenticated (4-design.md, "Links").

    token   = base64url without padding( header ‖ key id ‖ AES-256-SIV(content, AAD = header ‖ key id ‖ family) )
    header  = format version (high nibble), dictionary number or 0 for a content that is not compressed (low nibble)
    family  = the letter of the URL's path: `f` clicks, `q` opens, `o` initial opens, `u` list unsubscriptions
    body    = transmission id (8 octets) ‖ msgpack array (links/body.py)
    content = the body, or the same with its array compressed where that is shorter (the id no compressor shortens)

AES-SIV (RFC 5297) is deterministic, so that the same link twice is the same URL, and a repeated message reveals
nothing but that it is the same.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mailwake.links.body import (
    FAMILIES,
    ID_OCTETS,
    MAX_BODY_OCTETS,
    RAW_URL_NAME,
    BadToken,
    ContextTooLong,
    Link,
    LinkContext,
    LinkKind,
    decode_body,
    link_array,
    message_id,
    pack_context,
)
from mailwake.links.dictionary import CURRENT_DICTIONARY, BodyCompressor, BodyExpander, load_dictionary

if TYPE_CHECKING:
    from mailwake.links.keyring import Keyring

__all__ = [
    "FAMILIES",
    "FORMAT_VERSION",
    "MAX_BODY_OCTETS",
    "MAX_TOKEN_LENGTH",
    "MIN_TOKEN_LENGTH",
    "RAW_URL_NAME",
    "BadToken",
    "ContextTooLong",
    "Link",
    "LinkContext",
    "LinkKind",
    "TokenCodec",
    "decode_body",
    "link_array",
    "message_id",
    "pack_context",
]

FORMAT_VERSION = 1

MAX_TOKEN_LENGTH = (MAX_BODY_OCTETS + 18 + 2) // 3 * 4
"""The longest token, in characters."""

MIN_TOKEN_LENGTH = (18 + 8) * 4 // 3
"""No token is shorter, in characters: header, key id, AES-SIV's tag, transmission id."""


_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=\n", b"+/!!!!")
_PADDING = (b"", b"", b"==", b"=")
_CANONICAL_ENDS: tuple[frozenset[int], ...] = (
    frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
    frozenset(),  # one character beyond a group of four is never valid
    frozenset(b"AQgw"),
    frozenset(b"AEIMQUYcgkosw048"),
)


class TokenCodec:
    """Makes and opens tokens with a keyring; one object serves one thread."""

    def __init__(self, keyring: Keyring) -> None:
        dictionary = load_dictionary(CURRENT_DICTIONARY)
        self._compress = BodyCompressor(dictionary).compress
        self._expanders = {CURRENT_DICTIONARY: BodyExpander(dictionary, MAX_BODY_OCTETS).expand}
        self.use(keyring)

    def use(self, keyring: Keyring) -> None:
        """Change to another keyring, for instance after a rotation."""
        self._ciphers = {key.id: AESSIV(key.secret) for key in keyring.keys.values()}
        self._seal = self._ciphers[keyring.current].encrypt
        plain = bytes((FORMAT_VERSION << 4, keyring.current))
        squeezed = bytes((FORMAT_VERSION << 4 | CURRENT_DICTIONARY, keyring.current))
        # A list by the kind's number: members of an enumeration are slow keys.
        self._heads = [((b"", [b""]), (b"", [b""]))] * (max(LinkKind) + 1)
        for kind in LinkKind:
            family = kind.family.encode()
            self._heads[kind] = (squeezed, [squeezed + family]), (plain, [plain + family])

    pack_context = staticmethod(pack_context)

    def encode(self, kind: LinkKind, packed_context: bytes, target: str = "", name: str = "") -> bytes:
        """The token of one link of the copy whose context was packed: ASCII octets, safe in a URL's path.

        `target` has at most 4,096 octets (the caller leaves longer links alone), `name` at most 63.
        """
        array = link_array(kind, packed_context, target, name)
        block = self._compress(array)
        head, associated = self._heads[kind][block is array]
        sealed = head + self._seal(packed_context[:ID_OCTETS] + block, associated)
        return binascii.b2a_base64(sealed, newline=False).rstrip(b"=").translate(_TO_URL)

    def decode(self, token: str, family: str) -> Link:
        """Open a token found under the path letter `family`; BadToken for whatever is wrong with it."""
        sealed = _from_base64url(token)
        version, dictionary = sealed[0] >> 4, sealed[0] & 15
        if version != FORMAT_VERSION or (dictionary and dictionary not in self._expanders):
            raise BadToken("version")
        cipher = self._ciphers.get(sealed[1])
        if cipher is None:
            raise BadToken("key")
        try:
            content = cipher.decrypt(sealed[2:], [sealed[:2] + family.encode()])
        except (InvalidTag, ValueError):
            raise BadToken("forged") from None
        if not dictionary:
            return decode_body(content)
        try:
            return decode_body(content[:ID_OCTETS] + self._expanders[dictionary](content[ID_OCTETS:]))
        except zstandard.ZstdError:
            raise BadToken("body") from None


def _from_base64url(token: str) -> bytes:
    if not MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH:
        raise BadToken("length")
    try:
        text = token.encode("ascii")
        # Bits beyond the last octet must be zero, or one link would have several spellings (RFC 4648, section 3.5).
        if text[-1] not in _CANONICAL_ENDS[len(text) & 3]:
            raise BadToken("encoding")
        return binascii.a2b_base64(text.translate(_FROM_URL) + _PADDING[len(text) & 3], strict_mode=True)
    except ValueError:  # not ASCII, or binascii.Error
        raise BadToken("encoding") from None
