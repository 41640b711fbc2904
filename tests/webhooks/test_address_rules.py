"""Which addresses a target may have."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from mailwake.config.networks import parse_network
from mailwake.webhooks.address_rules import NOT_PUBLIC, AddressRules


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "this machine"),
        ("127.255.255.254", "this machine"),
        ("0.0.0.0", "this machine"),
        ("10.1.2.3", "a private network"),
        ("172.16.0.1", "a private network"),
        ("172.31.255.255", "a private network"),
        ("192.168.1.1", "a private network"),
        ("100.64.0.1", "a carrier's inner network"),
        ("100.127.255.255", "a carrier's inner network"),
        ("169.254.169.254", "the local link"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.2.1", "for documentation"),
        ("198.18.0.1", "for measurements"),
        ("::1", "this machine"),
        ("::", "this machine"),
        ("fe80::1", "the local link"),
        ("fe80::1%lo", "the local link"),
        ("fc00::1", "a private network"),
        ("fd12:3456::1", "a private network"),
        ("fec0::1", "a private network"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::ffff:a00:1", "a private network"),
        ("::7f00:1", "this machine"),
        ("64:ff9b::a00:1", "a private network"),
        ("64:ff9b:1::1", "a translator to IPv4"),
        ("2002:7f00:1::", "a tunnel over IPv4"),
        ("2001:0:1::1", "reserved"),
        ("2001:db8::1", "for documentation"),
        ("nonsense", "no IP address"),
        ("", "no IP address"),
    ],
)
def test_what_is_not_the_public_internet_is_refused(address: str, kind: str) -> None:
    assert AddressRules().objection(address) == kind


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.0"),
        *("2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"),
    ],
)
def test_public_addresses_may_be_targets(address: str) -> None:
    assert AddressRules().objection(address) is None


def test_networks_that_the_operator_names_may_hold_targets_and_no_others() -> None:
    rules = AddressRules([parse_network("10.1.0.0/16"), parse_network("fd00::/8")])
    assert rules.objection("10.1.2.3") is None
    assert rules.objection("::ffff:10.1.2.3") is None
    assert rules.objection("fd00::1") is None
    assert rules.objection("10.2.0.1") == "a private network"
    assert rules.objection("127.0.0.1") == "this machine"


UNKNOWN_TO_PYTHON = {
    *("192.88.99.0/24", "fec0::/10", "2002::/16", "3fff::/20", "5f00::/16", "64:ff9b:1::/48", "2001::/23")
}


@pytest.mark.parametrize("network", [network for network, _ in NOT_PUBLIC])
def test_the_table_holds_what_python_takes_for_special(network: str) -> None:
    """Both ends of every row are special to Python's own list as well, as far as it knows them."""
    rules, span = AddressRules(), ip_network(network)
    for address in (span[0], span[-1]):
        assert rules.objection(str(address)) is not None
    unknown_to_python = {
        "192.88.99.0/24",
        "fec0::/10",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "64:ff9b:1::/48",
        "2001::/23",
    }
    if network not in unknown_to_python:
        assert not span[0].is_global or span[0].is_multicast


def test_python_knows_no_special_network_that_the_table_lacks() -> None:
    rules = AddressRules()
    for number in range(0, 1 << 32, 0x10001 * 7):
        address = ip_address(number)
        if not address.is_global or address.is_multicast:
            assert rules.objection(str(address)) is not None, address
