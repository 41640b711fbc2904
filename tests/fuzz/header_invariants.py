"""What holds for any bytes that are read as a header."""

from __future__ import annotations

import re

from mailwake.message.encoded_words import decode_words
from mailwake.message.headers import fields, find, unfold
from mailwake.message.summary import SUBJECT_LIMIT, domain_of, summarise


def check_header(content: bytes) -> None:
    """Fields are spans in their order, whose texts can go into events."""
    found = fields(content, 0, len(content))
    position = 0
    for field in found:
        assert position <= field.start < field.value_start <= field.value_end <= field.end <= len(content)
        assert field.start == 0 or content[field.start - 1] == 0x0A
        assert field.name == content[field.start : field.start + len(field.name)]
        assert not set(field.name) - set(range(0x21, 0x7F))
        assert b":" not in field.name
        # A field ends with a line feed that no fold follows, or with the header.
        assert field.end == len(content) or content[field.end - 1] == 0x0A
        assert content[field.end : field.end + 1] not in (b" ", b"\t")
        check_unfolded(content[field.value_start : field.value_end])
        position = field.end
    assert [(field.name, content[field.value_start : field.end]) for field in found] == line_by_line(content)
    for field in found:
        assert field in find(found, field.name.swapcase())
    check_summary(content)
    check_words(content.decode("utf-8", "replace"))


def line_by_line(content: bytes) -> list[tuple[bytes, bytes]]:
    """The names and values of the fields as a plain reading of lines finds them, line breaks included."""
    found: list[tuple[bytes, bytes]] = []
    in_field = False
    for line in re.findall(rb"[^\n]*\n|[^\n]+", content):
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            if in_field:
                found[-1] = found[-1][0], found[-1][1] + line
            continue
        name = name.rstrip(b" \t")
        in_field = bool(colon and name and not set(name) - set(range(0x21, 0x7F)))
        if in_field:
            found.append((name, value))
    return found


def check_unfolded(value: bytes) -> None:
    unfolded = unfold(value)
    assert b"\n" not in unfolded
    assert b"\r" not in unfolded
    assert unfold(unfolded) == unfolded
    assert unfolded.split() == value.split()


def check_summary(content: bytes) -> None:
    summary = summarise(content, fields(content, 0, len(content)))
    for text in (summary.subject, summary.friendly_from, summary.sending_domain):
        assert len(text) <= SUBJECT_LIMIT
        text.encode("utf-8")  # an event has to carry it
    assert summary.received_count <= content.lower().count(b"received")


def check_words(text: str) -> None:
    decoded = decode_words(text)
    decoded.encode("utf-8")
    if "=?" not in text:
        assert decoded == text
    domain_of(decoded)
