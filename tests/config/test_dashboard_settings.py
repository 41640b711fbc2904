"""Settings of the dashboard that cannot be meant are errors at the start, where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.config.load import ConfigurationError, load

TRUSTED = '[api]\ntrusted_proxies = ["192.0.2.7"]\n[dashboard]\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "mailwake.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load(file, host_name="n")
    return [each.partition("mailwake.toml:")[2] for each in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[dashboard]\nuser_header = "X-User"', "2: dashboard.user_header: is set, but no proxy is trusted to send it"),
        (
            '[api]\ntrusted_proxies = ["0.0.0.0/0"]\n[dashboard]\nuser_header = "X-User"',
            "4: dashboard.user_header: would be believed from everybody, as api.trusted_proxies has 0.0.0.0/0",
        ),
        (
            '[api]\ntrusted_proxies = ["192.0.2.7", "::/0"]\n[dashboard]\nuser_header = "X-User"',
            "4: dashboard.user_header: would be believed from everybody",
        ),
        (f'{TRUSTED}customer_header = "X-Customer"', "4: dashboard.customer_header: is set without user_header"),
        (
            f'{TRUSTED}user_header = "X-User"\ncustomer_header = "x-user"',
            "5: dashboard.customer_header: is the same as user_header",
        ),
        (f'{TRUSTED}user_header = "Cookie"', '4: dashboard.user_header: "Cookie" says something else'),
        (f'{TRUSTED}user_header = "X-Forwarded-For"', '4: dashboard.user_header: "X-Forwarded-For" says something'),
        (f'{TRUSTED}user_header = "X User"', '4: dashboard.user_header: "X User" cannot be used; give the name of a'),
        (f'{TRUSTED}user_header = "X_User"', '4: dashboard.user_header: "X_User" cannot be used; give the name of a'),
        (f'{TRUSTED}user_scopes = ["write"]', "4: dashboard.user_scopes: ['write'] cannot be used"),
        (f"{TRUSTED}user_scopes = []", "4: dashboard.user_scopes: [] cannot be used"),
        (f'{TRUSTED}timezone = "Mars/Base"', '4: dashboard.timezone: "Mars/Base" cannot be used; give a time zone'),
        (f'{TRUSTED}timezone = "../etc/passwd"', '4: dashboard.timezone: "../etc/passwd" cannot be used'),
        (f"{TRUSTED}timezone = 1", "4: dashboard.timezone: 1 cannot be used"),
        (f'{TRUSTED}session_lifetime = "1s"', '4: dashboard.session_lifetime: "1s" cannot be used; give seconds'),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(each.startswith(expected) for each in found), found


def test_what_goes_together(tmp_path: Path) -> None:
    file = tmp_path / "mailwake.toml"
    file.write_text(f'{TRUSTED}user_header = "X-User"\ncustomer_header = "X-Customer"\ntimezone = "Europe/Berlin"')
    dashboard = load(file, host_name="n").settings.dashboard
    assert (dashboard.user_header, dashboard.customer_header) == ("X-User", "X-Customer")
    assert (dashboard.timezone, dashboard.user_scopes) == ("Europe/Berlin", ("read",))
