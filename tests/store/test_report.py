"""Reports of the embedded store against counting by hand, and what a file of the first format becomes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tests.store.events import event, everything
from tests.store.reference_report import report as by_hand
from tests.store.report_contract import ALL, HERE, ReportContract, story

from mailwake.config.store_settings import Store
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import open_store
from mailwake.store.filters import Filters, QuestionError
from mailwake.store.measures import MEASURES
from mailwake.store.question import Question
from mailwake.store.report_question import HOUR, WEEK, By, ReportQuestion, TimeSpans
from mailwake.store.schema import LOAD, MIGRATIONS, make_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.store.contract import EventStore


class TestDuckDb(ReportContract):
    @pytest.fixture
    def make_store(self, make_duckdb_store: Callable[[], EventStore]) -> Callable[[], EventStore]:
        return make_duckdb_store


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"metrics": ("count_clickd",)}, "did you mean count_clicked"),
        ({"metrics": ()}, "from 1 to"),
        ({"metrics": ("count_clicked", "count_clicked")}, "each once"),
        ({"metrics": ("count_injected",), "by": By.LINK}, "not counted for each link"),
        ({"order_by": "count_injected"}, "not among"),
        ({"limit": 0}, "limit"),
        ({"limit": 10_000_000}, "limit"),
        ({"offset": -1}, "offset"),
        ({"where": Filters(since=1)}, "both ends"),
    ],
)
def test_what_cannot_be_counted_is_said(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        ReportQuestion(**{"where": ALL, "metrics": ("count_clicked",), **wrong})


async def test_times_before_1970_are_in_spans_of_their_own(make_duckdb_store: Callable[[], EventStore]) -> None:
    events = [event(place, timestamp=moment) for place, moment in enumerate((-HOUR - 1, -HOUR, -1, 0, 1))]
    with closing(make_duckdb_store()) as store:
        await store.open()
        await store.load(events, HERE)
        for by, spans in ((By.TIME, TimeSpans(width=HOUR)), (By.TIME, TimeSpans()), (By.WEEK_HOUR, TimeSpans())):
            where = Filters(since=-WEEK, until=WEEK)
            question = ReportQuestion(where=where, metrics=("count_clicked",), by=by, spans=spans)
            assert await store.report(question) == by_hand(events, question)


async def test_a_file_of_the_first_format_gives_the_same_events_and_counts(tmp_path: Path) -> None:
    events = [*story(), everything(), event(10_000, message_id="no id of ours", transmission_id=7)]
    with closing(open_store(tmp_path / "new", Store())) as new:
        await new.open()
        await new.load(events, HERE)
    (tmp_path / "old").mkdir()
    with duckdb.connect(str(tmp_path / "old" / FILE_NAME)) as database:
        database.execute("SELECT 1")
        make_tables(database, 0, MIGRATIONS[:1])
        database.execute("INSERT INTO state VALUES (5, 1, 100, 1, false)")
        database.execute(f"ATTACH '{tmp_path / 'new' / FILE_NAME}' AS new (READ_ONLY)")
        columns = [name for (name, *_) in database.execute("DESCRIBE events").fetchall()]
        whole = (
            "CASE WHEN recipient_index < 65536 THEN format('{:016x}{:04x}', transmission_id, recipient_index)"
            " ELSE message_id END"
        )
        values = {"message_id": whole, "message_key": "0", "recipient_key": "recipient_key", LOAD: "1"}
        selected = ", ".join(values.get(name, f'"{name}"') for name in columns)
        database.execute(f"INSERT INTO events SELECT {selected} FROM new.events")
    with closing(open_store(tmp_path / "old", Store())) as old, closing(open_store(tmp_path / "new", Store())) as new:
        await old.open()
        await new.open()
        assert await old.verify() == []
        assert (await old.search(Question())).events == (await new.search(Question())).events
        question = ReportQuestion(where=ALL, metrics=tuple(MEASURES))
        assert await old.report(question) == await new.report(question)
        assert await old.position() == HERE
