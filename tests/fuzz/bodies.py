"""A message around one body, in any transfer encoding and charset."""

from __future__ import annotations

import base64
import binascii
import quopri

TRANSFER_ENCODINGS = ("8bit", "quoted-printable", "base64", "", "7bit", "binary")
CHARSETS = (
    *("utf-8", "us-ascii", "", "windows-1252", "shift_jis", "iso-2022-jp", "utf-7", "gb18030", "big5", "euc-kr"),
    *("euc-jp", "hz-gb-2312", "utf-16", "utf-16le", "utf-16be", "utf-32le", "iso-2022-kr", "koi8-r", "windows-874"),
    *("iso-8859-8", "x-unknown", "x-nowhere", "macintosh", "windows-1255", "ibm866"),
)
# Charsets in which random bytes are seldom text: a fuzzer's text is turned into them.
_WRITTEN_OTHERWISE = {
    "iso-2022-jp": "iso2022_jp",
    "utf-7": "utf-7",
    "hz-gb-2312": "hz",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32le": "utf-32-le",
    "iso-2022-kr": "iso2022_kr",
}


def encoded(text: bytes, transfer_encoding: str, line_break: bytes = b"\r\n") -> bytes:
    """`text` in a transfer encoding, by the standard library."""
    if transfer_encoding == "base64":
        return base64.encodebytes(text).replace(b"\n", line_break)
    if transfer_encoding == "quoted-printable":
        if b"\0" in text or b"\n" in text.replace(line_break, b""):  # no lines of bytes: each line break is escaped
            return binascii.b2a_qp(text, istext=False).replace(b"=\n", b"=" + line_break)
        # quopri knows bare LF only: it is given each line without its line break.
        lines = [quopri.encodestring(line).replace(b"\n", line_break) for line in text.split(line_break)]
        return line_break.join(lines)
    return text


def message(text: bytes, content_type: str, transfer_encoding: str, line_break: bytes = b"\r\n") -> bytes:
    """A message that is nothing but this body."""
    lines = [f"Content-Type: {content_type}".encode()]
    if transfer_encoding:
        lines.append(f"Content-Transfer-Encoding: {transfer_encoding}".encode())
    return line_break.join([*lines, b"", encoded(text, transfer_encoding, line_break)])


class BodyInput:
    """Bytes of a fuzzer read as a choice of charset and encoding, one byte each, and a text."""

    def __init__(self, data: bytes) -> None:
        encoding, charset, variant = data[:3].ljust(3, b"0")
        self.transfer_encoding = TRANSFER_ENCODINGS[encoding % len(TRANSFER_ENCODINGS)]
        self.charset = CHARSETS[charset % len(CHARSETS)]
        self.line_break = b"\n" if variant & 1 else b"\r\n"
        self.variant = variant
        self.text = data[3:]
        codec = _WRITTEN_OTHERWISE.get(self.charset)
        if codec is not None and not variant & 2:
            self.text = self.text.decode("utf-8", "ignore").encode(codec, "ignore")

    def message(self, subtype: str, parameters: str = "") -> bytes:
        """The text as the body of a message."""
        content_type = f"text/{subtype}" + (f"; charset={self.charset}" if self.charset else "") + parameters
        return message(self.text, content_type, self.transfer_encoding, self.line_break)


def body_input(text: bytes, transfer_encoding: str = "8bit", charset: str = "utf-8", variant: bytes = b"0") -> bytes:
    """The bytes that `BodyInput` reads as this."""
    choice = bytes((48 + TRANSFER_ENCODINGS.index(transfer_encoding), 75 + CHARSETS.index(charset)))
    return choice + variant + text


def quoted_printable(
    text: bytes, line_break: bytes, width: int, *, lower: bool = False, all_escaped: bool = False
) -> bytes:
    """`text` in quoted-printable as no library writes it: soft line breaks at any width, needless escapes."""
    lines = []
    for line in text.split(line_break):
        parts, length = [b""], 0
        for position, byte in enumerate(line):
            blank_at_end = byte in b" \t" and position == len(line) - 1
            literal = (0x20 <= byte < 0x7F or byte == 0x09) and byte != 0x3D and not blank_at_end and not all_escaped
            unit = bytes((byte,)) if literal else (b"=%02x" if lower else b"=%02X") % byte
            if length + len(unit) > width:
                parts.append(b"")
                length = 0
            parts[-1] += unit
            length += len(unit)
        lines.append((b"=" + line_break).join(parts))
    return line_break.join(lines)


def base64_lines(text: bytes, line_break: bytes, width: int) -> bytes:
    """`text` in base64 with lines of this width."""
    whole = base64.b64encode(text)
    return line_break.join([whole[i : i + width] for i in range(0, len(whole), width)])
