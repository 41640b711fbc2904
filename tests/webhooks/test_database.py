"""The file of webhooks: its owner's alone, durable, and not of a later release."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailwake.webhooks.database import WebhooksDatabase, WebhooksFileError


def test_a_file_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    WebhooksDatabase(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=2")
    with pytest.raises(WebhooksFileError, match="is of a later release of mailwake; use that one"):
        WebhooksDatabase(path)


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    (tmp_path / "directory").mkdir()
    for name in ("text", "directory", "missing/w"):
        with pytest.raises(WebhooksFileError, match=rf"{name}: .*; free space or mend the rights"):
            WebhooksDatabase(tmp_path / name)


def test_commits_are_synced_and_a_failed_change_is_undone(tmp_path: Path) -> None:
    with closing(WebhooksDatabase(tmp_path / "w.sqlite3")) as database:
        with database.reading() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with pytest.raises(RuntimeError):
            _fail_in_the_middle(database)
        with database.changing() as connection:
            assert connection.execute("SELECT count(*) FROM webhooks").fetchone() == (0,)


def _fail_in_the_middle(database: WebhooksDatabase) -> None:
    with database.changing() as connection:
        connection.execute("INSERT INTO webhooks (id, definition, created, segment, place) VALUES ('a','',0,0,0)")
        raise RuntimeError
