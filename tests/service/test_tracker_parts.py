"""The tracker's settings become its parts, and files that cannot be used are named before anything starts."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.listener.certificates import make_certificate

from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.errors import StartupError
from mailwake.service.cautions import cautions
from mailwake.service.open_files import connections_within
from mailwake.service.tracker_parts import certificate_files, check_tracker_parts, domains_of, http_limits
from mailwake.tracker.messages import Request, RequestHeaders

NOW = datetime.datetime.now(datetime.UTC)


def _settings(directory: Path, text: str) -> Settings:
    file = directory / "mailwake.toml"
    file.write_text(text.replace("DIR", str(directory)))
    return load(file).settings


def _request(host: str) -> Request:
    return Request("GET", "/", RequestHeaders({b"host": host.encode()}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tracker]\nnot_found_page = 'DIR/none'", "tracker.not_found_page: cannot read"),
        ("[tracker]\nnot_found_page = 'DIR/large'", "larger than 1 MiB"),
        ("[tracking_domains.'a.example']\nnot_found_page = 'DIR'", 'tracking_domains."a.example".not_found_page'),
        (
            "[tracker]\ntls_certificate = 'DIR/none'\n[tracker.listen.'127.0.0.1:0']\ntls = 'on'",
            "tracker.tls_certificate: cannot read",
        ),
        (
            "[tracking_domains.'a.example']\ntls_certificate = 'DIR/large'\n[tracker.listen.'127.0.0.1:0']\ntls = 'on'",
            'tracking_domains."a.example".tls_certificate: ',
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(StartupError) as caught:
        check_tracker_parts(_settings(tmp_path, text))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_domain_has_what_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "all.html").write_bytes(b"all")
    (tmp_path / "a.html").write_bytes(b"a")
    text = """
    [tracker]
    not_found_page = 'DIR/all.html'
    unknown_hosts = 'refuse'
    [tracking_domains."A.example"]
    not_found_page = 'DIR/a.html'
    [tracking_domains."b.example:8080"]
    serve = false
    [tracking_domains."c.example"]
    """
    domains = domains_of(_settings(tmp_path, text))

    def of(host: str) -> tuple[bool, bytes]:
        domain = domains.of(_request(host))
        return domain.serve, domain.not_found.body

    assert of("a.example") == of("A.EXAMPLE.:443") == (True, b"a")
    assert of("b.example:8080") == (False, b"all")
    assert of("c.example") == (True, b"all")
    assert of("b.example") == of("") == of("evil.example") == of(":::") == (False, b"all")


def test_certificates_are_those_of_domains_without_their_ports(tmp_path: Path) -> None:
    text = "[tracker]\ntls_certificate='d'\n[tracking_domains.'A.example:8443']\ntls_certificate='a'\ntls_key='k'"
    files = certificate_files(_settings(tmp_path, text))
    assert {name: (str(each.certificate), str(each.key)) for name, each in files.items()} == {
        "": ("d", "d"),
        "a.example": ("a", "k"),
    }


def test_the_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    limits = http_limits(
        _settings(tmp_path, "[tracker]\nidle_timeout='9s'\nheader_timeout=7\nmax_connections=5").tracker
    )
    assert (limits.idle_timeout, limits.header_timeout, limits.connections) == (9, 7, 5)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ((-80, 10), "expires on"),
        ((-80, -1), "has expired"),
        ((1, 90), "is not valid before"),
        ((-1, 80), ""),
        ((-1, 2), ""),
    ],
)
def test_certificates_near_their_end_are_said(tmp_path: Path, days: tuple[float, float], said: str) -> None:
    certificate, key = make_certificate("a.example", days=days).write(tmp_path)
    text = f"[tracker]\ntls_certificate='{certificate}'\ntls_key='{key}'\n[tracker.listen.'127.0.0.1:0']\ntls = 'on'"
    lines = list(cautions(_settings(tmp_path, text), NOW))
    assert [said in line for line in lines] == ([True] if said else [])


def test_a_certificate_that_nothing_uses_is_said(tmp_path: Path) -> None:
    lines = list(cautions(_settings(tmp_path, "[tracker]\ntls_certificate='x'"), NOW))
    assert lines == ['tracker.tls_certificate: does nothing, as no address of tracker.listen has tls = "on"']


def test_connections_that_open_files_do_not_allow_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    limit = [(1024, 4096)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limit[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, new: limit.append(new))

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            said.append({"event": event, **fields})

    log: Any = Log()
    assert connections_within(500, log) == 500
    assert limit == [(1024, 4096)]
    assert connections_within(3000, log) == 3000
    assert limit[-1] == (3256, 4096)
    assert said == []
    assert connections_within(10_000, log) == 3840
    assert limit[-1] == (4096, 4096)
    assert said == [{"event": "open files limit the connections", "wanted": 10_000, "connections": 3840}]
