"""Whole messages, from one part to trees of multiparts, each with a description of what its parts are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st
from tests.fuzz.bodies import base64_lines, quoted_printable
from tests.fuzz.strategies import html_documents, plain_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

# Some are the beginning of others; none of them can stand in quoted-printable, HTML or text by chance.
BOUNDARIES = ("=_b", "=_b1", "=_b12", "=_b-", "=_B", "=_bb", "=_b'()+_,./:=?x", "=_ b", "=_b2", "=_b3", "=_b4", "=_b5")
MULTIPARTS = ("mixed", "alternative", "related", "digest", "report", "x-unknown")
SEALED = ("signed", "encrypted")
# Labels, and the codec in which the text is written; None: as UTF-8 whatever the label says.
CHARSETS = (
    *(("utf-8", "utf-8"), ("UTF-8", "utf-8"), ("us-ascii", "ascii"), ("", "utf-8"), ("iso-8859-1", "cp1252")),
    *(("shift_jis", "cp932"), ("gb2312", "gb18030"), ("big5", "big5hkscs"), ("euc-kr", "cp949"), ("koi8-r", "koi8-r")),
)
ODD_CHARSETS = (
    *(
        ("utf-16", "utf-16"),
        ("utf-16le", "utf-16-le"),
        ("utf-7", "utf-7"),
        ("iso-2022-jp", "iso2022_jp"),
        ("hz-gb-2312", "hz"),
    ),
    *(("iso-2022-kr", "iso2022_kr"), ("utf-32le", "utf-32-le"), ("x-nowhere", "utf-8"), ("iso-2022-jp", "utf-8")),
)
BODY_TYPES = {"html": ("text/html", "TEXT/HTML"), "text": ("text/plain", "Text/Plain"), "amp": ("text/x-amp-html",)}
OTHER_TYPES = (
    "text/calendar; method=REQUEST",
    "image/gif",
    "application/octet-stream",
    "application/pkcs7-mime",
    "text/css",
)


@dataclass(frozen=True)
class MadeLeaf:
    """A part without parts in a made message: its span, and what it is."""

    start: int
    end: int
    text: bytes
    """Its decoded body."""
    kind: str = ""
    """"html", "text" or "amp" when it can be a body of the message, "" when it must stay as it is."""
    surely: bool = False
    """Its charset and encoding are such that it is never left alone."""


class Made(NamedTuple):
    """A message or a part of one, and its leaves in their order."""

    content: bytes
    leaves: tuple[MadeLeaf, ...]

    def top(self) -> dict[str, MadeLeaf]:
        """The leaf of each kind that is the body."""
        found: dict[str, MadeLeaf] = {}
        for leaf in self.leaves:
            if leaf.kind:
                found.setdefault(leaf.kind, leaf)
        return found


class Surroundings(NamedTuple):
    """What a part is inside of."""

    line_break: bytes
    boundaries: list[str]
    """Those that are not used yet."""
    depth: int = 0
    in_digest: bool = False


@st.composite
def messages(draw: st.DrawFn) -> Made:
    """A whole message."""
    line_break = draw(st.sampled_from((b"\r\n", b"\r\n", b"\n")))
    boundaries = draw(st.permutations(BOUNDARIES))
    lines = draw(
        st.lists(st.sampled_from((b"Subject: x", b"MIME-Version: 1.0", b"X-MSYS-API: {}", b"Received: a")), max_size=3)
    )
    made = draw(_parts(Surroundings(line_break, list(boundaries))))
    before = b"".join(line + line_break for line in dict.fromkeys(lines))
    whole = _moved(before, [made])
    if (
        whole.leaves[0].start == len(before) and len(whole.leaves) == 1
    ):  # a message of one part: its header is the message's
        return whole._replace(leaves=(replace(whole.leaves[0], start=0),))
    return whole


@st.composite
def _parts(draw: st.DrawFn, around: Surroundings) -> Made:
    choice = draw(st.integers(0, 9))
    if around.depth < 3 and around.boundaries and choice < (7 if around.depth == 0 else 3):
        return draw(_multiparts(around))
    if choice == 9:
        return draw(_messages_inside(around))
    return draw(_others(around) if choice == 8 and around.depth else _bodies(around))


@st.composite
def _multiparts(draw: st.DrawFn, around: Surroundings) -> Made:
    subtype = draw(st.sampled_from(MULTIPARTS + SEALED))
    boundary = around.boundaries.pop()
    line_break = around.line_break
    inside = around._replace(depth=around.depth + 1, in_digest=subtype == "digest")
    children = [draw(_parts(inside)) for _ in range(draw(st.integers(1, 4)))]
    closed = draw(st.integers(0, 5)) > 0
    fold = draw(st.sampled_from((b" ", line_break + b"\t", b"")))
    header = b"Content-Type: multipart/" + subtype.encode() + b";" + fold + b'boundary="' + boundary.encode() + b'"'
    header += line_break + draw(st.sampled_from((b"", b"Content-Transfer-Encoding: 7bit" + line_break))) + line_break
    before = header + draw(st.sampled_from((b"", b"preamble http://e.com/" + line_break, line_break)))
    delimiter = b"--" + boundary.encode()
    pieces: list[bytes | Made] = [before]
    for child in children:
        white_space = draw(st.sampled_from((b"", b"", b" \t")))
        pieces += [delimiter + white_space + line_break, child, line_break]
    if closed:
        epilogue = draw(
            st.sampled_from((b"", line_break, line_break + b"epilogue <a href='http://e.com/'>" + line_break))
        )
        pieces.append(delimiter + b"--" + epilogue)
    else:
        pieces.pop()
    made = _moved(b"", pieces)
    if subtype in SEALED:
        return made._replace(leaves=tuple(replace(leaf, kind="") for leaf in made.leaves))
    return made


@st.composite
def _bodies(draw: st.DrawFn, around: Surroundings) -> Made:
    kind = draw(st.sampled_from(("html", "html", "text", "text", "amp")))
    odd = draw(st.integers(0, 3)) == 0
    label, codec = draw(st.sampled_from(ODD_CHARSETS if odd else CHARSETS))
    text = _octets(draw(plain_texts if kind == "text" else html_documents), codec, around.line_break)
    content_type = draw(_content_types(kind, label))
    encoding_lines, body = draw(_encoded(text, around.line_break))
    claimed = label.lower() not in ("", "us-ascii") or not {0x00, 0x1B} & set(text)
    surely = claimed and not odd
    variant = draw(st.integers(0, 7))
    if variant == 0 and around.depth:
        return _leaf(draw(_attached(content_type, encoding_lines)), body, text, around, "")
    if variant == 1 and kind == "text" and label == "us-ascii" and not around.in_digest:
        return _leaf(encoding_lines, body, text, around, kind, surely=surely)  # a part that does not say what it is
    if variant == 2:
        return _leaf([content_type, *encoding_lines, content_type], body, text, around, kind, surely=surely)
    return _leaf([content_type, *encoding_lines], body, text, around, kind, surely=surely)


def _octets(written: str, codec: str, line_break: bytes) -> bytes:
    if line_break == b"\n":
        # A carriage return at the very end would belong to the boundary.
        written = written.replace("\r\n", "\n").rstrip("\r")
    return written.encode(codec, "ignore")


@st.composite
def _content_types(draw: st.DrawFn, kind: str, label: str) -> bytes:
    field = draw(st.sampled_from(BODY_TYPES[kind]))
    if label:
        field += draw(st.sampled_from(("; charset={}", ';charset="{}"', ";\t CHARSET={} (x)"))).format(label)
    if kind == "text":
        field += draw(st.sampled_from(("", "; format=flowed", "; format=flowed; delsp=yes")))
    return f"Content-Type: {field}".encode()


def _attached(content_type: bytes, encoding_lines: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Headers of parts that readers show as attachments, or of which they think differently."""
    return st.sampled_from(
        (
            [content_type + b"; name=x.html", *encoding_lines],
            [content_type, b"Content-Disposition: attachment", *encoding_lines],
            [*encoding_lines, content_type, b'Content-Disposition: inline; filename="x"'],
            [content_type, b"Content-Type: text/calendar", *encoding_lines],
            [content_type, b"content-transfer-encoding: 8bit", b"Content-Transfer-Encoding: base64"],
        )
    )


