"""Backups and exports: whole, of one moment, made while the store works, and without anybody who was erased."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.small_disk import fill, mounted
from tests.store.conftest import LIMITS
from tests.store.events import event, everything

from mailwake import csv_text
from mailwake.events.model import NESTED_FIELDS, Event, EventType
from mailwake.events.samples import sample
from mailwake.events.wire import iso_time, wire_fields
from mailwake.feed.contract import Position
from mailwake.store import duckdb_store
from mailwake.store.backup import make_whole
from mailwake.store.condition import Condition
from mailwake.store.contract import StoreError, StoreUnavailableError
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.export import FORMULA, ExportFormat, export_sql
from mailwake.store.filters import Filters
from mailwake.store.made_files import Making
from mailwake.store.question import Question, QuestionError
from mailwake.store.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PARQUET, CSV, EXACT = ExportFormat
EVE = "eve@example.net"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDbStore]:
    with closing(opened := DuckDbStore(tmp_path / "a [store]'s *place", LIMITS, search_timeout=30)) as store:
        await opened.open()
        yield store


def restored(backup: Path, directory: Path) -> DuckDbStore:
    """A store in a new directory, from a backup alone, as the documentation says it."""
    directory.mkdir()
    backup.rename(directory / FILE_NAME)
    return DuckDbStore(directory, LIMITS, search_timeout=30)


def many(number: int, **fields: Any) -> list[Event]:
    chance = random.Random(7)
    return [event(each, user_agent=chance.randbytes(400).hex(), **fields) for each in range(number)]


async def found(store: DuckDbStore) -> list[Event]:
    return (await store.search(Question(per_page=10_000))).events


async def test_a_backup_opens_by_itself_and_holds_all_of_its_moment(store: DuckDbStore, tmp_path: Path) -> None:
    before = [everything(), event(1), event(2)]
    await store.load(before, Position(3, 4))
    cursor = (await store.search(Question(per_page=1))).next_cursor
    making = Making()
    backup = await store.backup("one", making)
    await store.load([event(9)], Position(3, 5))
    assert [each.name for each in backup.parent.iterdir()] == ["one"]  # one file, no log
    assert backup.stat().st_mode & 0o777 == 0o600
    assert (making.events, making.octets) == (3, backup.stat().st_size)
    assert making.octets_expected
    with closing(restored(backup, tmp_path / "new")) as again:
        await again.open()
        assert await again.position() == Position(3, 4)
        assert {each.event_id: each for each in await found(again)} == {each.event_id: each for each in before}
        assert await again.verify() == []
        assert await again.load([event(2), event(9)], Position(3, 5)) == (1, 1)  # as the loader goes on
        with pytest.raises(QuestionError):  # pages of another store
            await again.search(Question(per_page=1, cursor=cursor))
    assert len(await found(store)) == 4


async def test_loads_and_searches_go_on_and_each_backup_is_whole_loads(store: DuckDbStore, tmp_path: Path) -> None:
    backups: list[Path] = []

    async def load() -> int:
        number = 0
        while len(backups) < 3:
            number += 1
            batch = [event(number * 100 + each) for each in range(100)]
            await store.load(batch, Position(1, number))
            assert (await store.search(Question(per_page=1))).total_count == number * 100
        return number

    loading = asyncio.create_task(load())
    for each in range(3):
        backups.append(await store.backup(f"{each}", Making()))
    loaded = await loading
    for number, backup in enumerate(backups):
        with closing(restored(backup, tmp_path / f"new {number}")) as again:
            await again.open()
            batches = (await again.position()).offset
            assert 0 <= batches <= loaded
            assert (await again.status()).events == batches * 100
            assert await again.verify() == []


async def test_what_makes_an_event_comes_back_from_each_form(store: DuckDbStore) -> None:
    plain = [msgspec.structs.replace(sample(kind), event_id=kind.value) for kind in EventType]
    anonymous = event(77, transmission_id=0, message_id="", rcpt_to="", recipient_domain="")
    events = [everything(), anonymous, *plain]
    await store.load(events, Position(1, 1))
    expected = {str(each.event_id): flat(each) for each in await found(store)}
    assert set(expected[str(everything().event_id)]) == set(COLUMNS)

    making = Making()
    parquet = await store.export(Filters(), PARQUET, "e.parquet", making)
    assert (making.events, making.octets) == (len(events), parquet.stat().st_size)
    assert parquet.stat().st_mode & 0o777 == 0o600
    assert {row["event_id"]: row for row in from_parquet(parquet)} == expected

    exact = await store.export(Filters(), EXACT, "e.csv", Making())
    assert {row["event_id"]: row for row in from_csv(exact)} == expected


async def test_a_time_that_no_calendar_has_costs_that_time_alone(store: DuckDbStore) -> None:
    await store.load([event(1), event(2, timestamp=1 << 60, injection_time=1 << 62)], Position(1, 1))
    for form, read in ((PARQUET, from_parquet), (CSV, from_csv)):
        rows = read(await store.export(Filters(), form, form.value, Making()))
        assert [("timestamp" in row, row["event_id"]) for row in rows] == [(True, "1"), (False, "2")]


async def test_no_cell_of_a_csv_is_a_formula(store: DuckDbStore) -> None:
    evil = '=HYPERLINK("http://evil.example";"look")'
    await store.load([event(1, subject=evil, rcpt_tags=(evil,), target_link_name="-1", latitude=-3.5)], Position(1, 1))
    (row,) = from_csv(await store.export(Filters(), CSV, "safe.csv", Making()))
    assert (row["subject"], row["target_link_name"], row["latitude"]) == (f"'{evil}", "'-1", -3.5)
    assert row["rcpt_tags"] == [evil]
    (row,) = from_csv(await store.export(Filters(), EXACT, "exact.csv", Making()))
    assert (row["subject"], row["target_link_name"]) == (evil, "-1")


_ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
_ODD = st.text(
    st.sampled_from(" \t\r\n\x00\x0b\x1c\x85\xa0\u2003\u2028\u3000=+-@\uff1d\uff0b\uff0d\uff20'ab"), min_size=1
)


@settings(max_examples=10)
@given(st.lists(_ANY | _ODD, min_size=20, max_size=200))
def test_the_engine_takes_for_a_formula_what_all_csv_here_does(texts: list[str]) -> None:
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT regexp_matches(t, '{FORMULA}') FROM (SELECT unnest(?) AS t)", [texts])
        said = [is_formula for (is_formula,) in rows.fetchall()]
    assert said == [
        next(csv_text.csv_lines([each], []))[:2].lstrip('"')[:1] == "'" and each[0] != "'" for each in texts
    ]


async def test_filters_choose_and_a_customer_gets_only_its_own(store: DuckDbStore) -> None:
    customers = ("42", "42", "43", "")
    await store.load(
        [event(each, customer_id=customers[each % 4], rcpt_tags=(f"t{each}",)) for each in range(8)], Position(1, 1)
    )

    async def ids(**filters: Any) -> list[int]:
        path = await store.export(Filters(**filters), PARQUET, "some", Making())
        return sorted(int(row["event_id"]) for row in from_parquet(path))

    assert await ids(only_customer="42") == [0, 1, 4, 5]
    assert await ids(only_customer="42", customers=("43",)) == []
    assert await ids(customers=("43",), since=event(3).timestamp) == [6]
    assert await ids(tags=("t1", "t7"), until=event(7).timestamp) == [1]


@pytest.mark.parametrize("kind", ["backup", "export"])
async def test_nobody_who_is_erased_is_in_a_file_that_was_begun_before(
    store: DuckDbStore, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.load([*many(4000), *(event(10_000 + each, rcpt_to=EVE) for each in range(50))], Position(1, 1))
    whole = await store.export(Filters(), EXACT, "whole", Making())
    begun, go_on = threading.Event(), threading.Event()

    def halfway() -> None:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(30)

    if kind == "backup":

        def finish(part: Path) -> int:
            halfway()
            return make_whole(part)

        monkeypatch.setattr(duckdb_store, "make_whole", finish)
        making = asyncio.create_task(store.backup("slow", Making()))
    else:

        def write(filters: Filters, form: ExportFormat, part: Path) -> Condition:
            halfway()
            return export_sql(filters, form, part)

        monkeypatch.setattr(duckdb_store, "export_sql", write)
        making = asyncio.create_task(store.export(Filters(), EXACT, "slow", Making()))
    assert await asyncio.to_thread(begun.wait, 30)
    assert await store.erase([EVE]) == 50
    assert not whole.exists()
    directory = whole.parent.parent
    assert [each for each in directory.rglob("*") if holds(each, EVE)] == []
    go_on.set()
    path = await making
    assert [each for each in directory.rglob("*") if holds(each, EVE)] == []
    if kind == "export":
        assert len(from_csv(path)) == 4000
    else:
        with closing(restored(path, directory.with_name("restored"))) as again:
            await again.open()
            assert (await again.status())[:1] == (4000,)
            assert not (await again.status()).rewrite_due


async def test_an_export_that_is_under_way_makes_room_for_an_erasure_at_once(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.load([*many(100), event(10_000, rcpt_to=EVE)], Position(1, 1))
    statements = [endless, export_sql]

    def first_endless(filters: Filters, form: ExportFormat, path: Path) -> Condition:
        return endless(path) if statements.pop(0) is endless else export_sql(filters, form, path)

    monkeypatch.setattr(duckdb_store, "export_sql", first_endless)
    exporting = asyncio.create_task(store.export(Filters(), EXACT, "long", making := Making()))
    await asyncio.to_thread(wait_until_written, making)
    assert await store.erase([EVE]) == 1
    assert len(from_csv(await exporting)) == 100
    assert statements == []


def endless(path: Path) -> Condition:
    target = str(path).replace("'", "''")
    return Condition(f"COPY (SELECT e.event_id FROM range(100000000000), events AS e) TO '{target}' (FORMAT csv)", [])


async def test_one_that_is_given_up_leaves_nothing_and_the_next_one_works(store: DuckDbStore) -> None:
    await store.load(many(2000), Position(1, 1))
    making = Making()
    making.give_up()
    for attempt in (store.backup("b", making), store.export(Filters(), CSV, "e", making)):
        with pytest.raises(StoreError, match="it was given up"):
            await attempt
    path = await store.backup("b", Making())
    assert [each.name for each in path.parent.iterdir()] == ["b"]


def wait_until_written(making: Making) -> None:
    while not making.octets:
        time.sleep(0.01)


async def test_an_export_under_way_is_given_up_soon(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.load(many(10), Position(1, 1))
    monkeypatch.setattr(duckdb_store, "export_sql", lambda filters, form, path: endless(path))
    making = Making()
    task = asyncio.create_task(store.export(Filters(), CSV, "endless", making))
    await asyncio.to_thread(wait_until_written, making)
    making.give_up()
    with pytest.raises(StoreError, match="it was given up"):
        await task
    making = Making()
    task = asyncio.create_task(store.export(Filters(), CSV, "endless", making))
    await asyncio.to_thread(wait_until_written, making)
    await asyncio.to_thread(store.close)  # as at the service's end
    with pytest.raises(StoreUnavailableError, match="the service ends"):
        await task


async def test_what_was_made_is_gone_when_the_store_is_opened_again(store: DuckDbStore) -> None:
    path = await store.backup("b", Making())
    (path.parent / "left.part").touch()  # by a kill
    store.close()
    with closing(DuckDbStore(path.parent.parent, LIMITS, search_timeout=30)) as again:
        await again.open()
        assert not path.parent.exists()


async def test_room_is_left_to_others(tmp_path: Path) -> None:
    reserve = 4 << 20
    with (
        mounted(tmp_path / "disk", 40) as disk,
        closing(DuckDbStore(disk / "store", LIMITS, search_timeout=30, reserve=reserve)) as store,
    ):
        await store.open()
        await store.load(many(9000), Position(1, 1))
        filler = fill(disk)
        with filler.open("ab") as file:
            file.truncate(filler.stat().st_size - reserve + (1 << 20))
        for attempt in (store.backup("b", Making()), store.export(Filters(), CSV, "e", Making())):
            with pytest.raises(StoreError, match=r"there is no room for .* min_free_space keeps; free space") as caught:
                await attempt
            assert "\n" not in str(caught.value)
        assert [*(disk / "store" / "made").iterdir()] == []
        filler.unlink()
        await store.backup("b", Making())


def holds(path: Path, text: str) -> bool:
    return path.is_file() and text.encode() in path.read_bytes()


def flat(event: Event) -> dict[str, Any]:
    """The fields of an event as searches give them, numbers as numbers, those in objects beside the others."""
    fields = wire_fields(event)
    for outer in NESTED_FIELDS:
        fields |= fields.pop(outer, {})
    return {name: _number(name, value) for name, value in fields.items()}


def _number(name: str, value: Any) -> Any:
    kind = COLUMNS[name]
    if kind == "BIGINT" and name not in ("timestamp", "injection_time"):
        return int(value)
    if kind == "VARCHAR[]":
        return list(value)
    return float(value) if kind == "DOUBLE" else value


def from_parquet(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as database:
        result = database.execute("SELECT * FROM read_parquet(?)", [_unglobbed(path)])
        return [_row(result, row, _from_parquet) for row in result.fetchall()]


def _unglobbed(path: Path) -> str:
    # The reader takes patterns; the writer does not.
    link = path.parents[2] / "to-read"
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return str(link)


def _row(result: Any, row: tuple[Any, ...], turned: Callable[[str, Any], Any]) -> dict[str, Any]:
    named = zip([name for name, *_ in result.description], row, strict=True)
    return {name: turned(name, value) for name, value in named if value is not None}


def _from_parquet(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_time(round(value.astimezone(UTC).timestamp() * 1000))
    return json.loads(value) if name == "rcpt_meta" else value


def from_csv(path: Path) -> list[dict[str, Any]]:
    """As a careful program reads it: what is empty is no value, the rest by the documented types."""
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read().replace("\0", "\u2400")  # which this reader of CSV refuses
    rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
    assert rows.fieldnames == list(COLUMNS)
    return [{name: _from_csv(name, value) for name, value in row.items() if value} for row in rows]


def _from_csv(name: str, value: str) -> Any:
    value = value.replace("\u2400", "\0")
    if name in ("rcpt_meta", "rcpt_tags"):
        return json.loads(value)
    return {"true": True, "false": False}[value] if COLUMNS[name] == "BOOLEAN" else _number(name, value)
