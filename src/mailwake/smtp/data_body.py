"""The text of a message as it comes after DATA: where it ends, without its dots, with CRLF as the only line end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from mailwake.smtp.replies import Reply

BareNewlines = Literal["reject", "convert"]

# The end of the text is exactly CRLF "." CRLF (RFC 5321 §4.1.1.4). Any laxness here lets one message smuggle another.
_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_MANY_LINES = 1 << 20
# Some servers drop NULs before they look for the end: what is no end here, and no dot to be stuffed, may be one there.
_HIDDEN_END = re.compile(rb"(?:\A|\n)\0+\.\0*\r\n")
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What a message's content must fulfil, however it was transferred."""

    message_size: int
    """Most octets of the whole content, CRLFs included, stuffed dots not (RFC 1870 §5)."""

    text_line: int
    """Most octets of one line, CRLF included (RFC 5321 §4.5.3.1.6)."""

    bare_newlines: BareNewlines
    """What becomes of CR and LF that stand alone: "reject" refuses the message, "convert" makes CRLF of them."""


def check_content(content: bytes, rules: ContentRules) -> bytes | Reply:
    """The content as it may be passed on, or the refusal of the message."""
    if len(content) > rules.message_size:
        return too_big(rules)
    if _has_bare_newline(content):
        if rules.bare_newlines == "reject":
            return Reply(550, "5.6.11", "The message contains a CR or LF that is not part of a CRLF")
        content = _ANY_LINE_END.sub(b"\r\n", content)
    if b"\0" in content and _HIDDEN_END.search(content):
        return Reply(550, "5.6.0", "The message contains a line of NULs and a dot, which ends it at some servers")
    if _has_longer_line(content, rules.text_line):
        return Reply(550, "5.6.0", f"The message contains a line longer than {rules.text_line} octets")
    return content


def check_binary(content: bytes, rules: ContentRules) -> bytes | Reply:
    """The same for what comes as BINARYMIME (RFC 3030 §3): nothing but its header consists of lines.

    A bare CR or LF in the header is always refused: with it, readers would disagree about where the header ends.
    """
    if len(content) > rules.message_size:
        return too_big(rules)
    end = 0 if content.startswith(b"\r\n") else content.find(b"\r\n\r\n")
    header = check_content(content if end < 0 else content[: end + 2], replace(rules, bare_newlines="reject"))
    return header if isinstance(header, Reply) else content


def too_big(rules: ContentRules) -> Reply:
    """The refusal of a message over the size limit (RFC 1870 §6)."""
    return Reply(552, "5.3.4", f"The message is larger than {rules.message_size} octets")


def _has_bare_newline(content: bytes) -> bool:
    """Whether a CR or LF stands alone; CRLFs never overlap, so whatever is not counted as a part of one does."""
    if len(content) > _MANY_LINES:  # a list of lines would take many times the memory of the content
        pairs = content.count(b"\r\n")
        return content.count(b"\r") != pairs or content.count(b"\n") != pairs
    # Twice as fast: lines end at CRLF, CR and LF alike, and N line ends take 2N octets exactly if each is a CRLF.
    lines = content.splitlines()
    line_ends = len(lines) - (bool(content) and not content.endswith((b"\r", b"\n")))
    return len(content) - len(b"".join(lines)) != 2 * line_ends


def _has_longer_line(content: bytes, limit: int) -> bool:
    """Jump from line end to line end, at most `limit` octets each time; the content has no bare CR or LF."""
    start, size = 0, len(content)
    while size - start > limit:
        last_end = content.rfind(b"\n", start, start + limit)
        if last_end < 0:
            return True
        start = last_end + 1
    return False


class DataBody:
    """Takes the text of one message out of a growing buffer; each octet is looked at a fixed number of times."""

    __slots__ = ("_dotted", "_rules", "_searched", "_started", "_swallowing")

    def __init__(self, rules: ContentRules) -> None:
        self._rules = rules
        self._started = False
        self._searched = 0
        self._dotted = False
        self._swallowing = False

    def take(self, octets: bytearray) -> bytes | Reply | None:
        """The content once all of it came (it is removed from `octets` then), its refusal, or None for "go on"."""
        if not self._started:
            self._started = True
            octets[:0] = b"\r\n"  # the end of the line DATA: so the first line is like all others
        end = self._find_end(octets)
        if end < 0:
            self._bound_memory(octets)
            return None
        with memoryview(octets) as view:
            content = bytes(view[: end + 2] if self._dotted else view[2 : end + 2])
        del octets[: end + len(_END)]
        if self._swallowing:
            return too_big(self._rules)
        if self._dotted:
            content = content.replace(_DOT, b"\r\n")[2:]  # RFC 5321 §4.5.2: the first dot of a line goes
        return check_content(content, self._rules)

    def _find_end(self, octets: bytearray) -> int:
        if not self._dotted:  # most messages have one CRLF-dot, and that is the end: one scan for both
            dot = octets.find(_DOT, self._searched)
            if dot < 0:
                self._searched = max(self._searched, len(octets) - len(_DOT) + 1)
                return -1
            self._searched = dot
            rest = octets[dot : dot + len(_END)]
            if len(rest) < len(_END) and _END.startswith(rest):
                return -1
            self._dotted = rest != _END
            if not self._dotted:
                return dot
        end = octets.find(_END, self._searched)
        if end < 0:
            self._searched = max(self._searched, len(octets) - len(_END) + 1)
        return end

    def _bound_memory(self, octets: bytearray) -> None:
        """From where the content must be over the limit, only what may be the beginning of its end is kept.

        A line with a stuffed dot has at least three octets of content, so stuffing adds at most a third; the verdict
        is the same wherever the input was cut into pieces.
        """
        limit = self._rules.message_size
        if self._swallowing or len(octets) > limit + limit // 3 + 2 * len(_END):
            self._swallowing = self._dotted = True
            del octets[: 1 - len(_END)]
            self._searched = 0
