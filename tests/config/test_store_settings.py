"""The store as it is written: the settings of a server belong to it, and what is wrong is said where it stands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailwake.config.load import ConfigurationError, load
from mailwake.config.store_settings import Store
from mailwake.errors import StartupError
from mailwake.service.cautions import cautions
from mailwake.store.make import check_store

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SERVER = '[store]\nengine = "clickhouse"\nurl = "http://c:8123"\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, host_name="n")
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[store]\nengine = "sqlite"', '2: store.engine: "sqlite" cannot be used; give "duckdb" or "clickhouse"'),
        ('[store]\nengine = "clickhouse"', '1: store.url: is missing; engine = "clickhouse" needs it'),
        ('[store]\nurl = "http://c"', '2: store.url: is a setting of engine = "clickhouse", and this one is "duckdb"'),
        (f'{SERVER}database = "a-b"', '4: store.database: "a-b" cannot be used; give a name of letters, digits'),
        ('[store]\nengine = "clickhouse"\nurl = "c:8123"', '3: store.url: "c:8123" cannot be used; give a URL like'),
        ('[store]\nengine = "clickhouse"\nurl = "http://a:b@c"', '3: store.url: "http://a:b@c" cannot be used; give'),
        (f'{SERVER}username = "u"', "4: store.username: is set without a password"),
        (f'{SERVER}password = "p"', "4: store.password: is set without username"),
        (
            f'{SERVER}username = "u"\npassword = "p"\npassword_file = "f"',
            "6: store.password_file: and password are both set; remove one",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)
    assert "\n" not in problem


def test_a_server_has_a_database_and_a_user_by_default(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(SERVER)
    store = load(file, host_name="n").settings.store
    assert (store.value("database"), store.value("username"), store.password) == ("mailwake", "default", None)
    check_store(store)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://c.example:8123", True),
        ("https://c.example:8443", False),
        ("http://127.0.0.1:8123", False),
        ("http://[::1]:8123", False),
    ],
)
def test_a_server_elsewhere_that_is_asked_in_clear_is_warned_of(tmp_path: Path, url: str, warned: bool) -> None:
    file = tmp_path / "m.toml"
    file.write_text(SERVER.replace("http://c:8123", url))
    lines = [line for line in cautions(load(file, host_name="n").settings, NOW) if line.startswith("store.url")]
    assert lines == ([f"store.url: {url} is in clear, so that events can be read on the way: use https"] * warned)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password_file": "none"}, r"store\.password_file: cannot read a password from the first line of .*No such"),
        ({"tls_ca_file": "none"}, r"store\.tls_ca_file: cannot read certificates from .*No such file"),
    ],
)
def test_files_that_cannot_be_read_keep_the_service_from_starting(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    files = {name: tmp_path / file for name, file in given.items()}
    with pytest.raises(StartupError, match=said):
        check_store(Store(engine="clickhouse", url="http://c:8123", **files))  # type: ignore[arg-type]  # paths all
