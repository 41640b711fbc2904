"""Any bytes, HTML and text: reading them never raises, and a copy differs from the original only where it has to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.bodies import CHARSETS, TRANSFER_ENCODINGS, message
from tests.fuzz.header_invariants import check_header
from tests.fuzz.html_invariants import check_html
from tests.fuzz.message_invariants import check_message
from tests.fuzz.strategies import html_documents, plain_texts
from tests.fuzz.targets.mime import TOKENS
from tests.fuzz.text_invariants import check_text

from mailwake.rewrite.charsets import LeftAlone, working_text
from mailwake.rewrite.settings import RewriteSettings

wild_messages = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=40).map(b"".join)
line_breaks = st.sampled_from((b"\r\n", b"\r\n", b"\n"))
charsets = st.sampled_from(("utf-8", "utf-8", "windows-1252", *CHARSETS))
transfer_encodings = st.sampled_from(TRANSFER_ENCODINGS)
rewrite_settings = st.builds(
    RewriteSettings,
    text_click_limit=st.sampled_from((None, 1)),
    open_pixel=st.sampled_from(("body", "body", "macro")),
    track_mso=st.booleans(),
    tracked_link_text=st.sampled_from(("track", "skip", "warn")),
)


@given(wild_messages | st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes(content: bytes) -> None:
    check_header(content)
    check_message(content)


@given(html_documents, transfer_encodings, charsets, line_breaks, st.booleans(), rewrite_settings)
@settings(max_examples=400)
def test_html_in_any_encoding(
    text: str, transfer_encoding: str, charset: str, line_break: bytes, amp: bool, options: RewriteSettings
) -> None:
    body = octets(text, charset, line_break)
    subtype = "x-amp-html" if amp else "html"
    content = message(body, f"text/{subtype}; charset={charset}", transfer_encoding, line_break)
    check_message(content, settings=options)
    try:
        working = working_text(body, charset.encode())
    except LeftAlone:
        return
    check_html(working.octets, working.codec)


@given(plain_texts, transfer_encodings, charsets, line_breaks, st.booleans())
@settings(max_examples=400)
def test_text_in_any_encoding(
    text: str, transfer_encoding: str, charset: str, line_break: bytes, joined_lines: bool
) -> None:
    body = octets(text, charset, line_break)
    flowed = "; format=flowed; delsp=yes" if joined_lines else ""
    check_message(message(body, f"text/plain; charset={charset}{flowed}", transfer_encoding, line_break))
    try:
        working = working_text(body, charset.encode())
    except LeftAlone:
        return
    check_text(working.octets, working.codec, joined_lines=joined_lines)


def octets(text: str, charset: str, line_break: bytes) -> bytes:
    """The text in this charset, without what cannot be written in it."""
    text = text.replace("\r\n", line_break.decode())
    try:
        return text.encode(charset or "utf-8", "ignore")
    except LookupError:
        return text.encode("utf-8")
