"""What is DuckDB's own: the file, its limits, its damage, and what is left in it of those who were erased."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest
from tests.store.conftest import LIMITS
from tests.store.events import event

from mailwake.feed.contract import Position
from mailwake.store.contract import StoreError, StoreUnavailableError
from mailwake.store.duckdb_file import FILE_NAME, DuckDbFile, Limits
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.question import Question
from mailwake.store.schema import DERIVED

if TYPE_CHECKING:
    from pathlib import Path

HERE = Position(1, 100)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a [store]'s *place"


@pytest.fixture
def store(directory: Path) -> DuckDbStore:
    return DuckDbStore(directory, LIMITS, search_timeout=30)


def names_in(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


def open_elsewhere(directory: Path) -> str:
    """What another process says that opens the file."""
    program = (
        "import sys, pathlib\n"
        "from mailwake.store.duckdb_file import DuckDbFile, Limits\n"
        "from mailwake.errors import MailwakeError\n"
        "try:\n"
        "    DuckDbFile(pathlib.Path(sys.argv[1]), Limits(1 << 27, 1))\n"
        "except MailwakeError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(directory)], capture_output=True, text=True, check=True)
    return ran.stdout


def killed_while_it_spills(directory: Path) -> int:
    """Another process that sorts more than its memory holds; how it ended."""
    program = (
        "import os, pathlib, sys, threading\n"
        "from mailwake.store.duckdb_file import DuckDbFile, Limits\n"
        "spill = pathlib.Path(sys.argv[1], 'spill')\n"
        "file = DuckDbFile(spill.parent, Limits(64 << 20, 2))\n"
        "rows = \"SELECT repeat('bob@example.org', 20) || range AS r FROM range(2000000) ORDER BY hash(range)\"\n"
        "threading.Thread(target=file.cursor().execute, args=[f'CREATE TEMP TABLE t AS {rows}'], daemon=True).start()\n"
        "while not any(spill.glob('*.tmp')):\n"
        "    pass\n"
        "os.kill(os.getpid(), 9)\n"
    )
    return subprocess.run([sys.executable, "-c", program, str(directory)], check=False, timeout=60).returncode


async def search_often(store: DuckDbStore, times: int) -> None:
    for _ in range(times):
        await store.search(Question(per_page=10_000))


def files_with(directory: Path, text: bytes) -> list[str]:
    return sorted(each.name for each in directory.rglob("*") if each.is_file() and text in each.read_bytes())


async def test_everything_is_there_after_it_was_closed(directory: Path, store: DuckDbStore) -> None:
    await store.open()
    await store.load([event(1), event(2)], HERE)
    cursor = (await store.search(Question(per_page=1))).next_cursor
    store.close()
    assert names_in(directory) == [FILE_NAME]
    assert (directory / FILE_NAME).stat().st_mode & 0o777 == 0o600
    again = DuckDbStore(directory, LIMITS, search_timeout=30)
    await again.open()
    assert await again.position() == HERE
    assert [each.event_id for each in (await again.search(Question(cursor=cursor))).events] == [1]
    assert (await again.load([event(2)], HERE)).known == 1
    again.close()


async def test_an_erased_persons_name_is_in_no_file(directory: Path, store: DuckDbStore) -> None:
    # A name that the engine does not compress: in a small table of short texts it stands in the file as it is.
    name = "zoe.unmistakable@example.org"
    await store.open()
    await store.load([event(1), event(2, rcpt_to=name, raw_rcpt_to=name), event(3)], HERE)
    store.close()
    assert files_with(directory, name.encode()) == [FILE_NAME]  # or this test would show nothing
    store = DuckDbStore(directory, LIMITS, search_timeout=30)
    await store.open()
    await store.load([event(4, rcpt_to=name)], HERE)
    assert files_with(directory, name.encode()) == [FILE_NAME, FILE_NAME + ".wal"]
    assert await store.erase([name]) == 2
    assert files_with(directory, name.encode()) == []
    assert [each.event_id for each in (await store.search(Question())).events] == [3, 1]
    await store.load([event(5)], HERE)  # it goes on in the new file
    store.close()
    assert files_with(directory, name.encode()) == []


async def test_deleting_alone_would_leave_the_name_in_the_file(directory: Path) -> None:
    # Why the file is written anew. If this fails after an upgrade of DuckDB, look whether that is still needed.
    name = "zoe.unmistakable@example.org"
    store = DuckDbStore(directory, LIMITS, search_timeout=30)
    await store.open()
    await store.load([event(number, rcpt_to=name if number == 7 else "bob@example.org") for number in range(99)], HERE)
    store.close()
    with duckdb.connect(directory / FILE_NAME) as database:
        database.execute("DELETE FROM events WHERE rcpt_to = ?", [name])
        database.execute("CHECKPOINT")
        database.execute("VACUUM")
    assert files_with(directory, name.encode()) == [FILE_NAME]


async def test_an_erasure_that_was_cut_short_is_finished_at_the_next_start(directory: Path, store: DuckDbStore) -> None:
    name = "zoe.unmistakable@example.org"
    await store.open()
    await store.load([event(1, rcpt_to=name), event(2)], HERE)
    store.close()
    with duckdb.connect(directory / FILE_NAME) as database:  # as far as a kill behind the first step lets it come
        database.execute("DELETE FROM events WHERE rcpt_to = ?", [name])
        database.execute("UPDATE state SET rewrite_due = true")
    (directory / (FILE_NAME + ".new")).write_bytes(name.encode())  # and a copy that it had begun
    again = DuckDbStore(directory, LIMITS, search_timeout=30)
    await again.open()
    assert not (await again.status()).rewrite_due
    assert files_with(directory, name.encode()) == []
    assert (await again.search(Question())).events == [event(2)]
    again.close()


async def test_a_file_that_could_not_be_exchanged_is_opened_again(directory: Path, store: DuckDbStore) -> None:
    await store.open()
    await store.load([event(1), event(2, rcpt_to="eve@example.org")], HERE)
    (directory / FILE_NAME).rename(directory / "aside")
    (directory / FILE_NAME).mkdir()  # in the way of the new file
    with pytest.raises(StoreError, match="Is a directory"):
        await store.erase(["eve@example.org"])
    with pytest.raises(StoreUnavailableError, match="opened again"):
        await store.search(Question())
    (directory / FILE_NAME).rmdir()
    (directory / "aside").rename(directory / FILE_NAME)
    await store.open()  # which finishes the erasure
    assert [each.event_id for each in (await store.search(Question())).events] == [1]
    assert not (await store.status()).rewrite_due
    store.close()


async def test_what_a_killed_search_has_left_on_the_disk_is_removed(directory: Path, store: DuckDbStore) -> None:
    assert killed_while_it_spills(directory) == -9
    assert any((directory / "spill").iterdir())
    await store.open()
    assert not (directory / "spill").exists()
    store.close()


async def test_searches_go_on_while_the_file_is_written_anew(store: DuckDbStore) -> None:
    await store.open()
    await store.load([event(number, rcpt_to=f"r{number % 50}@example.org") for number in range(5000)], HERE)

    async def ask() -> None:
        for _ in range(30):
            assert (await store.search(Question(recipients=("r49@example.org",)))).total_count == 100

    asked = asyncio.ensure_future(ask())
    for number in range(5):
        assert await store.erase([f"r{number}@example.org"]) == 100
    await asked
    assert (await store.status()).events == 4500
    store.close()


def damage_header(file: Path) -> None:
    file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])


def damage_all(file: Path) -> None:
    file.write_bytes(bytes(byte ^ 0xFF for byte in file.read_bytes()))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20_000])


def garbage(file: Path) -> None:
    file.write_bytes(b"this is no database\n" * 1000)


@pytest.mark.parametrize("harm", [damage_header, damage_all, cut, garbage])
async def test_a_damaged_file_is_one_clear_line(directory: Path, store: DuckDbStore, harm: object) -> None:
    await store.open()
    await store.load([event(number) for number in range(100)], HERE)
    store.close()
    harm(directory / FILE_NAME)  # type: ignore[operator]
    again = DuckDbStore(directory, LIMITS, search_timeout=30)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"mailwake store rebuild.*a back-up may have more") as refused:
            await again.open()
        assert "\n" not in str(refused.value)
        with pytest.raises(StoreUnavailableError, match="mailwake store rebuild"):
            await again.search(Question())
    again.close()


async def test_damage_within_is_found_by_verify_or_said_by_a_search(directory: Path, store: DuckDbStore) -> None:
    await store.open()
    await store.load([event(number, subject=f"subject {number * 7919}") for number in range(5000)], HERE)
    assert await store.verify() == []
    store.close()
    file = directory / FILE_NAME
    content = bytearray(file.read_bytes())
    at = content.index(b"subject 7919")
    content[at : at + 8] = b"SUBJECT!"
    file.write_bytes(content)
    again = DuckDbStore(directory, LIMITS, search_timeout=30)
    await again.open()
    with pytest.raises(StoreError, match="mailwake store rebuild") as refused:
        await again.verify()
    assert "\n" not in str(refused.value)
    again.close()


async def test_another_process_is_told_who_has_the_file(directory: Path, store: DuckDbStore) -> None:
    await store.open()
    assert "in use by another process" in open_elsewhere(directory)
    store.close()


async def test_a_search_that_takes_too_long_is_given_up(directory: Path) -> None:
    store = DuckDbStore(directory, LIMITS, search_timeout=0.000001)
    await store.open()
    await store.load([event(number) for number in range(20_000)], HERE)
    with pytest.raises(StoreError, match="took longer than 1e-06 seconds"):
        await search_often(store, 50)  # the time may be over before the engine has begun
    await store.load([event(20_001)], HERE)
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY events TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb' AS other",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_the_engine_is_locked_up(directory: Path, statement: str) -> None:
    file = DuckDbFile(directory, LIMITS)
    try:
        with pytest.raises(duckdb.Error, match=r"disabled|locked"):
            file.cursor().execute(statement)
    finally:
        file.close()


def test_no_progress_bar_is_drawn_into_the_pipe_to_the_supervisor(directory: Path) -> None:
    # Of what takes longer than two seconds; a test that long would be needed to see it.
    file = DuckDbFile(directory, LIMITS)
    shown = file.cursor().execute("SELECT current_setting('enable_progress_bar')").fetchall()
    file.close()
    assert shown == [(False,)]


async def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = DuckDbStore(tmp_path / "file" / "store", LIMITS, search_timeout=30)
    with pytest.raises(StoreUnavailableError, match=r"Not a directory; .*"):
        await store.open()
    store.close()


async def test_large_events_are_loaded_with_the_least_memory_that_may_be_set(
    directory: Path, store: DuckDbStore
) -> None:
    await store.open()
    draw = random.Random(5)
    large = [event(number, rcpt_meta={"k": draw.randbytes(4_000).hex()}) for number in range(2_000)]
    assert LIMITS.memory == 128 << 20
    assert (await store.load(large, HERE)).stored == 2_000
    store.close()


async def test_more_than_the_memory_holds_is_loaded_and_given(directory: Path) -> None:
    store = DuckDbStore(directory, Limits(memory=48 << 20, threads=2), search_timeout=60)
    await store.open()
    chance = random.Random(1)
    for start in range(0, 10_000, 2000):  # 60 MB of text that cannot be packed well
        texts = [chance.randbytes(3000).hex() for _ in range(2000)]
        await store.load([event(start + n, subject=text) for n, text in enumerate(texts)], HERE)
        assert (await store.status()).memory <= 48 << 20
    found: list[int] = []
    async for page in store.events_of("bob@example.org", page=1000):
        found += [each.event_id for each in page if len(each.subject) == 6000]
    assert found == list(range(9_999, -1, -1))
    store.close()
    assert names_in(directory) == [FILE_NAME]  # what was put on the disk meanwhile is gone


@pytest.mark.parametrize("column", DERIVED)
async def test_a_wrong_derived_column_is_found(directory: Path, store: DuckDbStore, column: str) -> None:
    await store.open()
    await store.load([event(each, rcpt_to=f"p{each}@example.org") for each in range(20)], HERE)
    assert await store.verify() == []
    store.close()
    with duckdb.connect(directory / FILE_NAME) as database:
        database.execute(f"UPDATE events SET {column} = {column} + 1 WHERE event_id IN (3, 4)")
    again = DuckDbStore(directory, LIMITS, search_timeout=30)
    await again.open()
    assert await again.verify() == [f"2 events have a wrong {column}"]
    again.close()
