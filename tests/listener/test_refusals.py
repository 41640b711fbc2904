from __future__ import annotations

import json
from typing import Any

import pytest

from mailwake.listener.refusals import ADDRESSES, Refusals
from mailwake.logs import make_logger


def _refusals() -> Refusals:
    return Refusals(make_logger("json", "info"), "127.0.0.1:25")


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_flood_is_one_line_at_once_and_one_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = _refusals()
    for number in range(10_000):
        refusals.note("too many", "192.0.2.7" if number % 2 else f"192.0.2.{number % 50}", now=number / 1000)
        refusals.sweep(number / 1000)
    (line,) = _lines(capsys)
    assert (line["event"], line["reason"], line["peer"]) == ("client refused", "too many", "192.0.2.0")
    refusals.sweep(59.9)
    assert _lines(capsys) == []
    refusals.sweep(60)
    (line,) = _lines(capsys)
    assert (line["event"], line["count"], line["addresses"]) == ("clients refused", 9999, 26)
    assert (line["most_from"], line["most"]) == ("192.0.2.7", 5000)


def test_a_quiet_minute_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = _refusals()
    refusals.note("too many", "192.0.2.7", now=0)
    refusals.sweep(60)
    refusals.note("too many", "192.0.2.8", now=61, detail="x" * 1000)
    first, second = _lines(capsys)
    assert (first["peer"], second["peer"]) == ("192.0.2.7", "192.0.2.8")
    assert second["detail"] == "x" * 200


def test_each_reason_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = _refusals()
    for reason in ("a", "b", "a", "b", "b"):
        refusals.note(reason, "192.0.2.7", now=0)
    refusals.end()
    assert [(each["reason"], each.get("count")) for each in _lines(capsys)] == [
        ("a", None),
        ("b", None),
        ("a", 1),
        ("b", 2),
    ]


def test_memory_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = _refusals()
    for number in range(3 * ADDRESSES):
        refusals.note("a", f"a{number}", now=0)
    refusals.end()
    assert [(each.get("count"), each.get("addresses")) for each in _lines(capsys)] == [
        (None, None),
        (3 * ADDRESSES - 1, ADDRESSES),
    ]
    assert len(refusals._minutes) == 0
