"""The MIME structure of a message as spans over its original bytes (RFC 2045, RFC 2046): found, never rebuilt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.message.headers import unfold

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 50
"""Multiparts inside one another; what lies deeper is not looked into."""
MAX_PARTS = 1000
"""Parts of one message; a message with more of them is not understood."""

_MIME_FIELD = re.compile(
    rb"^content-(type|transfer-encoding|disposition|id)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.MULTILINE | re.IGNORECASE,
)
_MEDIA_TYPE = re.compile(rb"[ \t]*+([^\s;(),]++)")
_PARAMETER = re.compile(
    rb";\s*+(?:([^\s=;\"]++)\s*+=\s*+(?:\"((?:[^\"\\]++|\\.)*+)\"?|([^\s;\"][^\s;]*+)?))?", re.DOTALL
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Part:
    """One part, or the message itself: header `start:header_end`, blank line, body `body_start:end`.

    `end` leaves out the line break that belongs to the boundary (RFC 2046 §5.1.1). Media type, encoding and
    disposition are lower case, `b""` where the header does not say. A message inside it (message/rfc822) is a leaf.
    """

    start: int
    header_end: int
    body_start: int
    end: int
    content_type: bytes = b"text/plain"
    parameters: dict[bytes, bytes] = field(default_factory=dict)
    transfer_encoding: bytes = b""
    disposition: bytes = b""
    content_id: bytes = b""
    """With its angle brackets."""
    parts: list[Part] = field(default_factory=list)
    broken: str = ""
    """Why this part cannot be understood, "" when it can: what stands inside it is then not to be touched."""
    has_file_name: bool = False
    """A `name` or `filename` parameter names a file: readers list such a part as an attachment."""
    unclosed: bool = False
    """The last boundary is missing: the last part goes to the end (RFC 2046 §5.1.2)."""
    number: str = ""
    """Where it stands, as IMAP counts: "" for the message, "1.2" for the second part of its first part."""

    @property
    def charset(self) -> bytes:
        """The charset parameter in lower case, b"" when there is none."""
        return self.parameters.get(b"charset", b"").strip().lower()

    @property
    def boundary(self) -> bytes:
        """The boundary parameter, b"" when there is none."""
        return self.parameters.get(b"boundary", b"").rstrip()

    @property
    def is_multipart(self) -> bool:
        """Whether the media type says that there are parts inside."""
        return self.content_type.startswith(b"multipart/")

    def walk(self) -> Iterator[Part]:
        """The part itself and all inside it, in the order of the message."""
        yield self
        for part in self.parts:
            yield from part.walk()


def parse(content: bytes, *, crlf_only: bool = False) -> Part:
    """The tree of `content`, a whole message; takes CRLF and bare LF line ends, never raises, never copies a body.

    `crlf_only` is for content that came as BINARYMIME: a part may hold bare line feeds there, and boundary lines still
    stand between CRLFs (RFC 3030 §3).
    """
    return _Parser(content, crlf_only=crlf_only).part(0, len(content), 0, b"text/plain", "")


def parse_inside(content: bytes, outer: Part, depth: int, *, crlf_only: bool = False) -> Part:
    """The tree of the message that is the body of `outer` (message/rfc822); offsets are still those into `content`.

    `depth` is how deep `outer` lies: multiparts in messages in multiparts count together.
    """
    parser = _Parser(content, crlf_only=crlf_only)
    return parser.part(outer.body_start, outer.end, depth + 1, b"text/plain", outer.number)


class _Parser:
    def __init__(self, content: bytes, *, crlf_only: bool) -> None:
        self.content = content
        self.crlf_only = crlf_only
        self.part_count = 0

    def part(self, start: int, end: int, depth: int, default_type: bytes, number: str) -> Part:
        end_of_header = _end_of_header_by_crlf if self.crlf_only else _end_of_header
        header_end, body_start = end_of_header(self.content, start, end)
        part = Part(start, header_end, body_start, end, content_type=default_type, number=number)
        self.part_count += 1
        self._read_header(part, default_type)
        if part.is_multipart and not part.broken:
            if not part.boundary:
                part.broken = "no boundary"
            elif depth >= MAX_DEPTH:
                part.broken = "nested too deep"
            else:
                self._split(part, depth)
        return part

    def _read_header(self, part: Part, default_type: bytes) -> None:
        seen: dict[bytes, bytes] = {}
        for match in _MIME_FIELD.finditer(self.content, part.start, part.header_end):
            name, value = match[1].lower(), unfold(match[2]).strip()
            if name == b"id":
                part.content_id = value
            elif name in seen:
                # Readers differ in which of two they believe, so a part that says two things is left alone.
                if seen[name].lower() != value.lower():
                    part.broken = "contradicting header"
            else:
                seen[name] = value
                _take(part, name, value, default_type)

    def _split(self, part: Part, depth: int) -> None:
        default_type = b"message/rfc822" if part.content_type == b"multipart/digest" else b"text/plain"
        starts = -1
        for line_start, line_end, closing in _delimiters(self.content, part, crlf_only=self.crlf_only):
            if starts >= 0:
                self._add(part, starts, max(starts, _before_line_break(self.content, line_start)), depth, default_type)
            if closing or part.broken:
                return
            starts = line_end
        if starts < 0:
            part.broken = "boundary not found"
            return
        part.unclosed = True
        self._add(part, starts, part.end, depth, default_type)

    def _add(self, parent: Part, start: int, end: int, depth: int, default_type: bytes) -> None:
        if self.part_count >= MAX_PARTS:
            parent.broken = "too many parts"
            return
        position = str(len(parent.parts) + 1)
        number = f"{parent.number}.{position}" if parent.number else position
        parent.parts.append(self.part(start, end, depth + 1, default_type, number))


def _take(part: Part, name: bytes, value: bytes, default_type: bytes) -> None:
    if name == b"type":
        part.content_type = _first_token(value) or default_type
        part.parameters = parameters(value)
        part.has_file_name |= b"name" in part.parameters
    elif name == b"disposition":
        part.disposition = _first_token(value)
        part.has_file_name |= b"filename" in parameters(value)
    else:
        part.transfer_encoding = _first_token(value)


def parameters(value: bytes) -> dict[bytes, bytes]:
    """The parameters of a Content-Type value, names in lower case; of two alike the first counts (RFC 2045 §5.1)."""
    found: dict[bytes, bytes] = {}
    for match in _PARAMETER.finditer(value):
        name, quoted, plain = match.groups()
        if name is not None:
            found.setdefault(name.lower(), plain or b"" if quoted is None else _QUOTED_PAIR.sub(rb"\1", quoted))
    return found


def _first_token(value: bytes) -> bytes:
    match = _MEDIA_TYPE.match(value)
    return match[1].lower() if match else b""


def _end_of_header(content: bytes, start: int, end: int) -> tuple[int, int]:
    """The end of the header block and the start of the body; a part may start with its blank line."""
    if content.startswith(b"\r\n", start, end):
        return start, start + 2
    if content.startswith(b"\n", start, end):
        return start, start + 1
    crlf = content.find(b"\n\r\n", start, end)
    line_feed = content.find(b"\n\n", start, end if crlf < 0 else crlf + 1)
    if line_feed >= 0:
        return line_feed + 1, line_feed + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else (end, end)


def _end_of_header_by_crlf(content: bytes, start: int, end: int) -> tuple[int, int]:
    """The same where a line feed alone ends no line."""
    if content.startswith(b"\r\n", start, end):
        return start, start + 2
    blank_line = content.find(b"\r\n\r\n", start, end)
    return (blank_line + 2, blank_line + 4) if blank_line >= 0 else (end, end)


def _before_line_break(content: bytes, line_start: int) -> int:
    """Where the text before this line ends: the line break before a boundary belongs to the boundary."""
    return line_start - (2 if content.endswith(b"\r\n", 0, line_start) else 1)


def _delimiters(content: bytes, part: Part, *, crlf_only: bool) -> Iterator[tuple[int, int, bool]]:
    """(start of its line, start of the next line, whether it is the closing one) for each boundary line of `part`."""
    delimiter = b"--" + part.boundary
    line_break = b"\r\n" if crlf_only else b"\n"
    position = part.body_start
    while (found := content.find(delimiter, position, part.end)) >= 0:
        position = found + len(delimiter)
        if found != part.body_start and not content.endswith(line_break, part.body_start, found):
            continue
        line_end = content.find(line_break, position, part.end)
        next_line = part.end if line_end < 0 else line_end + len(line_break)
        closing = content.startswith(b"--", position, next_line)
        rest = position + 2 if closing else position
        # White space may follow (RFC 2046 §5.1.1); anything else means a longer boundary, that of an inner multipart.
        if content[rest : min(next_line, rest + 1000)].strip(b" \t\r\n"):
            continue
        position = next_line
        yield found, next_line, closing
