"""A Unix socket beside TCP: several workers, a reload under way, and no trace of it afterwards."""

from __future__ import annotations

import signal
import smtplib
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .conftest import PATIENCE, Mailwake, wait_until


class UnixClient(smtplib.SMTP):
    """smtplib over a Unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("localhost", 25, timeout=PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(str(self._path))
        return connection


def _send(path: Path) -> None:
    with UnixClient(path) as client:
        client.sendmail("a@sender.example", ["r@rcpt.example"], b"Subject: Hello\r\n\r\nHi\r\n")


def test_it_is_served_reloaded_and_removed(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    path, config = tmp_path / "smtp.sock", tmp_path / "mailwake.toml"
    config.write_text(f'[esmtp_listener.listen."unix:{path}"]\nsocket_mode = "0600"\n')
    service = start_mailwake("--demo", "--config", str(config), "--smtp", f"unix:{path}", "--set", "workers=2")
    assert f"mailwake: SMTP on unix:{path}, 2 workers\n" in service.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with UnixClient(path) as before:
        config.write_text(f'[esmtp_listener.listen."unix:{path}"]\nsocket_mode = "0622"\n')
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.metric("mailwake_config_reloads_total") == 1, "reloaded")
        assert stat.S_IMODE(path.stat().st_mode) == 0o622
        for _ in range(10):
            _send(path)
        assert before.noop()[0] == 250
    stored = list((service.data / "maildir" / "new").iterdir())
    assert len(stored) == 10
    assert b"(Unix socket)\n" in stored[0].read_bytes().replace(b"\r\n", b"\n")
    assert service.stop() == 0
    assert not path.exists()


def test_after_a_crash_the_stale_file_is_replaced_but_never_a_live_one(
    start_mailwake: Callable[..., Mailwake], tmp_path: Path
) -> None:
    path = tmp_path / "smtp.sock"
    first = start_mailwake("--demo", "--smtp", f"unix:{path}")
    command = [sys.executable, "-m", "mailwake", "serve", "--demo", "--smtp", f"unix:{path}"]
    command += ["--tracker", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", str(tmp_path / "other")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 1
    assert f"cannot listen on unix:{path}: another program listens there" in second.stderr
    _send(path)
    first.kill()
    wait_until(lambda: not _answers(path), "the workers have ended, too")
    assert path.exists()
    third = start_mailwake("--demo", "--smtp", f"unix:{path}")
    _send(path)
    assert third.stop() == 0


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except OSError:
        return False
    return True
