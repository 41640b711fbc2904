"""A file of the collector's that is damaged: it says so, keeps its process, and goes on when the file is moved away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario


def test_it_goes_on_when_the_file_is_moved_away(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--role", "collector")
    positions = service.data / "positions.sqlite3"
    wait_until(positions.exists, "the collector has its files")
    assert service.stop() == 0
    positions.write_bytes(b"nonsense" * 1000)
    service = start_mailwake("--role", "collector")
    wait_until(lambda: service.metric("mailwake_collector_failures_total") >= 1, "it says that it cannot begin")
    assert "positions.sqlite3: file is not a database" in service.log
    positions.unlink()
    wait_until(lambda: positions.exists() and positions.read_bytes()[:6] == b"SQLite", "it goes on")
    assert service.metric("mailwake_worker_restarts_total") == 0
