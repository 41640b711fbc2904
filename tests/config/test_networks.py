import pytest

from mailwake.config.networks import NetworkTable, network_set, parse_client, parse_network


def table(*networks: str) -> NetworkTable[str]:
    return NetworkTable((parse_network(network), network) for network in networks)


def test_the_longest_prefix_comes_first() -> None:
    networks = table("0.0.0.0/0", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "192.0.2.0/24")
    assert networks.matches(parse_client("10.1.2.3")) == ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"]
    assert networks.matches(parse_client("10.2.0.1")) == ["10.0.0.0/8", "0.0.0.0/0"]


def test_ipv6_and_ipv4_do_not_mix() -> None:
    networks = table("0.0.0.0/0", "2001:db8::/32", "::/0")
    assert networks.matches(parse_client("2001:db8::1")) == ["2001:db8::/32", "::/0"]
    assert networks.matches(parse_client("192.0.2.1")) == ["0.0.0.0/0"]


def test_mapped_addresses_are_ipv4_clients() -> None:
    assert table("10.0.0.0/8").matches(parse_client("::ffff:10.0.0.1")) == ["10.0.0.0/8"]
    assert table("::ffff:10.0.0.0/104").matches(parse_client("10.9.9.9")) == ["::ffff:10.0.0.0/104"]
    assert str(parse_network("::ffff:10.0.0.0/104")) == "10.0.0.0/8"


def test_link_local_addresses_with_a_zone() -> None:
    assert table("fe80::/10").matches(parse_client("fe80::1%eth0")) == ["fe80::/10"]


@pytest.mark.parametrize("text", ["", "unix:", "10.0.0.256", "localhost"])
def test_what_is_no_address_is_in_no_network(text: str) -> None:
    assert parse_client(text) is None
    assert table("0.0.0.0/0", "::/0").matches(parse_client(text)) == []


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "10", "example.com", ""])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # ipaddress words it in several ways
        parse_network(text)


def test_sets_answer_in() -> None:
    relay = network_set([parse_network("127.0.0.0/8"), parse_network("::1")])
    assert parse_client("127.0.0.9") in relay
    assert parse_client("::1") in relay
    assert parse_client("::2") not in relay
    assert None not in relay
