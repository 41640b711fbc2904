"""Every start-up failure is one line that says what to do, and no traceback."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.scenario


def _serve(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "mailwake", "serve", "--data", str(tmp_path / "data"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr.strip()


def test_no_next_hop(tmp_path: Path) -> None:
    status, said = _serve(tmp_path)
    assert status == 1
    assert said.startswith("mailwake: no next hop: ")
    assert "--demo" in said
    assert "\n" not in said


@pytest.mark.parametrize("flag", ["--smtp", "--tracker", "--admin"])
def test_a_taken_port(tmp_path: Path, flag: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        others = {"--smtp": "127.0.0.1:0", "--tracker": "127.0.0.1:0", "--admin": "127.0.0.1:0"} | {flag: address}
        status, said = _serve(tmp_path, "--demo", *(word for pair in others.items() for word in pair))
    assert status == 1
    assert address in said
    assert "another program listens there; stop it or choose another port" in said


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    status, said = _serve(tmp_path, "--demo")
    assert status == 1
    assert "cannot write to" in said
    assert "move away the file that stands in its place" in said
    assert "--data" in said


@pytest.mark.parametrize("part", ["lock", "journal", "ids", "node_id"])
def test_a_part_of_the_data_directory_that_is_in_the_way(tmp_path: Path, part: str) -> None:
    """Tests may run as root, whom no rights keep out: a file stands where a directory should be, or the other way."""
    (tmp_path / "data").mkdir()
    if part in ("journal", "ids"):
        (tmp_path / "data" / part).write_text("")
    else:
        (tmp_path / "data" / part).mkdir()
    status, said = _serve(tmp_path, "--demo")
    assert (status, said.count("\n")) == (1, 0)
    assert f"data_dir: cannot write to {tmp_path}/data/{part}: " in said
    assert "or choose another directory with --data" in said


def test_keys_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.json").write_text("{}")
    (tmp_path / "data" / "keys.json").chmod(0o644)
    status, said = _serve(tmp_path, "--demo")
    assert status == 1
    assert "chmod 600" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "open_trackin_enabled=true"], "did you mean 'open_tracking_enabled'"),
        (["--set", "tracking_link_expiry=soon"], "tracking_link_expiry"),
        (["--set", "nonsense"], "NAME=VALUE"),
        (["--config", "absent.toml"], "absent.toml"),
        (["--role", "cook"], "all, smtp, tracker"),
        (["--smtp", "nonsense"], "HOST:PORT"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, arguments: list[str], expected: str) -> None:
    status, said = _serve(tmp_path, "--demo", *arguments)
    assert status == 1
    assert expected in said
    assert "\n" not in said


def test_a_certificate_that_is_absent(tmp_path: Path) -> None:
    status, said = _serve(tmp_path, "--demo", "--set", "esmtp_listener.tls_certificate=/nonexistent/cert.pem")
    assert status == 1
    assert "/nonexistent/cert.pem" in said


def test_a_spool_that_no_worker_could_use(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    spool = tmp_path / "data" / "spool.sqlite3"
    spool.write_text("this is no database, whatever its name says")
    status, said = _serve(tmp_path, "--demo")
    assert (status, said.count("\n")) == (1, 0)
    assert "cannot open the spool" in said
    spool.unlink()
    with closing(sqlite3.connect(spool)) as database:
        database.execute("PRAGMA user_version=999")
    status, said = _serve(tmp_path, "--demo")
    assert (status, said.count("\n")) == (1, 0)
    assert "has format 999" in said
    assert "install a later one" in said


@pytest.mark.parametrize("role", ["all", "collector"])
def test_a_second_service_on_the_same_data(tmp_path: Path, role: str) -> None:
    import fcntl

    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, said = _serve(tmp_path, "--demo", "--role", role)
    assert status == 1
    assert "in use by another mailwake" in said
    assert "\n" not in said
