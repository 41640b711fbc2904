"""An upgrade that fails at the last moment; those that succeed are in tests/scenarios."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from pathlib import Path
from typing import NoReturn
from urllib.request import urlopen

import pytest

from mailwake.config.load import load
from mailwake.errors import StartupError
from mailwake.service.data_directory import DataDirectory
from mailwake.service.handover import SavedSupervisor
from mailwake.service.health import HealthServer
from mailwake.service.ports import Ports
from mailwake.service.reload import ConfigurationReloader
from mailwake.service.serve_request import ServeRequest
from mailwake.service.supervisor import HELD_BACK
from mailwake.service.upgrade import Upgrade

NOTHING = SavedSupervisor(generations=[], counters=[], asked=[])


def _status(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
        return int(answer.status)


async def test_a_disk_without_room_for_the_handover_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    data = DataDirectory(tmp_path)
    data.prepare()
    data.lock()
    admin = socket.create_server(("127.0.0.1", 0))
    fixed = {"data_dir": str(tmp_path)}
    request = ServeRequest(read=lambda: load(host_name="a.example"), smtp=None, tracker=None, role="all", demo=True)
    upgrade = Upgrade(ConfigurationReloader(request, fixed, data, Ports(), ("json", "error")), admin, "")
    upgrade.health = HealthServer(admin, lambda: (True, {}), dict)
    upgrade.health.start()
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StartupError, match="temporary file for the new version: No space left on device"):
        await upgrade.replace(lambda: NOTHING)
    with pytest.raises(StartupError, match="temporary file"):
        await upgrade.check(NOTHING)
    assert not HELD_BACK & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert await asyncio.to_thread(_status, admin.getsockname()[1]) == 200
    upgrade.health.close()
    assert data._lock is not None
    data._lock.close()
