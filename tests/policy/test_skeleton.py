"""The policies to begin with can be loaded and do what they say, with their comments taken away too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mailwake.policy.phases import Phase
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.skeleton import lua_skeleton, python_skeleton


def test_the_python_policy_has_one_phase_and_shows_the_others(tmp_path: Path) -> None:
    path = tmp_path / "policy.py"
    path.write_text(python_skeleton())
    assert PythonPolicy(path).phases == {Phase.EACH_RCPT}
    path.write_text(python_skeleton().replace("\n# ", "\n"))
    assert PythonPolicy(path).phases == set(Phase)
    ast.parse(python_skeleton())


@pytest.mark.parametrize("phase", list(Phase))
def test_the_lua_policy_names_every_phase(phase: Phase) -> None:
    assert f"function mod:{phase}(" in lua_skeleton()
