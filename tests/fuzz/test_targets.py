"""What the fuzz targets start from, and what they once found, without atheris."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
from tests.fuzz.regressions import REGRESSIONS
from tests.fuzz.run import MISSING, load, main, outcome_of, quoted
from tests.fuzz.target import TARGET_NAMES

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = [(name, data) for name in TARGET_NAMES for data in (*load(name).seeds, *REGRESSIONS.get(name, ()))]


@pytest.mark.parametrize(("name", "data"), INPUTS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(INPUTS)])
def test_seeds_and_regressions(name: str, data: bytes) -> None:
    load(name).check(data)


def test_regressions_are_of_targets() -> None:
    assert set(REGRESSIONS) <= set(TARGET_NAMES)
    for name in TARGET_NAMES:
        assert importlib.util.find_spec(f"tests.fuzz.targets.{name}")


def test_tokens_in_a_dictionary() -> None:
    assert quoted(b'a"\\\r\n\xff') == "a\\x22\\x5C\\x0D\\x0A\\xFF"


def test_without_atheris_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["header"]) == 2
    assert capsys.readouterr().err == f"{MISSING}\n"


def test_one_input_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "input").write_bytes(b"{}")
    assert main(["msys_header", "--input", str(tmp_path / "input")]) == 0
    assert capsys.readouterr().out == "no failure\n"


def test_the_outcome_is_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "#16384\tpulse  cov: 97 ft: 400 corp: 60/2Kb lim: 2048 exec/s: 900 rss: 50Mb\n"
        " === Uncaught Python exception: ===\nAssertionError: x\n\n==1== ERROR: libFuzzer: fuzz target exited\n"
        "artifact_prefix='/x/'; Test unit written to /x/crash-1\nstat::number_of_executed_units: 20000\n"
    )
    outcome = outcome_of("mime", log, 77, 10.0)
    assert str(outcome).split() == [
        "mime",
        "20,000",
        "executions",
        "2,000/s",
        "coverage",
        "97",
        "corpus",
        "60",
        "1",
        "finding",
    ]
    assert outcome.failure.splitlines()[1:4] == [
        "=== Uncaught Python exception: ===",
        "AssertionError: x",
        "reproducer: /x/crash-1",
    ]
    assert outcome.failure.endswith("-m tests.fuzz.run mime --input /x/crash-1")
    assert outcome_of("mime", log, 0, 10.0).failure == ""
