import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.clock import ManualClock
from mailwake.control.known_tags import (
    REFRESH,
    KnownTags,
    KnownTagsError,
    free_tag,
    list_tags,
    operator_limit,
    prepare_tags,
    set_limit,
)
from mailwake.logs import make_logger
from mailwake.metrics import Metrics


class Worker:
    """The set as one worker process has it, with a clock and counters of its own."""

    def __init__(self, path: Path, limit: int = 3) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tags = KnownTags(path, limit, clock=self.clock, metrics=self.metrics, log=make_logger("json", "error"))

    def admit(self, *tags: str) -> list[str]:
        return self.tags.admit(tags)

    def look_again(self) -> None:
        self.clock.advance(REFRESH)

    def ignored(self, limit: str) -> float:
        return self.metrics.counter("tags_ignored_total", limit).value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sqlite3"


def names(path: Path) -> list[str]:
    return [each.tag for each in list_tags(path)]


def test_the_first_tags_are_known_and_the_others_ignored_and_counted(path: Path) -> None:
    worker = Worker(path)
    assert worker.admit("a", "b") == ["a", "b"]
    assert worker.admit("c", "d", "a", "e") == ["c", "a"]
    assert worker.admit("e") == []
    assert worker.ignored("system") == 3
    assert names(path) == ["a", "b", "c"]


def test_asking_what_is_known_makes_nothing_known(path: Path) -> None:
    worker = Worker(path)
    worker.admit("a")
    assert worker.tags.known(["b", "a"]) == ["a"]
    assert names(path) == ["a"]
    assert worker.ignored("system") == 0


def test_no_tags_at_all(path: Path) -> None:
    worker = Worker(path, limit=0)
    assert worker.admit() == []
    assert worker.admit("a") == []
    assert worker.ignored("system") == 1


def test_what_is_admitted_is_on_disk_at_once(path: Path) -> None:
    Worker(path).admit("a")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT tag, since FROM known_tags").fetchall() == [("a", ManualClock().now())]


def test_a_restart_changes_nothing(path: Path) -> None:
    Worker(path).admit("a", "b", "c")
    assert Worker(path).admit("d", "c") == ["c"]


def test_the_limit_holds_over_all_workers(path: Path) -> None:
    first, second = Worker(path), Worker(path)
    assert first.admit("a", "b") == ["a", "b"]
    assert second.admit("c") == ["c"]
    assert first.admit("d") == [], "the other worker took the last place, though this one has not looked since"
    assert first.admit("c") == ["c"]
    assert names(path) == ["a", "b", "c"]


def test_a_freed_tag_makes_room_after_the_next_look(path: Path) -> None:
    worker = Worker(path)
    worker.admit("a", "b", "c")
    assert free_tag(path, "b") is True
    assert free_tag(path, "b") is False
    assert worker.admit("d") == []
    worker.look_again()
    assert worker.admit("d", "b") == ["d"]
    assert names(path) == ["a", "c", "d"]


def test_known_tags_cost_no_look_at_the_file(path: Path) -> None:
    worker = Worker(path)
    worker.admit("a")
    free_tag(path, "a")
    assert worker.admit("a") == ["a"]


def test_a_lower_limit_keeps_what_is_known(path: Path) -> None:
    Worker(path).admit("a", "b", "c")
    assert Worker(path, limit=1).admit("c", "a", "d") == ["c", "a"]


def test_a_limit_in_the_file_wins_over_the_configured_one_until_it_is_taken_back(path: Path) -> None:
    worker = Worker(path, limit=1)
    assert worker.admit("a", "b") == ["a"]
    set_limit(path, 2)
    assert worker.admit("b") == [], "a higher limit is noticed at the next look, like a freed tag"
    worker.look_again()
    assert worker.admit("b", "c") == ["b"]
    assert operator_limit(path) == 2
    set_limit(path, None)
    assert operator_limit(path) is None
    worker.look_again()
    assert worker.admit("c", "b", "a") == ["b", "a"], "what is known stays known"


def test_the_limit_holds_for_all_workers_and_after_a_restart(path: Path) -> None:
    first, second = Worker(path), Worker(path)
    assert first.admit("a") == second.admit("a") == ["a"]
    set_limit(path, 2)
    assert first.admit("b") == ["b"]
    assert second.admit("c") == [], "a lower limit holds at once, as new tags are added in a transaction that reads it"
    assert Worker(path, limit=100).admit("c", "b") == ["b"]


