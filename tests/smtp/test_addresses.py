import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.addresses import AddressError, NeedsSmtputf8, parse_address, parse_recipient, parse_sender

# 64 + @ + 189 + <> = 256
LONGEST = "l" * 64 + "@" + ".".join(["d" * 62, "d" * 62, "d" * 60, "dd"])


@pytest.mark.parametrize(
    "address",
    [
        "a@b",
        "user@example.com",
        "first.last+tag=x/y@a-b.example",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        "u@xn--bcher-kva.example",
        "u@1.2.3.4.example",
        "u@a--b.example",
        '"quoted"@example.com',
        '""@example.com',
        '"a b"@example.com',
        r'"a\"b\\c"@example.com',
        '"a@b"@example.com',
        '"a>b"@example.com',
        "dots..anywhere.@example.com",
        "u@a_b.example",
        "u@[192.0.2.1]",
        "u@[IPv6:2001:db8::1]",
        "u@[ipv6:::1]",
        "l" * 64 + "@example.com",
        "u@" + "d" * 63 + ".example",
        LONGEST,
    ],
)
def test_addresses_of_rfc_5321(address: str) -> None:
    assert parse_sender(address) == parse_recipient(address) == address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("user", "no @"),
        ("@example.com", "no end"),
        ("user@", "label"),
        ("us er@example.com", "local part"),
        ("a@b@example.com", "local part"),
        ('"a"b@example.com', "local part"),
        ('"a"b"@example.com', "local part"),
        ('"a\\"@example.com', "local part"),
        ('"a\x00"@example.com', "local part"),
        ("user@-a.example", "label"),
        ("user@a-.example", "label"),
        ("user@a..example", "label"),
        ("user@.example", "label"),
        ("user@example.", "label"),
        ("user@exa mple", "label"),
        ("user@" + "d" * 64 + ".example", "longer than 63"),
        ("l" * 65 + "@example.com", "longer than 64"),
        ("u@" + ".".join(["d" * 63] * 4) + ".e", "longer than 255"),
        (LONGEST + "d", "longer than 256"),
        ("u@[192.0.2.256]", "literal"),
        ("u@[192.0.2.1", "literal"),
        ("u@[192.0.2.1]x", "literal"),
        ("u@[2001:db8::1]", "literal"),
        ("u@[IPv6:fe80::1%eth0]", "literal"),
        ("u@[]", "literal"),
        ("u@[", "literal"),
        ("u@[x-tag:what]", "literal"),
    ],
)
def test_addresses_that_are_none(address: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        parse_address(address)


def test_the_null_sender_is_a_sender_only() -> None:
    assert parse_sender("") == ""
    with pytest.raises(AddressError):
        parse_recipient("")


@pytest.mark.parametrize("name", ["postmaster", "Postmaster", "POSTMASTER"])
def test_postmaster_needs_no_domain_as_a_recipient(name: str) -> None:
    assert parse_recipient(name) == name
    with pytest.raises(AddressError):
        parse_sender(name)


@pytest.mark.parametrize("route", ["@a.example:", "@a.example,@b.example:"])
def test_source_routes_are_stripped(route: str) -> None:
    assert parse_recipient(f"{route}user@example.com") == "user@example.com"


@pytest.mark.parametrize("path", ["@a.example", "@a,b:u@c", "@:u@c", "@a,:u@c", "@a b:u@c", "@a:", "@a:@b:u@c"])
def test_malformed_routes(path: str) -> None:
    with pytest.raises(AddressError):
        parse_address(path)


@pytest.mark.parametrize("address", ["zoë@example.com", "用户@例子.广告", "u@bücher.example", '"ö ä"@example.com'])
def test_addresses_beyond_ascii_need_smtputf8(address: str) -> None:
    assert parse_address(address, smtputf8=True) == address
    with pytest.raises(NeedsSmtputf8):
        parse_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "u@例。com",
        "u@a\u00a0b.example",
        "u@a\u3000b.example",
        "u\u0085@example.com",
        "u\u2028@example.com",
        "u\udcff@example.com",
        "é" * 33 + "@example.com",
        "u@" + "é" * 60 + ".example",
    ],
)
def test_what_even_smtputf8_does_not_allow(address: str) -> None:
    with pytest.raises(AddressError) as raised:
        parse_address(address, smtputf8=True)
    assert not isinstance(raised.value, NeedsSmtputf8)


@given(st.text(st.sampled_from('aé.@"\\[]<>:, \x00-_1'), max_size=30), st.booleans())
def test_any_text_is_an_address_or_an_address_error(text: str, smtputf8: bool) -> None:
    try:
        address = parse_address(text, smtputf8=smtputf8)
    except AddressError:
        return
    assert text.endswith(address)
    assert "\x00" not in address
    assert parse_address(address, smtputf8=smtputf8) == address


@pytest.mark.parametrize(
    "hostile", ["a." * 6000, "a-" * 6000, '"' + "\\" * 12000, "@a," * 4000, "u@" + "a-" * 6000 + "."]
)
def test_hostile_input_is_linear(hostile: str) -> None:
    with pytest.raises(AddressError):
        parse_address(hostile)
