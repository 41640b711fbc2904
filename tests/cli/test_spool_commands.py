from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mailwake.cli.spool_commands import app
from mailwake.service.data_directory import DataDirectory
from mailwake.smtp.dsn import DsnRequest
from mailwake.spool.contract import NewEntry, Settlement, SpoolError
from mailwake.spool.sqlite_spool import SqliteSpool

ENTRY = NewEntry(
    sender="news@a.example",
    recipient="ann@B.example",
    content="Subject: grüße\r\nX: y\r\n\r\n".encode() + b"body \xff\r\n",
    smtputf8=False,
    body="8BITMIME",
    transmission_id=2**63 + 7,
    message_id="0123",
    first_reply="451 4.7.1 later",
    queued_at=0.0,
    next_attempt=0.0,
    customer="42",
    dsn=DsnRequest("FAILURE", "", "FULL", "QQ1"),
)


class Running:
    """The spool of a service that runs, and the command beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spool = SqliteSpool(DataDirectory(directory).spool)

    def put(self, *changes: dict[str, Any]) -> list[int]:
        now = self.spool.now()
        entry = replace(ENTRY, queued_at=now - 7200, next_attempt=now + 1000)
        return self.spool.put([replace(entry, **change) for change in changes])

    def call(self, *arguments: str, answer: str | None = None, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(
            app, [*arguments, "--data", str(self.directory)], input=answer, catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.call(*arguments, "--json").stdout.splitlines()]

    def due(self) -> list[int]:
        return [copy.id for copy in self.spool.claim_due(self.spool.now(), 100)]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.spool.close()


def test_list_shows_what_waits(service: Running) -> None:
    first, second = service.put({}, {"recipient": "bob@c.example", "sender": "", "next_attempt": 5.0})
    listed = service.call("list")
    assert listed.stderr == "2 in the spool\n"
    lines = listed.stdout.splitlines()
    assert lines[1].split() == f"{second} 2h due 1 34 <> bob@c.example 451 4.7.1 later".split()
    assert lines[2].split() == f"{first} 2h in 16m 1 34 news@a.example ann@B.example 451 4.7.1 later".split()
    assert service.call("list", "--limit", "1").stderr == "2 in the spool, 1 shown; --limit shows more\n"


def test_an_empty_spool(service: Running) -> None:
    assert service.call("list").stdout == ""
    assert service.call("summary").stderr == "0 in the spool\n"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--recipient", "ANN@b.example"], [1]),
        (["--domain", "c.example"], [2, 3]),
        (["--sender", ""], [3]),
        (["--sender", "news@a.example", "--domain", "C.EXAMPLE"], [2]),
        (["--customer", "7"], [2]),
        (["--held"], [2]),
    ],
)
def test_filters(service: Running, filters: list[str], found: list[int]) -> None:
    service.put({}, {"recipient": "bob@c.example", "customer": "7"}, {"recipient": "x@c.example", "sender": ""})
    service.call("hold", "2")
    assert [entry["id"] for entry in service.json("list", *filters)] == found


def test_the_facts_of_an_entry_for_programs(service: Running) -> None:
    service.put({})
    (entry,) = service.json("list")
    assert {name: entry[name] for name in ("customer", "attempts", "last_reply", "held", "in_hand", "report")} == {
        "customer": "42",
        "attempts": 1,
        "last_reply": "451 4.7.1 later",
        "held": False,
        "in_hand": False,
        "report": False,
    }
    (shown,) = service.json("show", "1")
    assert shown["transmission_id"] == str(2**63 + 7)
    assert (shown["envid"], shown["ret"], shown["notify"]) == ("QQ1", "FULL", "FAILURE")


def test_show_has_the_header_and_content_the_octets(service: Running) -> None:
    service.put({})
    shown = service.call("show", "1").stdout
    assert "recipient:          ann@B.example\n" in shown
    assert shown.endswith("\nSubject: grüße\nX: y\n")
    assert "body" not in shown.split("\n\n")[-1]
    assert service.call("show", "1", "--content").stdout_bytes == ENTRY.content


def test_summary_counts_by_domain(service: Running) -> None:
    service.put({}, {"recipient": "x@b.EXAMPLE"}, {"recipient": "y@c.example"})
    service.call("hold", "1")
    assert [(t["domain"], t["entries"], t["held"]) for t in service.json("summary")] == [
        ("b.example", 2, 1),
        ("c.example", 1, 0),
    ]
    assert service.call("summary").stdout.splitlines()[1].split() == ["2", "1", "68", "2h", "b.example"]


def test_retry_makes_due(service: Running) -> None:
    service.put({}, {}, {"recipient": "z@c.example"})
    service.call("hold", "3")
    assert service.due() == []
    assert service.call("retry", "1").stderr == "1 due now\n"
    assert service.due() == [1]
    assert service.call("retry", "--all").stderr == "1 due now; 1 being tried at this moment anyway\n"
    assert service.due() == [2]


def test_retry_asks_once_on_a_route_that_is_down(service: Running) -> None:
    service.put({"route": "a"}, {"route": "a"}, {"route": "b"}, {"route": "b", "next_attempt": 1.0})
    service.call("retry", "2", "3", "4")
    assert {entry["next_attempt"][:4] for entry in service.json("list")} != {"1970"}
    found = service.spool.claim_due(service.spool.now(), 100, except_routes=["a", "b"])
    assert [copy.id for copy in found] == [2, 3]


def test_what_is_held_is_neither_due_nor_older(service: Running) -> None:
    service.put({"next_attempt": 1.0})
    assert service.call("hold", "--domain", "b.example").stderr == "1 held\n"
    assert service.due() == []
    before = service.spool.list()[0].queued_at
    assert service.call("release", "--all").stderr == "1 released\n"
    assert service.spool.list()[0].queued_at > before
    assert service.due() == [1]


def test_what_is_in_hand_is_held_after_its_attempt(service: Running) -> None:
    service.put({"next_attempt": 1.0})
    assert service.due() == [1]
    assert service.call("hold", "1").stderr == "1 held; 1 of them being tried at this moment: held if that fails\n"
    service.spool.settle(Settlement(entry_id=1, fate="deferred", next_attempt=1.0, attempts=2))
    assert service.due() == []


def test_remove_asks_first(service: Running) -> None:
    service.put({}, {})
    assert (
        "Remove 2 from the spool, without a report? [y/N]"
        in service.call("remove", "--all", answer="n\n", exit_code=1).output
    )
    assert service.spool.count() == 2
    service.call("remove", "1", answer="y\n")
    assert [entry.id for entry in service.spool.list()] == [2]
    assert service.call("remove", "2", "--yes").stderr == "1 removed\n"


def test_remove_can_tell_the_senders(service: Running) -> None:
    service.put({}, {"sender": ""}, {"dsn": DsnRequest("NEVER")})
    assert service.call("remove", "--all", "--yes", "--bounce").stderr == "3 removed\n"
    (report,) = service.spool.claim_due(service.spool.now(), 10)
    assert (report.recipient, report.sender, report.is_report) == ("news@a.example", "", True)
    assert b"has removed it from the queue" in report.content
    assert b"\r\nStatus: 5.3.0\r\n" in report.content


def test_what_is_in_hand_is_removed_by_force_alone(service: Running) -> None:
    service.put({"next_attempt": 1.0})
    assert service.due() == [1]
    refused = service.call("remove", "1", "--yes", exit_code=1)
    assert refused.stderr == "0 removed; 1 left, being tried at this moment: try again, or --force\n"
    service.call("remove", "1", "--yes", "--force")
    assert service.spool.count() == 0


@pytest.mark.parametrize("command", ["retry", "hold", "release", "remove"])
def test_orders_say_what_they_need(service: Running, command: str) -> None:
    with pytest.raises(SpoolError, match="which\\?"):
        service.call(command)
    with pytest.raises(SpoolError, match="not in the spool: 8, 9; `mailwake spool list`"):
        service.call(command, "8", "9")
    with pytest.raises(SpoolError, match="contradict"):
        service.call(command, "8", "--all")


def test_an_entry_that_is_not_there(service: Running) -> None:
    with pytest.raises(SpoolError, match="not in the spool: 7"):
        service.call("show", "7")


def test_a_directory_without_a_spool(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="has no spool yet"):
        CliRunner().invoke(app, ["list", "--data", str(tmp_path)], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
