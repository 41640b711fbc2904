"""The corpus of real e-mail HTML, and messages built around a body in any transfer encoding."""

from __future__ import annotations

import base64
import binascii
import json
import os
import quopri
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(os.environ.get("MAILWAKE_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


@dataclass(frozen=True)
class CorpusFile:
    name: str
    content: bytes
    charset: str | None


@pytest.fixture(scope="session")
def corpus() -> list[CorpusFile]:
    """Every HTML file of the corpus."""
    manifest = CORPUS / "manifest.json"
    if not manifest.exists():
        pytest.skip(f"NO CORPUS at {CORPUS}: the rewriting is not checked against real mail; set MAILWAKE_CORPUS")
    rows: list[dict[str, Any]] = json.loads(manifest.read_text())
    return [CorpusFile(row["file"], (CORPUS / "html" / row["file"]).read_bytes(), row["charset"]) for row in rows]


@pytest.fixture(scope="session")
def adversarial() -> list[dict[str, Any]]:
    """Hostile and odd snippets with the links that HTML5 parsers find."""
    path = CORPUS / "adversarial.json"
    if not path.exists():
        pytest.skip(f"NO CORPUS at {CORPUS}: hostile snippets are not checked; set MAILWAKE_CORPUS")
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


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


def message(text: bytes, *, charset: str = "utf-8", transfer_encoding: str = "8bit", subtype: str = "html") -> bytes:
    """A message of one part."""
    header = (
        f"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/{subtype}; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {transfer_encoding}\r\n\r\n"
    )
    return header.encode("ascii") + encode_body(text, transfer_encoding)


@pytest.fixture(scope="session")
def make_message() -> Callable[..., bytes]:
    return message


@pytest.fixture(scope="session")
def body_decoder() -> Callable[[bytes, bytes], bytes]:
    return decode_body
