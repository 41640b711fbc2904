"""Mail goes on while the store is backed up; the file and the feed make the same store in another directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.scenarios.conftest import PATIENCE, Mailwake, wait_until

pytestmark = pytest.mark.scenario

MESSAGE = (
    b"From: a@shop.example\r\nSubject: hello\r\nContent-Type: text/html\r\n\r\n<a href='http://shop.example/'>x</a>\r\n"
)


def store(service: Mailwake, *arguments: str) -> str:
    command = [sys.executable, "-m", "mailwake", "store", *arguments, "--data", str(service.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class Load:
    """A client that sends mail until it is told to stop."""

    def __init__(self, service: Mailwake) -> None:
        self._service = service
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        with self._service.client() as client:
            while not self._stop.wait(0.01):  # no flood: others test on this machine, too
                client.sendmail("a@shop.example", [f"ann{self.sent}@example.org"], MESSAGE)
                self.sent += 1

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def test_a_backup_under_load_is_restored_elsewhere(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    service = start_mailwake("--demo", "--workers", "1")
    load = Load(service)
    try:
        wait_until(lambda: service.metric("mailwake_store_events") > 20, "the store is loaded")
        before = load.sent
        said = store(service, "backup", str(tmp_path / "kept.duckdb"))
        in_backup = int(said.partition(": ")[2].partition(" events")[0])
        assert in_backup > 20
        wait_until(lambda: load.sent > before + 20, "mail went on")
        store(service, "export", str(tmp_path / "events.parquet"), "--event", "injection")
    finally:
        load.end()
    wait_until(lambda: service.metric("mailwake_store_events") >= 2 * load.sent, "all is in the store")
    total = 2 * load.sent  # an injection and a delivery each
    assert service.metric("mailwake_store_events") == total > in_backup
    assert service.stop() == 0

    (tmp_path / "elsewhere").mkdir()
    restored = Mailwake(tmp_path / "elsewhere", "--demo", "--workers", "1")
    shutil.copytree(service.data, restored.data, ignore=shutil.ignore_patterns("store", "lock"))
    (restored.data / "store").mkdir(mode=0o700)
    shutil.copy(tmp_path / "kept.duckdb", restored.data / "store" / "store.duckdb")
    restored.start()
    try:
        wait_until(lambda: restored.metric("mailwake_store_events") == total, "the loader has gone on")
        assert restored.metric("mailwake_store_events_loaded_total") == total - in_backup
    finally:
        assert restored.stop() == 0
    assert "the store is whole" in store(restored, "verify")
