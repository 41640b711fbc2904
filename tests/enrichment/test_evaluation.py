"""The shipped rules over the labelled set: no worse than the documentation says; the set is what its program makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.enrichment.bench import AGENTS
from tests.enrichment.labelled.make_labelled import texts
from tools.evaluate_bots import Evaluation, evaluate, markdown, mistake_rows

from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.enricher import Enricher
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "bots.md"

KNOWN_MISTAKES = {
    "opens two links right on arrival",
    "opens three links in three tabs",
    "has the newest message always on show",
    "scanner follows one link quietly",
    "scanner takes its time",
    "investigation hours later",
}
"""Scenarios that no rule can tell apart; docs/bots.md says so."""


def judged(rules: Path | None = None) -> Evaluation:
    settings = Enrichment(bot_rules=rules)
    return evaluate(enricher=Enricher(settings, make_logger("json", "error"), Metrics(), agents=AGENTS))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return judged()


def test_the_set_is_what_its_program_makes() -> None:
    for path, text in texts():
        assert path.read_text(encoding="utf-8") == text, "run python -m tests.enrichment.labelled.make_labelled"


def test_the_set_is_large_enough_to_say_something(evaluation: Evaluation) -> None:
    assert len(evaluation.judged) > 600
    assert {each.label for each in evaluation.judged} == {"person", "machine", "ahead"}


def test_the_rules_do_no_worse_than_the_documentation_says(evaluation: Evaluation) -> None:
    clicks, opens, left = (evaluation.counts(kind) for kind in ("clicks", "opens", "unsubscriptions"))
    assert clicks["person", True] <= 10
    assert clicks["machine", False] <= 24
    assert opens["person", True] <= 3
    assert opens["machine", False] == left["person", True] == left["machine", False] == 0
    assert all(each.is_right for each in evaluation.judged if each.label == "ahead")
    assert {scenario for scenario, _ in mistake_rows(evaluation)} <= KNOWN_MISTAKES


def test_the_documentation_has_these_tables(evaluation: Evaluation) -> None:
    assert markdown(evaluation) in PAGE.read_text(encoding="utf-8"), "run python tools/evaluate_bots.py --markdown"


def test_without_its_rules_it_does_worse(tmp_path: Path, evaluation: Evaluation) -> None:
    rules = tmp_path / "rules.toml"
    names = ("many-links-at-once", "two-links-at-once-early", "head-then-get", "honeypot", "before-anybody-could")
    rules.write_text("".join(f'[[rule]]\nname = "{name}"\nenabled = false\n' for name in names))
    assert len(judged(rules).mistakes) > len(evaluation.mistakes) + 100
