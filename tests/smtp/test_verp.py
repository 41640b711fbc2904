import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.addresses import parse_address
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.verp import is_verp, verp_sender


@pytest.mark.parametrize(
    ("sender", "recipient", "delimiters", "expected"),
    [
        ("owner-list@origin.example", "user@domain.example", "+=", "owner-list+user=domain.example@origin.example"),
        ("owner@o.example", "user@d.example", "-=", "owner-user=d.example@o.example"),
        ("owner@o.example", "user+x@d.example", "=+", "owner=user+x+d.example@o.example"),
        ("owner@o.example", "Postmaster", "+=", "owner+Postmaster@o.example"),
        ("owner@[192.0.2.1]", "u@d.example", "+=", "owner+u=d.example@[192.0.2.1]"),
    ],
)
def test_the_sender_names_the_recipient(sender: str, recipient: str, delimiters: str, expected: str) -> None:
    assert verp_sender(sender, recipient, delimiters, smtputf8=False) == expected


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("owner@o.example", '"a b"@d.example'),
        ('"the owner"@o.example', "u@d.example"),
        ("owner@o.example", "u@[192.0.2.1]"),
        ("o" * 40 + "@o.example", "u" * 20 + "@d.example"),
        ("owner@o.example", "zoë@d.example"),
    ],
)
def test_where_that_would_be_no_address_the_sender_stays(sender: str, recipient: str) -> None:
    assert verp_sender(sender, recipient, "+=", smtputf8=False) == sender


def test_beyond_ascii_with_smtputf8_only() -> None:
    assert verp_sender("o@o.example", "zoë@d.example", "+=", smtputf8=True) == "o+zoë=d.example@o.example"


@pytest.mark.parametrize("value", ["", "+=", "-=", "--"])
def test_delimiters(value: str) -> None:
    assert is_verp(value)


@pytest.mark.parametrize("value", ["+", "+=-", "#=", "é="])
def test_bad_delimiters(value: str) -> None:
    assert not is_verp(value)


def test_an_envelope_without_verp_has_one_sender() -> None:
    assert Envelope("a@b").sender_for("c@d") == "a@b"
    assert Envelope("").sender_for("c@d") == ""
    assert Envelope("a@b", verp="+=").sender_for("c@d") == "a+c=d@b"


ADDRESSES = st.from_regex(r"[a-z.+\"]{1,70}@[a-z\[\].]{1,70}", fullmatch=True)


@given(ADDRESSES, ADDRESSES, st.sampled_from(["+=", "-=", "=="]))
def test_what_comes_out_is_an_address(sender: str, recipient: str, delimiters: str) -> None:
    made = verp_sender(sender, recipient, delimiters, smtputf8=False)
    assert made == sender or parse_address(made) == made
