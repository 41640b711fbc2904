"""What holds for all tests: no limit on a machine's speed, and the corpus of real mail where there is one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from benchmarks.corpus import CorpusFile, read_corpus
from hypothesis import settings

settings.register_profile("mailwake", deadline=None)
settings.load_profile("mailwake")

CORPUS = Path(os.environ.get("MAILWAKE_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))


@pytest.fixture(scope="session")
def corpus() -> list[CorpusFile]:
    """Every HTML file of the corpus."""
    if not (CORPUS / "manifest.json").exists():
        pytest.skip(f"NO CORPUS at {CORPUS}: nothing is checked against real mail; set MAILWAKE_CORPUS")
    return read_corpus(CORPUS)


@pytest.fixture(scope="session")
def adversarial() -> list[dict[str, Any]]:
    """Hostile and odd snippets with the links that HTML5 parsers find."""
    path = CORPUS / "adversarial.json"
    if not path.exists():
        pytest.skip(f"NO CORPUS at {CORPUS}: hostile snippets are not checked; set MAILWAKE_CORPUS")
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows
