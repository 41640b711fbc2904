"""What differs where the store is a server: several nodes, loads cut short, copies, months, refusals; over chDB."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.clickhouse_server import PASSWORD, USER
from tests.store.conftest import CLICKHOUSE_LIMITS
from tests.store.events import START, event
from tests.store.report_contract import ALL
from tests.store.store_contract import ids, pages

from mailwake.events.model import EventType
from mailwake.feed.contract import BEGINNING, Position
from mailwake.store.clickhouse_http import ClickHouseHttp, Server, with_names
from mailwake.store.clickhouse_rows import add, values_of
from mailwake.store.clickhouse_schema import VERSION
from mailwake.store.clickhouse_store import ClickHouseStore
from mailwake.store.clickhouse_tables import LOADER_FILE
from mailwake.store.contract import Loaded, StoreError, StoreUnavailableError
from mailwake.store.filters import MAX_VALUES
from mailwake.store.question import Question
from mailwake.store.report_question import By, ReportQuestion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MONTH = 31 * 86_400_000


@pytest.fixture
def server(clickhouse: Server) -> Iterator[ClickHouseHttp]:
    """For what only the server can be asked."""
    with closing(ClickHouseHttp(clickhouse)) as opened:
        yield opened


def node(tmp_path: Path, name: str, clickhouse: Server) -> ClickHouseStore:
    return ClickHouseStore(tmp_path / name, clickhouse, CLICKHOUSE_LIMITS)


@pytest.fixture
async def store(tmp_path: Path, clickhouse: Server) -> AsyncIterator[ClickHouseStore]:
    with closing(node(tmp_path, "a", clickhouse)) as opened:
        await opened.open()
        yield opened


async def test_nodes_have_positions_of_their_own_and_see_each_others_events(
    tmp_path: Path, clickhouse: Server, store: ClickHouseStore
) -> None:
    await store.load([event(1), event(3)], Position(1, 10))
    with closing(node(tmp_path, "b", clickhouse)) as other:
        await other.open()
        assert await other.position() == BEGINNING
        await other.load([event(2)], Position(7, 7))
        assert (await other.position(), await store.position()) == (Position(7, 7), Position(1, 10))
        first = await store.search(Question(per_page=1))
        assert (ids(first.events), first.total_count) == ([3], 3)
        await other.load([event(0), event(4)], Position(7, 8))  # which come while pages are turned
        following = await other.search(Question(per_page=5, cursor=first.next_cursor))
        assert (ids(following.events), following.total_count) == ([2, 1], 3)
    with closing(node(tmp_path, "b", clickhouse)) as again:
        await again.open()
        assert await again.position() == Position(7, 8)
        assert (await again.status()).events == 5


async def test_a_load_that_was_cut_short_is_not_seen_and_ends_when_it_is_given_again(
    tmp_path: Path, server: ClickHouseHttp, store: ClickHouseStore
) -> None:
    await store.load([event(1)], Position(1, 10))
    cut_short = [event(number) for number in range(2, 6)]
    add(server, cut_short[:3], int((tmp_path / "a" / LOADER_FILE).read_text()), 2)  # a kill, before `loads` says so
    assert (await store.search(Question())).total_count == 1
    assert (await store.status()).events == 1
    counted = ReportQuestion(where=ALL, metrics=("count_clicked",))
    assert (await store.report(counted)).rows[0].numbers == (1,)
    assert await store.position() == Position(1, 10)
    assert await store.verify() == []
    assert await store.load(cut_short, Position(1, 50)) == Loaded(1, 3)
    assert ids((await store.search(Question())).events) == [5, 4, 3, 2, 1]
    assert (await store.report(counted)).rows[0].numbers == (5,)


async def test_copies_of_an_event_are_one_event_before_the_server_has_merged_them(
    tmp_path: Path, server: ClickHouseHttp, store: ClickHouseStore
) -> None:
    server.ask("SYSTEM STOP MERGES events")
    many = [event(number, rcpt_tags=("a", "b")) for number in range(1, 21)]
    await store.load(many, Position(1, 10))
    first = await store.search(Question(per_page=8))
    loader = int((tmp_path / "a" / LOADER_FILE).read_text())
    add(server, many, loader, 2)  # a load whose answer was lost, given again while it still ran
    add(server, many[:7], loader, 2)
    await store.load([], Position(1, 20))
    assert values_of(server.ask("SELECT count() FROM events")) == [[47]]
    assert (await store.search(Question())).total_count == 20
    assert [len(page) for page in await pages(store, Question(per_page=6))] == [6, 6, 6, 2]
    # The copy that came first counts, so pages that were begun before the others came go on.
    assert len((await store.search(Question(per_page=20, cursor=first.next_cursor))).events) == 12
    question = ReportQuestion(where=ALL, metrics=("count_clicked", "count_unique_clicked"), by=By.TAG)
    assert [row.numbers for row in (await store.report(question)).rows] == [(20, 20), (20, 20)]
    assert (await store.status()).events == 20
    assert await store.verify() == []
    server.ask("SYSTEM START MERGES events")  # which erasing is one of
    assert await store.erase(["bob@example.org"]) == 20
    assert values_of(server.ask("SELECT count() FROM events")) == [[0]]


async def test_the_same_lines_of_the_same_load_are_stored_once(server: ClickHouseHttp, store: ClickHouseStore) -> None:
    for _ in range(2):
        add(server, [event(1), event(2)], 5, 1)
    assert values_of(server.ask("SELECT count() FROM events")) == [[2]]


async def test_whole_months_go_at_once_and_the_rest_by_rows(server: ClickHouseHttp, store: ClickHouseStore) -> None:
    await store.load([event(number, timestamp=START + number * MONTH // 10) for number in range(40)], Position(1, 1))
    partitions = "SELECT uniqExact(partition_id) FROM system.parts WHERE database = currentDatabase() AND active"
    partitions += " AND table = 'events'"
    assert values_of(server.ask(partitions)) == [[5]]
    assert await store.forget_before(START + 25 * MONTH // 10) == 25
    assert values_of(server.ask(partitions)) == [[2]]
    status = await store.status()
    assert (status.events, status.oldest) == (15, START + 25 * MONTH // 10)
    assert await store.forget_before(START) == 0
    assert await store.verify() == []


async def test_the_servers_list_of_changes_names_nobody(server: ClickHouseHttp, store: ClickHouseStore) -> None:
    await store.load([event(1), event(2, rcpt_to="eve@example.org")], Position(1, 1))
    assert await store.erase(["Eve@example.org", "o'hara\\@example.org"]) == 1
    commands = server.ask("SELECT command FROM system.mutations WHERE database = currentDatabase()").decode()
    assert "DELETE WHERE" in commands
    assert "eve" not in commands.lower()
    assert "hara" not in commands


async def test_an_erasure_holds_up_neither_loads_nor_the_end(
    tmp_path: Path, clickhouse: Server, server: ClickHouseHttp, store: ClickHouseStore
) -> None:
    await store.load([event(1), event(2, rcpt_to="eve@example.org")], Position(1, 1))
    server.ask("SYSTEM STOP MERGES events")  # so that it cannot end
    erasing = asyncio.ensure_future(store.erase(["eve@example.org"]))
    while not (await store.status()).rewrite_due:
        pass
    assert await store.load([event(3)], Position(1, 2)) == Loaded(1, 0)
    store.close()
    with pytest.raises(StoreUnavailableError, match="ClickHouse erases on"):
        await erasing
    server.ask("SYSTEM START MERGES events")
    with closing(node(tmp_path, "a", clickhouse)) as again:
        await again.open()
        assert await again.erase(["eve@example.org"]) <= 1  # as the request is made again
        assert ids((await again.search(Question())).events) == [3, 1]


async def test_a_question_may_have_as_many_values_as_questions_may(store: ClickHouseStore) -> None:
    await store.load([event(number) for number in range(3)], Position(1, 1))
    names = (*(f"{number}-{'x' * 200}@example.org" for number in range(MAX_VALUES - 1)), "bob@example.org")
    assert (await store.search(Question(recipients=names))).total_count == 3


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), max_size=5)
)
def test_values_arrive_as_they_are(server: ClickHouseHttp, texts: list[str]) -> None:
    asked = [*texts, "a\tb\\n\n\r'\\N", texts, -(1 << 63), (1 << 64) - 1]
    places = ", ".join(["?::VARCHAR"] * (len(texts) + 1) + ["?::VARCHAR[]", "?::BIGINT", "?::UBIGINT"])
    assert values_of(server.ask(f"SELECT {places}", asked, database=False)) == [asked]


def test_values_without_a_place_are_a_mistake() -> None:
    assert with_names("a = ?::UBIGINT AND b IN (?::VARCHAR, ?::VARCHAR) AND c = ?::VARCHAR", [7, "'", "b", "\\"]) == (
        "a = {p0:UInt64} AND (b IN {p1:Array(String)}) AND c = {p2:String}",
        {"param_p0": "7", "param_p1": "['\\'','b']", "param_p2": "\\\\"},
    )
    with pytest.raises(AssertionError):
        with_names("a = ?::UBIGINT", [1, 2])


async def test_a_search_that_takes_too_long_or_too_much_says_so(
    tmp_path: Path, clickhouse: Server, store: ClickHouseStore
) -> None:
    await store.load([event(number, subject="s" * 1000) for number in range(5000)], Position(1, 1))
    narrow = ClickHouseStore(tmp_path / "a", clickhouse, CLICKHOUSE_LIMITS._replace(seconds=0.000_001))
    with closing(narrow):
        await narrow.open()
        with pytest.raises(StoreError, match=r"took longer than .* raise store.search_timeout"):
            await narrow.search(Question())
    poor = ClickHouseStore(tmp_path / "a", clickhouse, CLICKHOUSE_LIMITS._replace(memory=1 << 20))
    with closing(poor):
        await poor.open()
        with pytest.raises(StoreError, match=r"too little memory for this; raise store.memory_limit"):
            await poor.search(Question(per_page=5000))
    assert len((await store.search(Question())).events) == 1000


async def test_refusals_are_one_line_that_says_what_to_do(tmp_path: Path, clickhouse: Server) -> None:
    for wrong, said in (
        (clickhouse._replace(password="wrong"), "refuses the login; see store.user"),
        (clickhouse._replace(url="http://127.0.0.1:1"), "does not answer: .*Connection refused; start it"),
        (clickhouse._replace(authorities=tmp_path / "none"), "tls_ca_file: cannot read certificates .*No such file"),
    ):
        with closing(node(tmp_path, "a", wrong)) as store:
            with pytest.raises(StoreUnavailableError, match=said) as first:
                await store.open()
            assert "\n" not in str(first.value)
            with pytest.raises(StoreUnavailableError, match=said):
                await store.search(Question())
            with pytest.raises(StoreUnavailableError, match=said):
                await store.load([event(1)], Position(1, 1))


class SomethingElse(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b"<html>\n404"
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def test_another_server_at_that_address_is_no_clickhouse(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SomethingElse) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        store = node(tmp_path, "a", Server(url, "mailwake", USER, PASSWORD))
        with closing(store), pytest.raises(StoreUnavailableError, match=r"answers 404 '<html>'; is store.url its HTTP"):
            await store.open()
        other.shutdown()


async def test_a_later_format_is_left_alone(tmp_path: Path, server: ClickHouseHttp, clickhouse: Server) -> None:
    with closing(node(tmp_path, "a", clickhouse)) as first:
        await first.open()
    server.ask(f"INSERT INTO format VALUES ({VERSION + 1}, 5)")
    store = node(tmp_path, "a", clickhouse)
    with closing(store), pytest.raises(StoreUnavailableError, match=f"has format {VERSION + 1}, .* install a later"):
        await store.open()


async def test_tables_that_are_lost_are_made_anew_and_the_feed_begins_anew(
    tmp_path: Path, server: ClickHouseHttp, clickhouse: Server, store: ClickHouseStore
) -> None:
    await store.load([event(number) for number in range(3)], Position(1, 10))
    cursor = (await store.search(Question(per_page=1))).next_cursor
    server.ask("DROP TABLE events")
    with pytest.raises(StoreUnavailableError, match="events"):
        await store.search(Question())
    await store.open()  # as whoever loads it does after an error
    assert await store.position() == BEGINNING
    assert await store.load([event(1)], Position(1, 5)) == Loaded(1, 0)
    with pytest.raises(Exception, match="rebuilt"):
        await store.search(Question(per_page=1, cursor=cursor))
    with closing(node(tmp_path, "a", clickhouse)) as again:
        await again.open()
        assert await again.position() == Position(1, 5)


async def test_what_is_wrong_with_rows_is_found(server: ClickHouseHttp, store: ClickHouseStore) -> None:
    odd = [event(1), event(2, message_id="foreign"), event(3, type=EventType.OPEN, is_bot=True)]
    await store.load(odd, Position(1, 1))
    assert await store.verify() == []
    for change in ("marks = 0 WHERE event_id = 3", "recipient_key = 1 WHERE event_id < 3"):
        server.ask(f"ALTER TABLE events UPDATE {change}", settings={"mutations_sync": 2})
    assert await store.verify() == ["2 events have a wrong recipient_key", "1 events have a wrong marks"]


async def test_a_file_with_another_nodes_number_is_refused(tmp_path: Path, clickhouse: Server) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / LOADER_FILE).write_text("me")
    store = node(tmp_path, "a", clickhouse)
    with closing(store), pytest.raises(StoreUnavailableError, match="holds no number; remove it"):
        await store.open()


@contextlib.contextmanager
def started(directory: Path, *had: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of this test alone, and its port."""
    command = [sys.executable, "-m", "tests.store.clickhouse_server", str(directory), *had]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def test_a_server_that_is_killed_while_it_is_loaded_loses_and_doubles_nothing(
    tmp_path: Path, clickhouse: Server
) -> None:
    loads = [[event(100 * load + number) for number in range(100)] for load in range(8)]
    with contextlib.ExitStack() as opened:
        process, port = opened.enter_context(started(tmp_path / "server"))
        own = clickhouse._replace(url=f"http://127.0.0.1:{port}")
        store = opened.enter_context(closing(node(tmp_path, "a", own)))
        await store.open()
        for load in range(4):
            await store.load(loads[load], Position(1, load))
        cut_short = asyncio.ensure_future(store.load(loads[4], Position(1, 4)))
        await asyncio.sleep(0)  # it is on its way
        process.kill()
        process.wait()
        with contextlib.suppress(StoreUnavailableError):  # whether it came in time is chance
            await cut_short
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            await store.search(Question())
        opened.enter_context(started(tmp_path / "server", port))
        reached = await store.position()
        assert reached in (Position(1, 3), Position(1, 4))
        assert (await store.search(Question())).total_count == 100 * (reached.offset + 1)
        for load in range(reached.offset + 1, 8):
            await store.load(loads[load], Position(1, load))
        assert sorted(ids((await store.search(Question())).events)) == list(range(800))
        assert await store.verify() == []
