"""`mailwake demo` as a newcomer uses it: filled, logged in by a link, ended by Ctrl-C, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.scenarios.conftest import wait_until
from typer.testing import CliRunner

from mailwake.cli.demo_data import DemoData
from mailwake.cli.main import make_app
from mailwake.clock import SystemClock
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.control.known_tags import list_tags
from mailwake.errors import StartupError
from mailwake.feed.reader import FeedReader
from mailwake.service.data_directory import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(make_app(), [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    directory = tmp_path_factory.mktemp("demo") / "data"
    DemoData(directory).make(2_000, 3, 7)
    return DataDirectory(directory)


def test_store_and_feed_agree_and_everything_else_finds_what_it_needs(filled: DataDirectory) -> None:
    data = ["--data", str(filled.path)]
    known = json.loads(run("store", "status", "--json", *data))
    assert 1_500 < known["events"] < 2_500
    assert known["position"] == str(FeedReader(filled.feed).end())
    assert "holds all that it has loaded of the feed" in run("store", "verify", *data)
    assert "damage" not in run("journal", "verify", *data)
    assert "newsletter" in {each.tag for each in list_tags(filled.control)}
    rebuilt = run("store", "rebuild", *data)
    assert json.loads(run("store", "status", "--json", *data))["events"] == known["events"], rebuilt


def test_a_demo_that_is_there_is_shown_and_one_cut_short_is_made_anew(
    filled: DataDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    DemoData(filled.path).make(5_000, 3, 8)
    assert "which is shown as it is" in capsys.readouterr().err
    mark = filled.path / "demo.json"
    facts = json.loads(mark.read_text())
    mark.write_text(json.dumps({**facts, "complete": False}))
    DemoData(filled.path).make(1_000, 2, 7)
    assert json.loads(run("store", "status", "--json", "--data", str(filled.path)))["events"] < 1_500


def test_what_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(StartupError, match="holds something that is no demo; name a new directory"):
        DemoData(tmp_path).make(1_000, 1, 7)
    (tmp_path / "demo.json").write_text("no JSON")
    with pytest.raises(StartupError, match="holds something that is no demo"):
        DemoData(tmp_path).make(1_000, 1, 7)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["demo.json", "store"]


def test_a_port_that_is_taken_is_one_line_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = subprocess.run(
            [sys.executable, "-m", "mailwake", "demo", "--api", address, "--data", str(tmp_path / "data")],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert found.returncode == 1
    assert f"mailwake: --api: cannot listen on {address}: another program listens there" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


class Demo:
    """`mailwake demo` in a process; what it says, as it says it."""

    def __init__(self, *arguments: str, temporary: Path) -> None:
        command = [sys.executable, "-m", "mailwake", "demo", "--no-browser", "--events", "1000", "--days", "2"]
        for each in ("--smtp", "--tracker", "--api", "--admin"):
            command += [each, "127.0.0.1:0"]
        self.output = ""
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.output += line

    def said(self, pattern: str) -> str:
        found = wait_until(
            lambda: re.search(pattern, self.output) or (self.process.poll() is not None and "ended"), "it is said"
        )
        assert not isinstance(found, str), self.output
        return str(found[1])

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join()
        return code


@contextmanager
def running(*arguments: str, temporary: Path) -> Iterator[Demo]:
    demo = Demo(*arguments, temporary=temporary)
    try:
        yield demo
    finally:
        demo.end(signal.SIGTERM)


def ipv6_loopback() -> str:
    """Where a machine has IPv6, its link is the more difficult one."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return "[::1]:0"
    except OSError:
        return "127.0.0.1:0"


def test_a_newcomer_is_logged_in_by_a_link_that_works_once_and_nothing_is_left(tmp_path: Path) -> None:
    with running("--api", ipv6_loopback(), temporary=tmp_path) as demo:
        link = demo.said(r"logged in \(once\): (\S+)")
        key, url = demo.said(r"with the key (mwk_\S+)"), demo.said(r"later: (http://\S+)/dashboard")
        (directory,) = tmp_path.iterdir()
        with httpx.Client(follow_redirects=True) as browser:
            page = browser.get(link)
            assert page.status_code == 200
            assert str(page.url) == f"{url}/dashboard"
            assert "Log out" in page.text
            assert browser.get(link).status_code == 410
            assert browser.get(link[:-1]).status_code == 404
        found = httpx.get(f"{url}/api/v1/events/message", headers={"authorization": key}, params={"per_page": 5})
        assert len(found.json()["results"]) == 5
        assert demo.end(signal.SIGINT) == 0
        assert "Traceback" not in demo.output
    assert not directory.exists()


def test_the_key_is_there_as_long_as_the_demo_runs_also_after_one_that_was_killed(filled: DataDirectory) -> None:
    keys = ApiKeys(filled.api_keys, SystemClock())
    keys.create("demo", [Scope.READ])
    with DemoData(filled.path).key() as key:
        found = keys.find(key)
        assert found is not None
        assert found.may(Scope.ADMIN)
    assert keys.list() == []
