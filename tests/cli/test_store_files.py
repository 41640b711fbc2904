"""`mailwake store backup` and `export` as an operator uses them, beside a service and without one."""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tests.cli.running_api import running_api
from tests.small_disk import fill, mounted
from tests.store.events import START, event
from typer.testing import CliRunner

from mailwake.cli import store_files
from mailwake.cli.report_question import ReportError
from mailwake.cli.store_commands import app
from mailwake.cli.store_files import FileError
from mailwake.clock import SystemClock
from mailwake.config.store_settings import Store
from mailwake.control.api_keys import ApiKeys
from mailwake.errors import MailwakeError
from mailwake.feed.contract import Position
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.service.data_directory import DataDirectory
from mailwake.store.contract import StoreError
from mailwake.store.duckdb_store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Store(memory_limit=128 << 20, threads=1)


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A data directory whose store has twenty events, and a feed that has three more."""
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with closing(FeedWriter(directory.feed)) as writer:
        writer.append([encode_event(event(number)) for number in range(23)], {})
    fields: tuple[dict[str, Any], ...] = ({"customer_id": "42", "campaign_id": "a,b"}, {"rcpt_tags": ("t",)})
    asyncio.run(load(directory, [event(number, **fields[number % 2]) for number in range(20)]))
    return directory


async def load(data: DataDirectory, events: list[Any]) -> None:
    with closing(open_store(data.store, SETTINGS)) as store:
        await store.open()
        await store.load(events, Position(1, 1))


@pytest.fixture(params=["beside a service", "alone"])
def asked(request: pytest.FixtureRequest, data: DataDirectory) -> Iterator[DataDirectory]:
    with running_api(data, SETTINGS) if request.param == "beside a service" else nullcontext():
        yield data


def call(data: DataDirectory, *arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--data", str(data.path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def left(data: DataDirectory) -> list[Path]:
    made = data.store / "made"
    return [*made.iterdir()] if made.is_dir() else []


def ids(path: Path) -> list[int]:
    with duckdb.connect() as database:
        return [
            int(each) for (each,) in database.execute("SELECT event_id FROM read_parquet(?)", [str(path)]).fetchall()
        ]


def test_a_backup_is_put_back_by_hand(asked: DataDirectory, tmp_path: Path) -> None:
    dest = tmp_path / "store.backup"
    assert call(asked, "backup", dest) == f"{dest}: 20 events, {dest.stat().st_size} octets\n"
    assert dest.stat().st_mode & 0o777 == 0o600
    assert left(asked) == []
    assert ApiKeys(asked.api_keys, SystemClock()).list() == []
    again = DataDirectory(tmp_path / "again")
    again.prepare()
    again.store.mkdir()
    dest.rename(again.store / "store.duckdb")
    for segment in asked.feed.glob("*"):
        (again.feed / segment.name).write_bytes(segment.read_bytes())
    assert '"events": 20' in CliRunner().invoke(app, ["status", "--json", "--data", str(again.path)]).stdout
    assert "the store is whole" in call(again, "verify")


def test_an_export_is_what_the_filters_choose(asked: DataDirectory, tmp_path: Path) -> None:
    assert call(asked, "export", tmp_path / "all.parquet").endswith(
        f"20 events, {(tmp_path / 'all.parquet').stat().st_size} octets\n"
    )
    assert ids(tmp_path / "all.parquet") == list(range(20))
    narrow = ("--customer", "42", "--campaign", "a,b", "--event", "click", "--recipient", "BOB@example.org")
    call(asked, "export", tmp_path / "few.parquet", *narrow, "--since", "2026-09-29T12:00:10", "--until", "2026-09-30")
    assert ids(tmp_path / "few.parquet") == [
        each for each in range(20) if each % 2 == 0 and START + 1000 * each >= 1_790_683_210_000
    ]
    call(asked, "export", tmp_path / "tagged.csv", "--tag", "t", "--domain", "example.org")
    with (tmp_path / "tagged.csv").open(newline="") as file:
        assert [int(row["event_id"]) for row in csv.DictReader(file)] == list(range(1, 20, 2))
    call(asked, "export", tmp_path / "none", "--format", "csv-exact", "--link", "nowhere")
    assert len((tmp_path / "none").read_text().splitlines()) == 1
    assert left(asked) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backup", "{there}"], "there: is there already; remove it, or choose another name"),
        (["backup", "{tmp}"], "is there already"),
        (["backup", "{tmp}/no/where"], "no: there is no such directory; make it first"),
        (["export", "{tmp}/events"], "the name does not say in which form; give --format parquet or --format csv"),
        (
            ["export", "{tmp}/e.csv", "--event", "clicked"],
            "--event: there is no type 'clicked'; there are click, open, ",
        ),
        (["export", "{tmp}/e.csv", "--since", "tomorrow"], "--since: cannot be 'tomorrow'; it is a time like 7d, "),
        (["export", "{tmp}/e.csv", "--campaign", "a*"], "parameter 'campaigns': there are no wildcards"),
        (["export", "{tmp}/e.csv", "--since", "2026-10-02", "--until", "2026-10-01"], "must be before 'to'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    data: DataDirectory, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "there").write_text("precious")
    given = [each.format(tmp=tmp_path, there=tmp_path / "there") for each in arguments]
    with pytest.raises(MailwakeError) as caught:
        call(data, *given)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "there").read_text() == "precious"
    assert left(data) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "there"]


def test_a_directory_without_a_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such data directory"):
        call(DataDirectory(tmp_path / "no"), "backup", tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="has no store yet"):
        call(DataDirectory(tmp_path / "empty"), "backup", tmp_path / "b")


def test_of_a_clickhouse_no_file_is_made(data: DataDirectory, tmp_path: Path) -> None:
    config = tmp_path / "mailwake.toml"
    config.write_text('[store]\nengine = "clickhouse"\nurl = "http://127.0.0.1:1"\n')
    with pytest.raises(FileError, match=r"store\.engine is clickhouse: back it up"):
        call(data, "backup", tmp_path / "b", "--config", config)


def test_another_file_system_gets_a_copy_that_is_whole_or_none(data: DataDirectory, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 30) as disk:
        (disk / ".b.part").write_text("left by a kill")
        call(data, "backup", disk / "b")
        assert sorted(each.name for each in disk.iterdir()) == ["b"]
        assert (disk / "b").stat().st_mode & 0o777 == 0o600
        filler = fill(disk)
        with pytest.raises(FileError, match=r"c: there is no room for \d+ octets; free space, or choose another"):
            call(data, "backup", disk / "c")
        filler.unlink()
        assert sorted(each.name for each in disk.iterdir()) == ["b"]
    assert left(data) == []


def test_whoever_comes_first_keeps_the_name(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = store_files._check

    def check_and_lose(dest: Path) -> None:
        checked(dest)
        dest.write_text("another's")

    monkeypatch.setattr(store_files, "_check", check_and_lose)
    for link in (os.link, without_links):
        monkeypatch.setattr(os, "link", link)
        with pytest.raises(FileError, match="somebody has made it meanwhile"):
            call(data, "backup", tmp_path / "b")
        assert (tmp_path / "b").read_text() == "another's"
        assert [each.name for each in tmp_path.iterdir() if "part" in each.name] == []
        (tmp_path / "b").unlink()


def without_links(source: Path, dest: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_one_that_is_interrupted_leaves_nothing(
    asked: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "b"), "--data", str(asked.path)])
    assert result.exit_code in (1, 130)
    monkeypatch.undo()
    call(asked, "backup", tmp_path / "b")
    assert left(asked) == []


def test_a_file_that_an_erasure_took_is_said(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = store_files._move

    def taken(source: Path, dest: Path) -> None:
        source.unlink()
        move(source, dest)

    monkeypatch.setattr(store_files, "_move", taken)
    with pytest.raises(
        StoreError, match="somebody was erased just when the file was ready, so it is gone; run this again"
    ):
        call(data, "backup", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_filters_that_no_separator_can_tell_apart_are_said(data: DataDirectory, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no value can be told from the next"):
        call(data, "export", tmp_path / "e.csv", "--campaign", ",|;~\N{SYMBOL FOR UNIT SEPARATOR}||", "--campaign", "b")
