"""Content-Transfer-Encoding: decoding a body strictly, so that what is damaged is left alone (RFC 2045 §6)."""

from __future__ import annotations

import binascii
import re
from enum import Enum
from typing import TYPE_CHECKING

from mailwake.rewrite.charsets import LeftAlone

if TYPE_CHECKING:
    from mailwake.message.mime_tree import Part


class Encoding(Enum):
    """How the text of a part is written in its body."""

    PLAIN = "plain"
    """As it is: 7bit, 8bit, binary, or nothing said."""
    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"


# Besides the five of RFC 2045 the misspellings that readers take for what was meant.
_ENCODINGS = {
    b"": Encoding.PLAIN,
    b"7bit": Encoding.PLAIN,
    b"8bit": Encoding.PLAIN,
    b"binary": Encoding.PLAIN,
    b"7-bit": Encoding.PLAIN,
    b"8-bit": Encoding.PLAIN,
    b"quoted-printable": Encoding.QUOTED_PRINTABLE,
    b"base64": Encoding.BASE64,
}
_DAMAGED_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\r?\Z)")
_WHITE_SPACE = b" \t\r\n"


def encoding_of(part: Part) -> Encoding:
    """The encoding of a part's body. Raises LeftAlone for one that is not known."""
    encoding = _ENCODINGS.get(part.transfer_encoding)
    if encoding is None:
        raise LeftAlone("unknown transfer encoding")
    return encoding


def decode(body: bytes, encoding: Encoding) -> bytes:
    """The text of a body. Raises LeftAlone when it is not exactly what its encoding allows."""
    if encoding is Encoding.QUOTED_PRINTABLE:
        if _DAMAGED_QUOTED_PRINTABLE.search(body):
            raise LeftAlone("broken quoted-printable")
        return binascii.a2b_qp(body)
    if encoding is Encoding.BASE64:
        try:
            return binascii.a2b_base64(body.translate(None, _WHITE_SPACE), strict_mode=True)
        except binascii.Error as error:
            raise LeftAlone("broken base64") from error
    return body
