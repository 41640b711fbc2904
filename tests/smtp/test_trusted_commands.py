import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.replies import Refusal
from mailwake.smtp.trusted_commands import (
    UNKNOWN_ADDRESS,
    ClientAttributes,
    parse_address,
    parse_variables,
    parse_xclient,
)


@pytest.mark.parametrize(
    ("argument", "client"),
    [
        ("ADDR=192.0.2.1", ClientAttributes(address="192.0.2.1")),
        ("addr=192.0.2.1 port=4711", ClientAttributes(address="192.0.2.1", port=4711)),
        ("ADDR=IPV6:2001:DB8::1", ClientAttributes(address="2001:db8::1")),
        ("ADDR=ipv6:2001:db8:0:0::1", ClientAttributes(address="2001:db8::1")),
        ("ADDR=2001:db8::1", ClientAttributes(address="2001:db8::1")),
        ("ADDR=IPV6:::ffff:192.0.2.1", ClientAttributes(address="192.0.2.1")),
        ("ADDR=[UNAVAILABLE] PORT=[unavailable]", ClientAttributes(address=UNKNOWN_ADDRESS, port=0)),
        ("NAME=spike.porcupine.org", ClientAttributes(name="spike.porcupine.org")),
        ("NAME=[UNAVAILABLE]", ClientAttributes(name="")),
        ("NAME=[TempUnavail] HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]", ClientAttributes(name="", hello="", login="")),
        ("HELO=+5B192.0.2.1+5D PROTO=esmtp", ClientAttributes(hello="[192.0.2.1]", protocol="ESMTP")),
        ("LOGIN=the+20shop", ClientAttributes(login="the shop")),
        (
            "DESTADDR=198.51.100.1  DESTPORT=587",
            ClientAttributes(receiving_address="198.51.100.1", receiving_port=587),
        ),
    ],
)
def test_xclient(argument: str, client: ClientAttributes) -> None:
    assert parse_xclient(argument) == client


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "ADDR",
        "ADDR=",
        "ADDR=localhost",
        "ADDR=192.0.2",
        "ADDR=192.0.2.01",
        "ADDR=IPV6:192.0.2.1",
        "ADDR=fe80::1%25eth0",
        "ADDR=fe80::1%eth0",
        "ADDR=192.0.2.1 ADDR=192.0.2.2",
        "ADDR=192.0.2.1 addr=192.0.2.1",
        "PORT=65536",
        "PORT=-1",
        "PORT=+31x",
        "PORT=07",
        "PORT=٧",
        "PROTO=LMTP",
        "PROTO=[UNAVAILABLE]",
        "NAME=",
        "NAME=a+20b",
        "NAME=a+0D+0Ab",
        "NAME=(comment)",
        f"NAME={'n' * 256}",
        f"HELO={'h' * 256}",
        "HELO=a+20b",
        "HELO=a+0Ab",
        "LOGIN=",
        "LOGIN=a+00b",
        "LOGIN=+FF",
        "DESTADDR=x",
        "DESTPORT=x",
        "FOO=bar",
        "REVERSE_NAME=x",
        "ADDR=192.0.2.1 FOO",
        "=x",
    ],
)
def test_malformed_xclient(argument: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_xclient(argument)
    assert str(caught.value.reply).startswith("501 5.5.4 ")


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.1", "192.0.2.1"), ("2001:DB8::1", "2001:db8::1"), ("IPV6:2001:db8::1", "2001:db8::1")],
)
def test_remote_addresses(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "x", "192.0.2.1 x", "[192.0.2.1]", "192.0.2.0/24", "IPV6:192.0.2.1", "[UNAVAILABLE]"]
)
def test_malformed_remote_addresses(text: str) -> None:
    with pytest.raises(Refusal, match=r"501 5\.5\.4 Syntax: XREMOTEIP address"):
        parse_address(text)


def test_variables() -> None:
    assert parse_variables("a=1 smtpapi_campaign_id=black+20friday  a=2 empty= n+20m=x") == [
        ("a", "1"),
        ("smtpapi_campaign_id", "black friday"),
        ("a", "2"),
        ("empty", ""),
        ("n m", "x"),
    ]


@pytest.mark.parametrize("argument", ["", "a", "=x", "a=1 b", "a=+2", "a=b=c", "a=zoë", "a=+FF", "+0A=x", "a=1 =2"])
def test_malformed_variables(argument: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_variables(argument)
    assert str(caught.value.reply).startswith("501 5.5.4 ")


@given(st.text("ADRPOTLGINHEMS=+ 012.:[]abcF\udc80é"))
def test_nothing_but_a_refusal_is_raised(argument: str) -> None:
    parsers: list[Callable[[str], object]] = [parse_xclient, parse_address, parse_variables]
    for parse in parsers:
        with contextlib.suppress(Refusal):
            parse(argument)
