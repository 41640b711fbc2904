"""The page about security names tests that exist, one for each attack."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| attack ")]
NAMED = re.findall(r"`([a-z_/]+\.py)::(\w+)`", PAGE)


def test_every_row_names_one_test() -> None:
    assert len(ROWS) > 50
    assert [row for row in ROWS if len(re.findall(r"\.py::", row)) != 1] == []
    assert len(NAMED) == len(ROWS)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name.startswith("test_")
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
