"""`mailwake store` with ClickHouse, as an operator uses it; beside the service for all but `rebuild`."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.store.clickhouse_server import PASSWORD, USER
from tests.store.events import START, event
from typer.testing import CliRunner

from mailwake.cli.store_commands import app
from mailwake.clock import iso_time
from mailwake.errors import MailwakeError
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.service.data_directory import DataDirectory
from mailwake.store.clickhouse_http import ClickHouseHttp, Server
from mailwake.store.clickhouse_tables import loader_of
from mailwake.store.contract import StoreError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path, clickhouse: Server) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with closing(FeedWriter(directory.feed)) as writer:
        writer.append([encode_event(event(number)) for number in range(20)], {})
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "mailwake.toml").write_text(
        f'[store]\nengine = "clickhouse"\nkeep = 0\nurl = "{clickhouse.url}"\ndatabase = "{clickhouse.database}"\n'
        f'username = "{USER}"\npassword_file = "{tmp_path / "password"}"\n'
    )
    return directory


def call(data: DataDirectory, *arguments: str, exit_code: int = 0) -> str:
    options = ["--data", str(data.path), "--config", str(data.path.with_name("mailwake.toml"))]
    result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


def test_rebuild_brings_back_what_is_missing_and_removes_nothing(data: DataDirectory, clickhouse: Server) -> None:
    with pytest.raises(StoreError, match="has no store yet"):
        call(data, "status")
    loader_of(data.store)  # which the service makes
    assert "20 events of the feed were missing, and are there again" in call(data, "rebuild")
    data.lock()  # the service runs
    known = json.loads(call(data, "status", "--json"))
    assert (known["events"], known["newest"]) == (20, iso_time(START / 1000 + 19))
    assert "the store is whole" in call(data, "verify")
    with closing(ClickHouseHttp(clickhouse)) as server:
        server.ask("DELETE FROM events WHERE event_id IN (3, 4)", settings={"lightweight_deletes_sync": 2})
    assert "2 events of the feed are not in the store, among them 3, 4" in call(data, "verify", exit_code=1)
    with pytest.raises(MailwakeError, match="in use"):
        call(data, "rebuild")
    data.unlock()
    assert "2 events of the feed were missing" in call(data, "rebuild")
    assert "the store is whole" in call(data, "verify")
