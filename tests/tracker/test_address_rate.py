"""Who is turned away for asking too often, and who is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mailwake.clock import ManualClock
from mailwake.tracker import address_rate
from mailwake.tracker.address_rate import AddressRate
from mailwake.tracker.client_facts import ClientFactsReader


def request(client: str) -> Any:
    return SimpleNamespace(client=client, headers={})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rate(clock: ManualClock) -> AddressRate:
    return AddressRate(3, ClientFactsReader(), clock)


def test_an_address_over_its_limit_waits_for_the_next_minute(rate: AddressRate, clock: ManualClock) -> None:
    assert [rate.allows(request("192.0.2.1")) for _ in range(5)] == [True, True, True, False, False]
    assert rate.allows(request("192.0.2.2"))
    clock.advance(59)
    assert not rate.allows(request("192.0.2.1"))
    clock.advance(1)
    assert rate.allows(request("192.0.2.1"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:0:0:2", True),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::1", "::2", True),
        ("1::", "2::", False),
    ],
)
def test_an_ipv6_client_is_its_network(rate: AddressRate, one: str, other: str, same: bool) -> None:
    for _ in range(3):
        assert rate.allows(request(one))
    assert rate.allows(request(other)) is not same


def test_memory_stays_bounded(rate: AddressRate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_rate, "ADDRESS_LIMIT", 10)
    for number in range(100):
        assert rate.allows(request(f"192.0.2.{number}:1"))
    assert len(rate._counts) <= 10
