"""Whose word counts for the client's address, and what of a request is kept."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import pytest

from mailwake.tracker.client_facts import ClientFacts, ClientFactsReader, is_prefetch, normalised_address
from mailwake.tracker.messages import Request, RequestHeaders

PROXIES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8:aaaa::/48")]


def headers_of(fields: Mapping[str, Sequence[str]]) -> RequestHeaders:
    return RequestHeaders({name.encode(): [value.encode() for value in values] for name, values in fields.items()})


def request(fields: Mapping[str, Sequence[str]]) -> Request:
    return Request("GET", "/q/x", headers_of(fields), client="192.0.2.7")


def address(client: str, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()) -> str:
    fields = {"x-forwarded-for": list(forwarded_for), "forwarded": list(forwarded)}
    headers = headers_of({name: values for name, values in fields.items() if values})
    return ClientFactsReader(PROXIES).address(client, headers)


@pytest.mark.parametrize(
    ("client", "forwarded_for", "expected"),
    [
        # a peer that is no proxy is never believed
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("2001:db8::7", ["198.51.100.1"], "2001:db8::7"),
        # a trusted one is, for the nearest address that is no proxy
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:aaaa::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["203.0.113.9, 198.51.100.1, 10.2.2.2,10.3.3.3"], "198.51.100.1"),
        ("10.1.1.1", ["203.0.113.9", "198.51.100.1", "10.2.2.2"], "198.51.100.1"),
        ("10.1.1.1", ["garbage, 198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        ("10.1.1.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.1.1.1", ["2001:DB8::1"], "2001:db8::1"),
        ("10.1.1.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.1.1.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.1.1.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        # garbage where an address should be: the peer's own
        ("10.1.1.1", ["198.51.100.1, unknown"], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1,"], "10.1.1.1"),
        ("10.1.1.1", ["  "], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.256"], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1:port"], "10.1.1.1"),
        ("10.1.1.1", ["[2001:db8::1"], "10.1.1.1"),
        ("10.1.1.1", ["[2001:db8::1]x"], "10.1.1.1"),
        ("10.1.1.1", ["fe80::1%eth0"], "10.1.1.1"),
        ("10.1.1.1", ["1" * 5000], "10.1.1.1"),
        # a made-up chain of proxies is not walked for ever
        ("10.1.1.1", [", ".join(["198.51.100.1"] + ["10.2.2.2"] * 31)], "198.51.100.1"),
        ("10.1.1.1", [", ".join(["198.51.100.1"] + ["10.2.2.2"] * 32)], "10.1.1.1"),
    ],
)
def test_address_behind_x_forwarded_for(client: str, forwarded_for: list[str], expected: str) -> None:
    assert address(client, forwarded_for) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (["for=198.51.100.1"], "198.51.100.1"),
        (["For=198.51.100.1;proto=https;by=203.0.113.43"], "198.51.100.1"),
        (['proto=https; for="198.51.100.1:4711"'], "198.51.100.1"),
        (['for="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
        (["for=203.0.113.9, for=198.51.100.1", "for=10.2.2.2"], "198.51.100.1"),
        (['for="forged, for=198.51.100.1'], "198.51.100.1"),
        (["for=_hidden"], "10.1.1.1"),
        (["for=unknown"], "10.1.1.1"),
        (["proto=https"], "10.1.1.1"),
        (['for="'], "10.1.1.1"),
    ],
)
def test_address_behind_forwarded(forwarded: list[str], expected: str) -> None:
    assert address("10.1.1.1", forwarded=forwarded) == expected
    assert address("192.0.2.7", forwarded=forwarded) == "192.0.2.7"


def test_two_headers_count_only_where_they_agree() -> None:
    # A proxy sets one of them; the other may be the client's own invention.
    assert address("10.1.1.1", ["198.51.100.1"], ["for=198.51.100.1"]) == "198.51.100.1"
    assert address("10.1.1.1", ["198.51.100.1"], ["for=203.0.113.9"]) == "10.1.1.1"


def test_without_trusted_proxies_no_header_counts() -> None:
    headers = headers_of({"x-forwarded-for": ["198.51.100.1"]})
    assert ClientFactsReader().address("10.1.1.1", headers) == "10.1.1.1"


@pytest.mark.parametrize("text", ["", ":", "[]", "]", "[", "1.2.3.4:", "1.2.3.4:123456", "::1]:80", "example.org", "²"])
def test_what_is_no_address(text: str) -> None:
    assert normalised_address(text) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"sec-purpose": "prefetch"}, True),
        ({"sec-purpose": "prefetch;prerender"}, True),
        ({"sec-purpose": "prefetch;anonymous-client-ip"}, True),
        ({"purpose": "Prefetch"}, True),
        ({"x-moz": "prefetch"}, True),
        ({"sec-purpose": "other", "x-moz": "prefetch"}, True),
        ({"sec-purpose": "preview"}, False),
        ({"purpose": ""}, False),
    ],
)
def test_prefetch_marks(fields: dict[str, str], expected: bool) -> None:
    assert is_prefetch(headers_of({name: [value] for name, value in fields.items()})) is expected


def test_facts_of_an_ordinary_request() -> None:
    asked = request({"user-agent": ["Mozilla/5.0 (X11)"], "accept-language": ["en-US,en;q=0.9"]})
    facts = ClientFactsReader().read(asked)
    assert facts == ClientFacts("192.0.2.7", "Mozilla/5.0 (X11)", "en-US,en;q=0.9", False)


def test_absent_fields_are_empty_text() -> None:
    assert ClientFactsReader().read(request({})) == ClientFacts("192.0.2.7", "", "", False)


def test_long_and_strange_fields_are_tamed() -> None:
    asked = request({"user-agent": ["a\tb\x1b[31m\u202ec" + "é" * 600], "accept-language": ["x" * 5000]})
    facts = ClientFactsReader().read(asked)
    assert facts.user_agent.startswith("a b [31m cé")
    assert len(facts.user_agent.encode()) <= 512
    assert facts.user_agent.isprintable()
    assert facts.accept_language == "x" * 128
