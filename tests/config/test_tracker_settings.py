"""The tracker's addresses as a list or as tables, and settings of it that cannot be meant together."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.config.load import ConfigurationError, load
from mailwake.config.schema import Settings
from mailwake.config.tracker_settings import TrackerListen


def _load(directory: Path, text: str) -> Settings:
    file = directory / "mailwake.toml"
    file.write_text(text)
    return load(file).settings


def test_a_list_of_addresses_stands_for_tables(tmp_path: Path) -> None:
    settings = _load(tmp_path, "[tracker]\nlisten = ['127.0.0.1:80', '[::1]:80', 'unix:/run/t.sock']")
    assert settings.tracker.listen == dict.fromkeys(("127.0.0.1:80", "[::1]:80", "unix:/run/t.sock"), TrackerListen())


def test_an_address_with_settings(tmp_path: Path) -> None:
    text = '[tracker.listen."LOCALHOST:443"]\nproxy_protocol = "required"\nproxy_networks = ["10.0.0.0/8"]'
    listen = _load(tmp_path, text).tracker.listen["localhost:443"]
    assert (listen.tls, listen.proxy_protocol, [str(each) for each in listen.proxy_networks]) == (
        "off",
        "required",
        ["10.0.0.0/8"],
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tracker]\nlisten = []", ":2: tracker.listen: [] cannot be used here; write a table"),
        ("[tracker]\nlisten = [80]", "or a list of names"),
        ("[tracker]\nlisten = ['here']", "cannot be used as a name here; give HOST:PORT"),
        ("[tracker]\nlisten = ['127.0.0.1:80', '127.0.0.1:080']", "stands there twice"),
        (
            '[tracker.listen."127.0.0.1:443"]\ntls = "on"',
            ':2: tracker.listen."127.0.0.1:443".tls: is "on", but there is',
        ),
        ("[tracker]\ntls_key = 'k'", ":2: tracker.tls_key: is set without tls_certificate"),
        ("[tracking_domains.'a.example']\ntls_key = 'k'", 'a.example".tls_key: is set without tls_certificate'),
        ("[tracker]\nunknown_hosts = 'refuse'", "which refuses everything"),
        (
            '[tracker.listen."127.0.0.1:443"]\nproxy_protocol = "required"',
            "nobody may connect without proxy_networks",
        ),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, text)
    assert problem in caught.value.problems[0]
