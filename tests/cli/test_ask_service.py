"""How commands ask the running service: at the address it has written down, with a key that is gone afterwards."""

from __future__ import annotations

import http.server
import os
import socket
import stat
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.cli.running_api import running_api

from mailwake.cli.ask_service import ServiceError, ask_service, service_runs
from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.feed.lock import open_lock
from mailwake.file_lock import try_lock
from mailwake.service.addresses import Address
from mailwake.service.api_address import api_address_kept, kept_api_address, reachable
from mailwake.service.data_directory import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailwake.config.schema import Settings


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


@pytest.fixture
def settings() -> Settings:
    return load(None, {}).settings


@contextmanager
def collector(data: DataDirectory) -> Iterator[None]:
    """Holds the feed, as a collector does."""
    descriptor = open_lock(data.feed)
    assert try_lock(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def test_it_asks_with_a_key_that_is_gone_afterwards(data: DataDirectory, settings: Settings) -> None:
    with running_api(data) as parts:
        with ask_service(data, settings, Scope.ADMIN) as service:
            (key,) = parts.keys.list()
            assert (key.scopes, key.customer) == (frozenset([Scope.ADMIN]), None)
            assert key.expires is not None
            assert service.get("/api/openapi.json")["openapi"].startswith("3.")
            with service.download("/api/openapi.json") as pieces:
                assert b"".join(pieces).startswith(b"{")
            with pytest.raises(ServiceError, match=r"the service answers 404: .*/api/v1/nothing"):
                service.get("/api/v1/nothing")
            with pytest.raises(ServiceError, match="the service answers 503: "):
                service.post("/api/v1/privacy/erasures", {"recipient": "a@b.example"})
            with (
                pytest.raises(ServiceError, match="the service answers 400: "),
                service.download("/api/v1/events/message", {"per_page": 0}),
            ):
                pass
        assert parts.keys.list() == []
    assert not data.api_address.exists()


def test_a_scope_allows_no_more_than_it_says(data: DataDirectory, settings: Settings) -> None:
    with (
        running_api(data),
        ask_service(data, settings, Scope.READ) as service,
        pytest.raises(ServiceError, match=r"the service answers 403: .*may read; this needs a key made with"),
    ):
        service.get("/api/v1/privacy/erasures")


def test_keys_of_killed_commands_are_tidied_away_and_no_others(data: DataDirectory, settings: Settings) -> None:
    keys = ApiKeys(data.api_keys, SystemClock())
    keys.create("command line 1 abc", [Scope.READ], expires=1)
    keys.create("command line of ours", [Scope.READ])
    keys.create("another", [Scope.READ], expires=1)
    with running_api(data), ask_service(data, settings, Scope.READ):
        pass
    assert [key.name for key in keys.list()] == ["another", "command line of ours"]


def test_where_nothing_runs_no_key_is_made(data: DataDirectory, settings: Settings) -> None:
    assert not service_runs(data)
    with pytest.raises(ServiceError, match="no mailwake runs on "), ask_service(data, settings, Scope.READ):
        pass
    assert not data.api_keys.exists()


def test_an_api_that_does_not_answer_is_said(data: DataDirectory, settings: Settings) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        port = bound.getsockname()[1]
        with (
            collector(data),
            api_address_kept(data.api_address, [bound]),
            ask_service(data, settings, Scope.READ) as service,
            pytest.raises(ServiceError, match=rf"its API at http://127\.0\.0\.1:{port} does not answer: "),
        ):
            service.get("/api/openapi.json")


def test_whatever_else_answers_there_is_no_traceback(data: DataDirectory, settings: Settings) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with (
            collector(data),
            api_address_kept(data.api_address, [server.socket]),
            ask_service(data, settings, Scope.READ) as service,
        ):
            with pytest.raises(ServiceError, match="the service answers 418: is it mailwake that answers there"):
                service.get("/")
            with pytest.raises(ServiceError, match="answers with no JSON"):
                service.get("/fine")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/fine" else 418)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"tea")

    def log_message(self, *arguments: object) -> None:
        pass


def test_the_address_is_kept_while_it_is_served(tmp_path: Path) -> None:
    path = tmp_path / "api-address"
    assert kept_api_address(path) is None
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        with api_address_kept(path, [listening]):
            assert kept_api_address(path) == f"http://127.0.0.1:{listening.getsockname()[1]}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()
        path.mkdir()  # it cannot be written
        with api_address_kept(path, [listening]):
            assert kept_api_address(path) is None


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        (Address("0.0.0.0", 1), "127.0.0.1:1"),
        (Address("::", 1), "[::1]:1"),
        (Address("10.0.0.1", 1), "10.0.0.1:1"),
        (Address("host.example", 1), "host.example:1"),
    ],
)
def test_every_interface_means_the_loopback(bound: Address, asked: str) -> None:
    assert str(reachable(bound)) == asked
