import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.xtext import XtextError, decode_xtext, encode_xtext


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("", ""),
        ("plain-text/1.0", "plain-text/1.0"),
        ("black+20friday", "black friday"),
        ("a+3Db+2Bc", "a=b+c"),
        ("+7B+22a+22:1+7D", '{"a":1}'),
        ("zo+C3+AB", "zoë"),
        ("+2b+0a", "+\n"),
    ],
)
def test_what_xtext_means(encoded: str, text: str) -> None:
    assert decode_xtext(encoded) == text
    assert decode_xtext(encode_xtext(text)) == text


@pytest.mark.parametrize("bad", ["a b", "a=b", "+", "+2", "+2G", "a+", "zoë", "a\tb", "+FF", "+C3", "\udc80"])
def test_what_is_no_xtext(bad: str) -> None:
    with pytest.raises(XtextError):
        decode_xtext(bad)


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_survives(text: str) -> None:
    encoded = encode_xtext(text)
    assert decode_xtext(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set(" =\r\n\t")


def test_a_lone_surrogate_is_no_error_when_it_is_shown() -> None:
    assert encode_xtext("a\udc80") == "a?"


@given(st.text())
def test_decoding_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(XtextError):
        decode_xtext(text)
