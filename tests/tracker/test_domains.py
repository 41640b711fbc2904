"""Whose association files are served, and that no request reaches outside its domain's directory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mailwake.tracker.domains import SIZE_LIMIT, Domains, requested_domain


def request(path: str = "/.well-known/assetlinks.json", host: str | None = "a.example", authority: str | None = None):  # type: ignore[no-untyped-def]
    headers = {} if host is None else {"host": host}
    return SimpleNamespace(path=path, headers=headers, authority=authority)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "app-links" / "a.example").mkdir(parents=True)
    (tmp_path / "app-links" / "a.example" / "assetlinks.json").write_bytes(b'[{"a": 1}]')
    (tmp_path / "assetlinks.json").write_bytes(b"outside")
    (tmp_path / "app-links" / "assetlinks.json").write_bytes(b"of no domain")
    return tmp_path / "app-links"


@pytest.mark.parametrize("host", ["a.example", "A.Example:8080", "a.example."])
async def test_file_of_the_requested_domain(directory: Path, host: str) -> None:
    assert await Domains(app_links=directory).app_links_file(request(host=host)) == b'[{"a": 1}]'


async def test_the_host_of_an_absolute_target_wins(directory: Path) -> None:
    assert (
        await Domains(app_links=directory).app_links_file(request(host="b.example", authority="a.example"))
        == b'[{"a": 1}]'
    )


@pytest.mark.parametrize(
    "host",
    [None, "", ".", "..", "../", "a.example/..", "b.example", "[::1]", "a..example", "-a", "ä.example", "x" * 300],
)
async def test_other_hosts_have_none(directory: Path, host: str | None) -> None:
    assert await Domains(app_links=directory).app_links_file(request(host=host)) is None


@pytest.mark.parametrize(
    "name", ["", "apple-app-site-association", "security.txt", "../assetlinks.json", "assetlinks.json/"]
)
async def test_other_files_do_not_exist(directory: Path, name: str) -> None:
    assert await Domains(app_links=directory).app_links_file(request("/.well-known/" + name)) is None


async def test_without_a_directory_there_are_none() -> None:
    assert await Domains().app_links_file(request()) is None


async def test_an_enormous_file_is_not_served(directory: Path) -> None:
    (directory / "a.example" / "assetlinks.json").write_bytes(bytes(SIZE_LIMIT + 1))
    assert await Domains(app_links=directory).app_links_file(request()) is None


def test_ports_and_case_are_no_part_of_a_domain() -> None:
    assert requested_domain(request(host="LINKS.Example:443")) == "links.example"
