"""SMTP replies as values: written by the server, read by the client, raised by whoever refuses a message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailwake.errors import MailwakeError

# RFC 5321 §4.5.3.1.5: a reply line is at most 512 octets; room is left for the codes and CRLF.
_LONGEST_TEXT = 480
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}")
_USUAL_REPLY = re.compile(rb"([245])([0-9][0-9]) (\1\.[0-9]{1,3}\.[0-9]{1,3}) ([ -~]*)")
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)


class ReplyError(MailwakeError):
    """What the peer sent is no SMTP reply (RFC 5321 §4.2); the connection is out of step and must be dropped."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply (RFC 5321 §4.2): its code, its enhanced status code (RFC 3463; "" for none), its text (lines by LF)."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"reply code {self.code} is not in 200–599")
        if self.enhanced:
            found = _ENHANCED.fullmatch(self.enhanced)
            # RFC 2034 §4: the class of the enhanced code is the first digit of the reply code.
            if found is None or int(found[1]) != self.code // 100:
                raise ValueError(f"enhanced status code {self.enhanced!r} does not fit reply code {self.code}")

    @property
    def is_positive(self) -> bool:
        """Done (2xx)."""
        return self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """Go on (3xx): the peer waits for the rest."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """Refused for now (4xx): trying again later may help."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """Refused for good (5xx)."""
        return self.code >= 500

    def encode(self, *, utf8: bool = False) -> bytes:
        """The reply as octets; text beyond ASCII stays only for a client that asked for it (RFC 6531 §3.7.4.2)."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        text = self.text
        if text.isascii() and text.isprintable() and len(text) <= _LONGEST_TEXT:
            return f"{self.code} {prefix}{text}\r\n".encode("ascii")
        lines = [piece for line in text.splitlines() or [""] for piece in _wire_lines(line, utf8=utf8)]
        wire = [f"{self.code}-{prefix}".encode("ascii") + line for line in lines[:-1]]
        wire.append(f"{self.code} {prefix}".encode("ascii") + lines[-1])
        return b"\r\n".join(wire) + b"\r\n"

    def __str__(self) -> str:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {prefix}{' '.join(self.text.splitlines())}".rstrip()


def _wire_lines(line: str, *, utf8: bool) -> list[bytes]:
    """One line of text as lines that fit a reply, without control characters: text may come from a peer or a policy."""
    printable = "".join(character if character.isprintable() else " " for character in line)
    octets = printable.encode("utf-8", "replace") if utf8 else printable.encode("ascii", "replace")
    pieces = []
    while len(octets) > _LONGEST_TEXT:
        cut = _LONGEST_TEXT
        while octets[cut] & 0xC0 == 0x80:  # never inside a UTF-8 character
            cut -= 1
        pieces.append(octets[:cut])
        octets = octets[cut:]
    return [*pieces, octets]


def parse_reply(lines: Sequence[bytes]) -> Reply:
    """The reply of these lines (without CRLF): strict on codes and hyphens, lenient on text; raises ReplyError."""
    if len(lines) == 1 and (usual := _USUAL_REPLY.fullmatch(lines[0])) is not None:
        return Reply(int(usual[1] + usual[2]), usual[3].decode(), usual[4].decode())
    code = 0
    texts: list[str] = []
    for number, line in enumerate(lines, 1):
        found = _REPLY_LINE.fullmatch(line)
        if found is None:
            raise ReplyError(f"not an SMTP reply line: {line[:100]!r}")
        if code and int(found[1]) != code:
            raise ReplyError(f"reply {code} goes on with another code: {line[:100]!r}")
        # RFC 5321 §4.2.1: a hyphen follows the code on every line but the last.
        if (found[2] == b"-") != (number < len(lines)):
            raise ReplyError(f"the hyphens of a multi-line reply do not fit: {line[:100]!r}")
        code = int(found[1])
        texts.append((found[3] or b"").decode("utf-8", "replace"))
    if not texts:
        raise ReplyError("a reply needs at least one line")
    enhanced = _enhanced_of(code, texts[0])
    if enhanced:
        texts = [_without(enhanced, text) for text in texts]
    return Reply(code, enhanced, "\n".join(texts))


def _enhanced_of(code: int, text: str) -> str:
    word = text.partition(" ")[0]
    found = _ENHANCED.fullmatch(word)
    return word if found is not None and int(found[1]) == code // 100 else ""


def _without(enhanced: str, text: str) -> str:
    word, _, rest = text.partition(" ")
    return rest if word == enhanced else text


class Refusal(MailwakeError):  # noqa: N818 - it is an answer, not a mistake
    """A message or a command is refused with exactly this reply; `log` is the truth for the operator."""

    def __init__(self, reply: Reply, log: str = "") -> None:
        self.reply = reply
        self.log = log or str(reply)
        super().__init__(self.log)
