"""Charsets: which are known, which can be worked on as bytes, and the way there and back for the others.

In a charset whose ASCII bytes mean ASCII, HTML is scanned as it stands. UTF-16, UTF-32, UTF-7, HZ and ISO-2022-* are
turned into UTF-8 for the scan; the spans found are then taken back, and only if every piece encodes to the very bytes
it came from.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Labels of the WHATWG Encoding Standard (§4.2) and those that mail has besides, by Python codec. Python's own aliases
# are no guide: it takes names that are no charsets (`idna`, `unicode_escape`) and lacks others.
_LABELS_BY_CODEC = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "cp866": "ibm866 cp866 866 csibm866",
    "iso8859-2": "iso-8859-2 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 iso-ir-101 latin2 l2 csisolatin2",
    "iso8859-3": "iso-8859-3 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 iso-ir-109 latin3 l3 csisolatin3",
    "iso8859-4": "iso-8859-4 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 iso-ir-110 latin4 l4 csisolatin4",
    "iso8859-5": "iso-8859-5 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988 iso-ir-144 cyrillic csisolatincyrillic",
    "iso8859-6": "iso-8859-6 iso-8859-6-e iso-8859-6-i iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987 iso-ir-127 arabic "
    "asmo-708 ecma-114 csiso88596e csiso88596i csisolatinarabic",
    "iso8859-7": "iso-8859-7 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 iso-ir-126 greek greek8 ecma-118 elot_928 "
    "sun_eu_greek csisolatingreek",
    "iso8859-8": "iso-8859-8 iso-8859-8-e iso-8859-8-i iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 iso-ir-138 hebrew "
    "visual logical csiso88598e csiso88598i csisolatinhebrew",
    "iso8859-10": "iso-8859-10 iso8859-10 iso885910 iso-ir-157 latin6 l6 csisolatin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "iso-8859-15 iso8859-15 iso885915 iso_8859-15 latin-9 l9 csisolatin9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "koi8-r koi8_r koi8 koi cskoi8r",
    "koi8-u": "koi8-u koi8-ru",
    "mac-roman": "macintosh mac x-mac-roman csmacintosh",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "windows-874 dos-874 tis-620 iso-8859-11 iso8859-11 iso885911",
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 iso-ir-100 latin1 "
    "latin-1 l1 cp819 ibm819 csisolatin1",
    "cp1253": "windows-1253 cp1253 x-cp1253",
    "cp1254": "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 iso-ir-148 latin5 "
    "l5 csisolatin5",
    "cp1255": "windows-1255 cp1255 x-cp1255",
    "cp1256": "windows-1256 cp1256 x-cp1256",
    "cp1257": "windows-1257 cp1257 x-cp1257",
    "cp1258": "windows-1258 cp1258 x-cp1258",
    "gb18030": "gb18030 gbk x-gbk gb2312 gb_2312 gb_2312-80 chinese csgb2312 csiso58gb231280 iso-ir-58 cp936 ms936 "
    "windows-936 euc-cn",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950",
    "euc-jp": "euc-jp x-euc-jp cseucpkdfmtjapanese",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j cp932 csshiftjis",
    "cp949": "euc-kr cp949 windows-949 ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean iso-ir-149 cseuckr "
    "csksc56011987",
}
_CODEC_BY_LABEL = {label: codec for codec, labels in _LABELS_BY_CODEC.items() for label in labels.split()}
_NO_CLAIM = frozenset(("", "us-ascii", "ascii", "ansi_x3.4-1968", "iso-ir-6", "x-unknown", "unknown-8bit"))

# Charsets in which a byte of ASCII need not mean its character; of several codecs the first that fits is taken.
_ISO_2022_JP = ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_2004", "iso2022_jp_ext")
_SHIFTING_CODECS = {
    "utf-16le": ("utf-16-le",),
    "utf-16be": ("utf-16-be",),
    "utf-32le": ("utf-32-le",),
    "utf-32be": ("utf-32-be",),
    "utf-7": ("utf-7",),
    "unicode-1-1-utf-7": ("utf-7",),
    "hz-gb-2312": ("hz",),
    "iso-2022-jp": _ISO_2022_JP,
    "csiso2022jp": _ISO_2022_JP,
    "iso-2022-jp-1": _ISO_2022_JP,
    "iso-2022-jp-2": _ISO_2022_JP,
    "iso-2022-jp-3": _ISO_2022_JP,
    "iso-2022-jp-ms": _ISO_2022_JP,
    "iso-2022-kr": ("iso2022_kr",),
    "csiso2022kr": ("iso2022_kr",),
}
_UTF_16 = ("utf-16", "unicode", "ucs-2", "csunicode", "iso-10646-ucs-2")
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))


class LeftAlone(Exception):  # noqa: N818 - it names an outcome, not a fault
    """The part cannot be worked on without risk to it; the text is the reason, one of a small set that is counted."""


class WorkingText(NamedTuple):
    """The text of a part in the form that is scanned: bytes in which ASCII means ASCII."""

    octets: bytes
    codec: str
    """Decodes values found in `octets`."""
    shifting_codec: str | None = None
    """The part's own codec where `octets` is a translation into UTF-8; None where they are the part's own bytes."""


def working_text(body: bytes, charset: bytes) -> WorkingText:
    """The decoded body of a part in the form that is scanned. Raises LeftAlone for an unknown or unfaithful charset."""
    label = charset.decode("latin-1").strip(" \t\"'")
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):  # a byte order mark wins over the header (WHATWG Encoding §6)
            label = name
    if label in _UTF_16:
        label = _utf_16_without_mark(body)
    if label in _SHIFTING_CODECS:
        return _translated(body, _SHIFTING_CODECS[label])
    if label in _NO_CLAIM:
        return _unclaimed(body)
    codec = _CODEC_BY_LABEL.get(label)
    if codec is None:
        raise LeftAlone("unknown charset")
    return WorkingText(body, codec)


def back_to_charset(text: WorkingText, original: bytes, offsets: Iterable[int]) -> dict[int, int]:
    """For offsets into `text.octets`, the offsets into `original`, the same text in the part's own charset.

    Raises LeftAlone when the pieces between them, each encoded for itself, are not the original bytes, or do not say
    the same when something else stands beside them (an escape character at the edge of one).
    """
    if text.shifting_codec is None:
        return {offset: offset for offset in offsets}
    result, encoded, position = {0: 0}, bytearray(), 0
    try:
        for offset in [*sorted(set(offsets)), len(text.octets)]:
            piece = text.octets[position:offset].decode("utf-8")
            encoded_piece = piece.encode(text.shifting_codec)
            if encoded_piece.decode(text.shifting_codec) != piece:
                raise LeftAlone("charset does not round-trip")
            encoded += encoded_piece
            position = offset
            result[offset] = len(encoded)
    except UnicodeError as error:
        raise LeftAlone("charset does not round-trip") from error
    if encoded != original:
        raise LeftAlone("charset does not round-trip")
    return result


def _translated(body: bytes, codec_names: tuple[str, ...]) -> WorkingText:
    for codec in codec_names:
        try:
            text = body.decode(codec)
            # An escape character that introduces nothing: what readers make of the text behind it differs, and Python's
            # goes by the letters that follow, which a tracked URL would change.
            stray_escape = codec.startswith("iso2022") and "\x1b" in text
            if text.encode(codec) == body and not stray_escape:
                return WorkingText(text.encode("utf-8"), "utf-8", codec)
        except UnicodeError:
            continue
    raise LeftAlone("charset does not round-trip")


def _utf_16_without_mark(body: bytes) -> str:
    """Big-endian (RFC 2781 §4.3), but for a body whose second bytes are mostly the empty ones."""
    sample = body[:512]
    return "utf-16le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16be"


def _unclaimed(body: bytes) -> WorkingText:
    """A body whose charset is not said, or is said to be ASCII whatever it holds."""
    if b"\x1b$" in body or b"\x1b(" in body:
        return _translated(body, _ISO_2022_JP)
    if body.count(0) > len(body) // 16:
        raise LeftAlone("unknown charset")
    if body.isascii():
        return WorkingText(body, "utf-8")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return WorkingText(body, "cp1252")
    return WorkingText(body, "utf-8")
