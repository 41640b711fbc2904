"""Messages of any shape on their way to servers without 8BITMIME or BINARYMIME."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.conversion_invariants import SEVEN_BIT, check_conversion, check_converted, in_bodies
from tests.fuzz.mime_strategies import Made, messages
from tests.fuzz.targets.conversion import TOKENS

from mailwake.rewrite.transfer_conversion import convert

wild_messages = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=40).map(b"".join)


@given(wild_messages | st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes(content: bytes) -> None:
    check_conversion(content)


@given(messages(), st.booleans())
@settings(max_examples=150)
def test_any_tree(made: Made, crlf: bool) -> None:
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", made.content) if crlf else made.content
    check_conversion(content)


@given(messages())
@settings(max_examples=150)
def test_what_is_sound_and_not_sealed_is_converted(made: Made) -> None:
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", made.content)
    for sealed in (b"multipart/signed", b"multipart/encrypted"):
        content = content.replace(sealed, b"multipart/mixed")
    if b"content-transfer-encoding: 8bit" in content:  # the mark of a made part that contradicts itself
        return
    converted = convert(content, SEVEN_BIT)
    assert converted.content.isascii()
    assert converted.encoded_parts <= len(made.leaves)
    assert bool(converted.encoded_parts) == (not in_bodies(content).isascii())
    check_converted(content, converted, SEVEN_BIT)
