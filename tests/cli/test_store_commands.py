"""`mailwake store` as an operator uses it, with the service stopped and beside it."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import duckdb
import pytest
from tests.cli.running_api import running_api
from tests.store.events import START, event
from typer.testing import CliRunner

from mailwake.cli.store_commands import app
from mailwake.clock import iso_time
from mailwake.config.store_settings import Store
from mailwake.errors import MailwakeError
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.service.data_directory import DataDirectory
from mailwake.store.contract import StoreError
from mailwake.store.duckdb_file import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with closing(FeedWriter(directory.feed)) as writer:
        writer.append([encode_event(event(number)) for number in range(20)], {})
    return directory


def call(data: DataDirectory, *arguments: str, config: str = "", exit_code: int = 0) -> Result:
    options = ["--data", str(data.path)]
    if config:
        file = data.path.with_name("mailwake.toml")
        file.write_text(config)
        options += ["--config", str(file)]
    result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def test_rebuild_then_status_then_verify(data: DataDirectory) -> None:
    with pytest.raises(StoreError, match="has no store yet"):
        call(data, "status")
    assert "20 events from the feed, 0 more from the old store" in call(data, "rebuild").output
    known = json.loads(call(data, "status", "--json").stdout)
    assert known["events"] == 20
    assert (known["oldest"], known["newest"]) == (iso_time(START / 1000), iso_time(START / 1000 + 19))
    assert "events" in call(data, "status").stdout
    assert "the store is whole" in call(data, "verify").output


def test_verify_says_what_is_missing(data: DataDirectory) -> None:
    call(data, "rebuild", config="store.keep = 0\n")
    with duckdb.connect(data.store / FILE_NAME) as database:
        database.execute("DELETE FROM events WHERE event_id IN (3, 4)")
        database.execute("INSERT INTO events SELECT * FROM events WHERE event_id = 5")
    said = call(data, "verify", config="store.keep = 0\n", exit_code=1).stdout
    assert "2 events of the feed are not in the store, among them 3, 4" in said
    assert "1 events are there twice" in said


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such data directory"):
        call(DataDirectory(tmp_path / "nowhere"), "status")


@contextmanager
def admin(text: str) -> Iterator[str]:
    """Something that answers /metrics."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_beside_a_running_service_it_asks_the_service(data: DataDirectory) -> None:
    service = DataDirectory(data.path)
    service.lock()
    for order in ("verify", "rebuild"):
        with pytest.raises(MailwakeError, match="in use by another mailwake; stop it"):
            call(data, order)
    with admin("# TYPE mailwake_store_events gauge\nmailwake_store_events 7.0\n") as address:
        said = call(data, "status", "--json", config=f'admin_listen = "{address}"\n').stdout
    assert json.loads(said) == {"events": 7, "octets": 0, "up": 0, "behind_seconds": 0}
    with pytest.raises(StoreError, match="does not answer"):
        call(data, "status", config=f'admin_listen = "{address}"\n')
    service.unlock()


def test_what_it_says_beside_a_service_is_what_it_says_without(data: DataDirectory) -> None:
    call(data, "rebuild")
    alone = json.loads(call(data, "status", "--json").stdout)
    metrics = "mailwake_store_up 1.0\nmailwake_store_events 7.0\nmailwake_store_behind_seconds 3.0\n"
    with running_api(data, Store(memory_limit=128 << 20)), admin(metrics) as address:
        beside = json.loads(call(data, "status", "--json", config=f'admin_listen = "{address}"\n').stdout)
    assert beside == {**alone, "up": 1, "behind_seconds": 3}
    with running_api(data, Store(memory_limit=128 << 20)):  # and nobody at the admin address
        beside = json.loads(call(data, "status", "--json", config='admin_listen = "127.0.0.1:1"\n').stdout)
    assert beside == alone
