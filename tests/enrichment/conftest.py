"""An enricher for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.enrichment.bench import Bench

from mailwake.config.enrichment_settings import Enrichment

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    return lambda **settings: Bench(Enrichment(**settings))


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
