"""Routes and next hops as they are written: what is wrong is said where it stands, the command line wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.config.load import ConfigurationError, load
from mailwake.config.relay_settings import Hop, HopOptions, Relay, hop_option


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, host_name="n")
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


HOP = '[[relay.hop]]\naddress = "a.example:25"\n'
BULK = '[relays.bulk]\nnext_hop = "b.example:25"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[relay]\nnext_hop = "a:25"\n[[relay.hop]]\naddress = "b:25"',
            "2: relay.next_hop: and [[relay.hop]] are both set; remove one",
        ),
        ("[[relay.hop]]\nweight = 1", "1: relay.hop.0.address: is missing; give HOST:PORT"),
        ('[[relay.hop]]\naddress = "a"', '2: relay.hop.0.address: "a" cannot be used; give HOST:PORT'),
        ('[[relay.hop]]\naddress = ":25"', "2: relay.hop.0.address: has no host; give HOST:PORT"),
        ('[[relay.hop]]\naddress = "a:0"', "2: relay.hop.0.address: has port 0"),
        ('[[relay.hop]]\naddress = "unix:run/lmtp"', '2: relay.hop.0.address: "unix:run/lmtp" cannot be used'),
        (f"{HOP}{HOP}", '4: relay.hop.1.address: "a.example:25" is a hop of this route already; give each one once'),
        (f"{HOP}wieght = 2", "3: relay.hop.0.wieght: unknown setting; did you mean 'weight'?"),
        (f"{HOP}weight = -1", "3: relay.hop.0.weight: -1 cannot be used; give a whole number from 0 to 65535"),
        (f'{HOP}username = "u"', "3: relay.hop.0.username: is set without a password"),
        (f'{HOP}password = "p"', "3: relay.hop.0.password: is set without username"),
        (f'{HOP}[relay]\nimplicit_tls = true\ntls = "none"', '4: relay.implicit_tls: is set although tls is "none"'),
        (f'{HOP}tls_key = "k"', "3: relay.hop.0.tls_key: is set without tls_certificate"),
        ("[relays.bulk]", "1: relays.bulk: has no next hop; set next_hop, or add [[relays.bulk.hop]]"),
        (f"{HOP}[relays.default]\nnext_hop = 'b:25'", "3: relays.default: is the name of [relay] itself"),
        (f"{BULK}[pathway.p]\nrelay = 'bluk'", "4: pathway.p.relay: there is no [relays.bluk]; did you mean 'bulk'?"),
        (f"{BULK}[pathway_group.g]\nrelay = 'x'", "4: pathway_group.g.relay: there is no [relays.x]; add it, or"),
        (f"{BULK}[customers.42]\nrelay = 'x'", "4: customers.42.relay: there is no [relays.x]; add it, or"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(problem.startswith(expected) for problem in found), found


def test_all_forms_together(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(
        """
        [relay]
        tls = "must"
        max_connections = 7
        [[relay.hop]]
        address = "MX1.example.com:025"
        priority = 5
        [[relay.hop]]
        address = "[::1]:2525"
        weight = 0
        tls = "none"
        [relays.local]
        next_hop = "unix:/run/dovecot/lmtp"
        protocol = "lmtp"
        [[relays.bulk.hop]]
        address = "10.0.0.1:25"
        [customers.42]
        relay = "bulk"
        [customers.43]
        relay = "default"
        [pathway.news]
        relay = "local"
        """
    )
    settings = load(file, host_name="n").settings
    first, second = settings.relay.hops
    assert (first.address, first.priority, first.weight) == ("mx1.example.com:25", 5, 1)
    assert (second.address, second.priority, second.weight) == ("[::1]:2525", 10, 0)
    assert [hop_option("tls", hop, settings.relay) for hop in settings.relay.hops] == ["must", "none"]
    assert [hop_option("max_connections", hop, settings.relay) for hop in settings.relay.hops] == [7, 7]
    assert settings.relays["local"].hops == (Hop(address="unix:/run/dovecot/lmtp"),)
    assert {name: each.relay for name, each in settings.customers.items()} == {"42": "bulk", "43": "default"}


def test_a_next_hop_on_the_command_line_replaces_all_hops_of_the_default_route(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(f"{HOP}{BULK}[relay]\nmax_connections = 3\n")
    settings = load(file, {"relay.next_hop": "c.example:26"}, flags={"relay.next_hop": "--next-hop"}).settings
    assert settings.relay.hops == (Hop(address="c.example:26"),)
    assert settings.relay.max_connections == 3
    assert settings.relays["bulk"].hops == (Hop(address="b.example:25"),)
    assert load(file).settings.relay.hops == (Hop(address="a.example:25"),)


def test_an_option_comes_from_the_first_table_that_has_it() -> None:
    relay, hop = Relay(tls="must", chunking=False), Hop(address="a:1", chunking=True)
    assert hop_option("chunking", hop, relay) is True
    assert hop_option("tls", hop, relay) == "must"
    assert hop_option("idle_timeout", hop, relay) == 60
    assert hop_option("username", hop, relay) is None
    assert hop_option("tls", HopOptions()) == "may"
