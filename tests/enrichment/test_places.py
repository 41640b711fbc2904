"""Where addresses are, by a real database that the test writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.enrichment.mmdb_writer import write_mmdb

from mailwake.enrichment.places import NOWHERE, Place, Places
from mailwake.errors import MailwakeError

BERLIN: dict[str, Any] = {
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [{"iso_code": "BE"}],
    "city": {"names": {"de": "Berlin!", "en": "Berlin"}},
    "location": {"latitude": 52.5, "longitude": 13.25},
    "postal": {"code": "10115"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "places.mmdb"
    path.write_bytes(
        write_mmdb(
            {
                "192.0.2.0/24": BERLIN,
                "2001:db8::/32": {"country": {"iso_code": "FR"}, "location": {"latitude": 48.0, "longitude": 2.0}},
                "198.51.100.0/25": {"country": "nonsense", "subdivisions": [], "location": ["?"], "city": {"names": 5}},
                "203.0.113.0/24": "a text",
            }
        )
    )
    return path


def test_places_of_addresses(file: Path) -> None:
    places = Places(file)
    assert places.find("192.0.2.77") == Place("DE", "BE", "Berlin", 52.5, 13.25, "10115")
    assert places.find("2001:db8::1") == Place("FR", "", "", 48.0, 2.0, "")


@pytest.mark.parametrize(
    "address", ["", "10.0.0.1", "2001:db9::1", "198.51.100.1", "203.0.113.9", "no address", "fe80::1%eth0", "192.0.2"]
)
def test_what_is_not_known_is_nowhere(file: Path, address: str) -> None:
    assert Places(file).find(address) == NOWHERE


def test_a_database_of_ipv4_knows_no_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "v4.mmdb"
    path.write_bytes(write_mmdb({"192.0.2.0/24": BERLIN}, ip_version=4))
    places = Places(path)
    assert places.find("192.0.2.1").city == "Berlin"
    assert places.find("2001:db8::1") == NOWHERE


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MailwakeError, match=r"none\.mmdb: the database of places cannot be read: No such file"):
        Places(tmp_path / "none.mmdb")


@pytest.mark.parametrize("cut", [0, 1, 40, -1, -60])
def test_a_damaged_file_is_one_line(file: Path, cut: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:cut] if cut >= 0 else whole[: len(whole) // 2])
    with pytest.raises(MailwakeError, match=r"places\.mmdb: is no database of places, or damaged: ") as error:
        Places(file)
    assert "\n" not in str(error.value)


def test_damage_inside_is_survived(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    marker = whole.rindex(b"\xab\xcd\xefMaxMind.com")
    for start in range(0, marker, 7):
        whole[start] ^= 0x5A
    file.write_bytes(whole)
    places = Places(file)
    for address in ("192.0.2.1", "2001:db8::1", "1.1.1.1"):
        assert isinstance(places.find(address), Place)


def test_who_overwrites_the_file_in_place_does_no_harm(file: Path) -> None:
    places = Places(file)
    os.truncate(file, 0)  # a mapping of the file itself would now end the process
    assert places.find("192.0.2.5").city == "Berlin"
