from __future__ import annotations

from pathlib import Path

from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.service.changes import changed_settings


def _settings(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "mailwake.toml"
    path.write_text(text)
    return load(path, host_name="here.example").settings


def test_nothing_differs_between_two_readings_of_one_file(tmp_path: Path) -> None:
    text = "tracking_domain = 'a.example'\n[pathway.x]\ntracking_link_expiry = '1d'\n"
    assert changed_settings(_settings(tmp_path, text), _settings(tmp_path, text)) == []


def test_settings_are_named_with_their_tables_and_values_are_not_shown(tmp_path: Path) -> None:
    old = "[relay]\npassword = 'geheim1'\nusername = 'u'\n[pathway.x]\ntracking_domain = 'a.example'\n"
    old += "[pathway.gone]\n[esmtp_listener.listen.'127.0.0.1:25']\nopen_tracking_enabled = true\n"
    new = "[relay]\npassword = 'geheim2'\nusername = 'u'\n[pathway.x]\ntracking_domain = 'b.example'\n"
    new += "[pathway.'a b']\n[esmtp_listener.listen.'127.0.0.1:25']\nopen_tracking_enabled = false\n"
    assert changed_settings(_settings(tmp_path, old), _settings(tmp_path, new)) == [
        'esmtp_listener.listen."127.0.0.1:25".open_tracking_enabled',
        "pathway.x.tracking_domain",
        "pathway.gone",
        'pathway."a b"',
        "relay.password",
    ]