@st.composite
def _encoded(draw: st.DrawFn, text: bytes, line_break: bytes) -> tuple[list[bytes], bytes]:
    """The header lines that name a transfer encoding, and the text in it."""
    name = draw(
        st.sampled_from(("quoted-printable", "base64", "7bit", "8bit", "binary", "", "QUOTED-PRINTABLE", "Base64"))
    )
    lines = [f"Content-Transfer-Encoding: {name}".encode()] if name else []
    if name.lower() == "base64":
        body = base64_lines(text, line_break, draw(st.sampled_from((76, 60, 72, 10, 7, 1000))))
        return lines, body + draw(st.sampled_from((b"", line_break)))
    if name.lower() == "quoted-printable":
        width = draw(st.sampled_from((73, 75, 20, 5, 400)))
        style = draw(st.sampled_from(("usual", "usual", "lower", "escaped")))
        return lines, quoted_printable(text, line_break, width, lower=style == "lower", all_escaped=style == "escaped")
    return lines, text


@st.composite
def _others(draw: st.DrawFn, around: Surroundings) -> Made:
    media_type = draw(st.sampled_from(OTHER_TYPES))
    body = draw(st.sampled_from((b"<a href='http://e.com/'>", b"R0lGODlh", b"", b"BEGIN:VCALENDAR http://e.com/")))
    return _leaf([f"Content-Type: {media_type}".encode()], body, body, around, "")


@st.composite
def _messages_inside(draw: st.DrawFn, around: Surroundings) -> Made:
    inside = draw(_parts(around._replace(depth=3, in_digest=False)))
    lines = [] if around.in_digest else [b"Content-Type: message/rfc822"]
    return _leaf(lines, inside.content, inside.content, around, "")


def _leaf(
    lines: Sequence[bytes], body: bytes, text: bytes, around: Surroundings, kind: str, *, surely: bool = False
) -> Made:
    content = b"".join(line + around.line_break for line in lines) + around.line_break + body
    return Made(content, (MadeLeaf(0, len(content), text, kind, surely),))


def _moved(before: bytes, pieces: Sequence[bytes | Made]) -> Made:
    """Pieces one after the other, with their leaves where they then are."""
    content, leaves = before, []
    for piece in pieces:
        if isinstance(piece, bytes):
            content += piece
            continue
        for leaf in piece.leaves:
            leaves.append(replace(leaf, start=leaf.start + len(content), end=leaf.end + len(content)))
        content += piece.content
    return Made(content, tuple(leaves))
