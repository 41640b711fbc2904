"""A corpus of e-mail HTML on disk, and messages built around a body in any charset and transfer encoding.

The corpus is a directory with `html/` and `manifest.json`: a list of objects with `file` and `charset` (null: none is
said). `adversarial.json` beside it, when there is one, holds snippets with the links that HTML5 parsers find.
"""

from __future__ import annotations

import base64
import binascii
import json
import quopri
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailwake.rewrite.charsets import WorkingText, working_text

if TYPE_CHECKING:
    from pathlib import Path

TRANSFER_ENCODINGS = ("7bit", "8bit", "quoted-printable", "base64")


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One document as it was found."""

    name: str
    content: bytes
    charset: str | None

    @property
    def working_text(self) -> WorkingText:
        """The document in the form that is scanned."""
        return working_text(self.content, (self.charset or "").encode())

    @property
    def text(self) -> str:
        """The document as a parser of text takes it."""
        text = self.working_text
        return text.octets.decode(text.codec, "replace").removeprefix("\ufeff")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of odd HTML, and what parsers find in it; where they do not agree it is a matter of judgement."""

    name: str
    content: bytes
    hrefs: list[str]
    agreed: bool


def read_corpus(directory: Path) -> list[CorpusFile]:
    """Every document of the corpus, in the order of its manifest."""
    rows: list[dict[str, Any]] = json.loads((directory / "manifest.json").read_text())
    return [CorpusFile(row["file"], (directory / "html" / row["file"]).read_bytes(), row["charset"]) for row in rows]


def read_snippets(directory: Path) -> list[Snippet]:
    """The odd snippets; none when the corpus has none."""
    path = directory / "adversarial.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return [
        Snippet(row["name"], row["html_latin1"].encode("latin-1"), row["hrefs"], row["oracles_agreeing"] == row["of"])
        for row in rows
    ]


def message(text: bytes, *, charset: str = "utf-8", transfer_encoding: str = "8bit", subtype: str = "html") -> bytes:
    """A message of one part."""
    header = (
        f"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/{subtype}; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {transfer_encoding}\r\n\r\n"
    )
    return header.encode("ascii") + encode_body(text, transfer_encoding)


def encode_body(text: bytes, transfer_encoding: str) -> bytes:
    """`text` in a transfer encoding, by the standard library and with CRLF line ends."""
    if transfer_encoding == "base64":
        return base64.encodebytes(text).rstrip(b"\n").replace(b"\n", b"\r\n")
    if transfer_encoding == "quoted-printable":
        if b"\0" in text:  # no lines of bytes: each line break is escaped
            return binascii.b2a_qp(text, istext=False).replace(b"=\n", b"=\r\n")
        # quopri knows bare LF only: it is given the lines without their CR.
        encoded = [quopri.encodestring(line).replace(b"\n", b"\r\n") for line in text.split(b"\r\n")]
        return b"\r\n".join(encoded)
    return text


def decode_body(body: bytes, transfer_encoding: bytes) -> bytes:
    """The text of a body, by the standard library."""
    if transfer_encoding == b"base64":
        return base64.b64decode(body)
    if transfer_encoding == b"quoted-printable":
        return quopri.decodestring(body)
    return body


def with_line_ends(text: bytes) -> bytes:
    """`text` with CRLF for each of its line ends, as mail has them; for charsets in which ASCII is ASCII."""
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
