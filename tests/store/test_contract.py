"""Every implementation keeps the contract: DuckDB, and the list that it is compared with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.events import events, questions
from tests.store.memory_store import MemoryStore
from tests.store.store_contract import StoreContract, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.store.contract import EventStore

    MakeStore = Callable[[], EventStore]


class TestDuckDb(StoreContract):
    @pytest.fixture
    def make_store(self, make_duckdb_store: MakeStore) -> MakeStore:
        return make_duckdb_store


class TestInMemory(StoreContract):
    @pytest.fixture
    def make_store(self) -> Any:
        return MemoryStore


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_duckdb_finds_what_an_obvious_filter_finds(make_duckdb_store: MakeStore, data: st.DataObject) -> None:
    known = data.draw(events(), label="events")
    batch = st.lists(st.sampled_from(known), max_size=20) if known else st.just([])
    batches = data.draw(st.lists(batch, max_size=3), label="batches")
    asked = data.draw(st.lists(questions, min_size=1, max_size=4), label="questions")
    asyncio.run(compare(make_duckdb_store(), [*batches, known], asked))
