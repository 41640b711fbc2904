"""`mailwake policy new` and `check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwake.cli.main import make_app


def _policy(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(make_app(), ["policy", *arguments])
    return done.exit_code, done.output if done.exception is None or done.exit_code == 0 else str(done.exception)


@pytest.mark.parametrize("name", ["policy.py", "policy.lua"])
def test_a_new_policy_can_be_loaded_at_once_and_is_never_written_over(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    status, said = _policy("new", str(file))
    assert status == 0
    assert f'file = "{file}"' in said
    assert _policy("check", str(file)) == (0, f"{file}: validate_data_spool_each_rcpt\n")
    written = file.read_text()
    status, said = _policy("new", str(file))
    assert (status, file.read_text()) == (1, written)
    assert "is there already" in said


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    assert "ends in .py or .lua" in _policy("new", str(tmp_path / "policy.txt"))[1]
    assert "ends in .py or .lua" in _policy("check", str(tmp_path / "policy.txt"))[1]
    assert "cannot be written: No such file or directory" in _policy("new", str(tmp_path / "no" / "policy.py"))[1]
    assert "no such policy file" in _policy("check", str(tmp_path / "absent.py"))[1]
