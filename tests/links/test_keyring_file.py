from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailwake.clock import ManualClock
from mailwake.links.keyring import KeyringError
from mailwake.links.keyring_file import RELOAD_PAUSE, KeyringFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_first_use_makes_a_private_file_that_is_read_ever_after(path: Path) -> None:
    keyring = KeyringFile(path, clock=ManualClock(1234.5)).load_or_create()
    assert keyring.current == 1
    assert keyring.keys[1].created == 1234
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyringFile(path).load_or_create() == keyring
    assert os.listdir(path.parent) == ["keys.json"]


def test_secrets_are_random(path: Path, tmp_path: Path) -> None:
    one = KeyringFile(path).load_or_create()
    other = KeyringFile(tmp_path / "other.json").load_or_create()
    assert one.keys[1].secret != other.keys[1].secret


def test_processes_that_start_at_once_agree_on_one_key(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mailwake.links.keyring_file import KeyringFile\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"print(KeyringFile(Path({str(path)!r})).load_or_create().keys[1].secret.hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    secrets = {process.communicate(timeout=60)[0] for process in processes}
    assert len(secrets) == 1
    assert len(secrets.pop().strip()) == 128
    assert os.listdir(path.parent) == ["keys.json"]


def test_rotation_is_seen_by_others_when_they_look(path: Path) -> None:
    worker = KeyringFile(path)
    first = worker.load_or_create()
    assert worker.reload_if_changed() is None
    rotated = KeyringFile(path).rotate()
    assert rotated.current == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert worker.reload_if_changed() == rotated
    assert worker.reload_if_changed() is None
    assert rotated.keys[1] == first.keys[1]


def test_rotations_at_once_lose_no_key(path: Path) -> None:
    KeyringFile(path).load_or_create()
    program = (
        "from pathlib import Path; from mailwake.links.keyring_file import KeyringFile\n"
        f"for _ in range(5): KeyringFile(Path({str(path)!r})).rotate()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert set(KeyringFile(path).load().keys) == set(range(1, 17))


def test_unknown_keys_make_it_look_once_a_second_at_most(path: Path) -> None:
    clock = ManualClock()
    worker = KeyringFile(path, clock=clock)
    worker.load_or_create()
    assert worker.reload_for_unknown_key() is None
    rotated = KeyringFile(path).rotate()
    clock.advance(RELOAD_PAUSE / 2)
    assert worker.reload_for_unknown_key() is None
    clock.advance(RELOAD_PAUSE / 2)
    assert worker.reload_for_unknown_key() == rotated


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606])
def test_a_file_that_others_may_read_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    KeyringFile(path).load_or_create()
    path.chmod(mode)
    with pytest.raises(KeyringError, match=rf"mode {mode:04o}\); run: chmod 600 .*keys\.json$"):
        KeyringFile(path).load_or_create()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 300,
        b"{",
        b"[]",
        b'{"version":1,"current":1,"keys":[]}',
        b'{"version":1,"current":1,"keys":[{"id":1,"secret":"QUJD"}]}',
        b'{"version":1,"current":1,"keys":[{"id":1,"secret":"?"}]}',
        b'{"version":2,"current":1,"keys":[]}',
        b'\xff\xfe{"version":1}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_one_line_and_never_written_over(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    for attempt in (KeyringFile(path).load_or_create, KeyringFile(path).rotate):
        with pytest.raises(KeyringError) as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_running_workers_keep_their_keys_when_the_file_is_spoilt(path: Path) -> None:
    worker = KeyringFile(path)
    worker.load_or_create()
    path.write_bytes(b"spoilt")
    assert worker.reload_if_changed() is None
    path.unlink()
    assert worker.reload_if_changed() is None


def test_a_missing_file_or_directory_says_what_to_do(path: Path) -> None:
    for attempt in (KeyringFile(path).load, KeyringFile(path).rotate):
        with pytest.raises(KeyringError, match="start the service once"):
            attempt()
    with pytest.raises(KeyringError, match="cannot write the keys"):
        KeyringFile(path.parent / "absent" / "keys.json").load_or_create()


def test_the_file_says_nothing_but_keys(path: Path) -> None:
    KeyringFile(path).load_or_create()
    stored = json.loads(path.read_bytes())
    assert stored.keys() == {"version", "current", "keys"}
    assert stored["keys"][0].keys() == {"id", "secret", "created"}
