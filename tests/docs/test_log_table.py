"""Whatever the code writes into the log is in the table of src/mailwake/log_table.py, with its level and its fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mailwake.log_fields import EVERY_LINE, FIELDS
from mailwake.log_table import LOG
from mailwake.service.supervisor import OUTCOMES

SOURCE = Path(__file__).resolve().parents[2] / "src" / "mailwake"
EVENTS = {event.name: event for area in LOG for event in area.events}
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


class Written(NamedTuple):
    """A call of a logger's method."""

    where: str
    name: str
    level: str
    """"" where it is chosen at run time."""
    fields: frozenset[str]
    """Those that are spelled out."""


def _literals(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_literals(node.body), *_literals(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _calls() -> Iterator[Written]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            function = node.func
            if isinstance(function, ast.Attribute) and ast.unparse(function.value).endswith("log"):
                level = LEVELS.get(function.attr)
            else:
                level = "" if isinstance(function, ast.Name) and function.id == "log" else None
            if level is not None:
                fields = frozenset(keyword.arg for keyword in node.keywords if keyword.arg) - {"exc_info"}
                for name in _literals(node.args[0]):
                    yield Written(f"{path.relative_to(SOURCE)}:{node.lineno}", name, level, fields)


CALLS = list(_calls())


def test_the_calls_are_found() -> None:
    assert len(CALLS) > 50
    assert {"message", "message refused", "retried", "tried", "connection refused", "AUTH refused"} & {
        call.name for call in CALLS
    } >= {"message", "message refused", "retried", "tried", "AUTH refused"}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.where}-{call.name[:30]}")
def test_what_is_logged_is_in_the_table(call: Written) -> None:
    assert call.name in EVENTS, f"{call.where}: add a row for {call.name!r} to src/mailwake/log_table.py (make docs)"
    event = EVENTS[call.name]
    assert call.level in ("", event.level), call.where
    assert call.fields <= {*event.fields, *EVERY_LINE}, call.where


def test_what_is_in_the_table_is_logged() -> None:
    said = {call.name for call in CALLS} | {text for outcome in OUTCOMES.values() for text in outcome[1:]}
    assert set(EVENTS) <= said


def test_every_field_has_a_meaning_and_every_meaning_a_field() -> None:
    used = {field for event in EVENTS.values() for field in event.fields}
    assert used - set(EVERY_LINE) == set(FIELDS)


def test_no_event_is_described_twice() -> None:
    assert len(EVENTS) == sum(len(area.events) for area in LOG)