def test_a_limit_below_the_number_known_keeps_them_and_admits_no_new_ones(path: Path) -> None:
    worker = Worker(path)
    worker.admit("a", "b")
    set_limit(path, 1)
    worker.look_again()
    assert worker.admit("a", "b", "c") == ["a", "b"]
    assert worker.ignored("system") == 1
    free_tag(path, "a")
    worker.look_again()
    assert worker.admit("c", "b") == ["b"], "one is known, and one may be"
    set_limit(path, 0)
    assert names(path) == ["b"]


def test_a_limit_before_anything_is_known(tmp_path: Path) -> None:
    path = tmp_path / "control.sqlite3"
    assert operator_limit(path) is None
    set_limit(path, None)
    assert not path.exists(), "there is nothing to take back"
    set_limit(path, 5)
    assert operator_limit(path) == 5
    assert list_tags(path) == []
    with pytest.raises(KnownTagsError, match="is no data directory"):
        set_limit(tmp_path / "nowhere" / "control.sqlite3", 5)


def test_a_file_of_an_earlier_version_takes_a_limit(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE known_tags (tag TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID")
        database.execute("INSERT INTO known_tags VALUES ('a', 1.0)")
        database.commit()
    assert operator_limit(path) is None
    set_limit(path, 1)
    assert Worker(path).admit("a", "b") == ["a"]


def test_a_locked_file_stops_no_message(path: Path) -> None:
    worker = Worker(path)
    worker.admit("a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert worker.admit("b", "a") == ["a"]
        assert worker.ignored("unavailable") == 1
        other.execute("ROLLBACK")
    assert worker.admit("b") == [], "the file is left alone until the next look"
    worker.look_again()
    assert worker.admit("b") == ["b"]
    assert worker.ignored("system") == 0


@pytest.mark.parametrize("broken", ["directory is missing", "is a directory", "is no database"])
def test_a_broken_file_stops_no_message(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "data" / "control.sqlite3"
    if broken == "is a directory":
        path.mkdir(parents=True)
    elif broken == "is no database":
        path.parent.mkdir()
        path.write_bytes(b"no database at all" * 100)
    worker = Worker(path)
    assert worker.admit("a") == []
    assert worker.admit("a") == []
    assert worker.ignored("unavailable") == 2
    with pytest.raises(KnownTagsError, match=str(path)):
        prepare_tags(path)


def test_a_file_that_comes_back_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "data" / "control.sqlite3"
    worker = Worker(path)
    assert worker.admit("a") == []
    path.parent.mkdir()
    worker.look_again()
    assert worker.admit("a") == ["a"]


WORKER = """
import sys
from pathlib import Path
from mailwake.clock import ManualClock
from mailwake.control.known_tags import REFRESH, KnownTags
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

clock, number = ManualClock(), sys.argv[2]
tags = KnownTags(Path(sys.argv[1]), 20, clock=clock, metrics=Metrics(), log=make_logger("json", "error"))
print("ready", flush=True)
sys.stdin.readline()
for count in range(10):
    tags.admit([f"shared-{count}", f"own-{number}-{count}"])
    clock.advance(REFRESH)
"""


def test_processes_that_start_at_once_share_one_set(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.communicate(b"go\n", timeout=120)
        assert process.returncode == 0
    assert len(names(path)) == len(set(names(path))) == 20


def test_listing_before_anything_is_known(tmp_path: Path) -> None:
    assert list_tags(tmp_path / "control.sqlite3") == []
    assert not (tmp_path / "control.sqlite3").exists(), "looking changes nothing"
    with pytest.raises(KnownTagsError, match="is no data directory"):
        list_tags(tmp_path / "nowhere" / "control.sqlite3")


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=4), max_size=6))
def test_admitted_are_the_first_distinct_ones(messages: list[list[str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        worker = Worker(Path(directory) / "control.sqlite3", limit=4)
        first = list(dict.fromkeys(tag for tags in messages for tag in tags))[:4]
        for tags in messages:
            assert worker.admit(*tags) == [tag for tag in tags if tag in first]
        worker.tags.close()
