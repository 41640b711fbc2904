from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.feed.conftest import START, event
from typer.testing import CliRunner, Result

from mailwake.cli.journal_commands import app
from mailwake.errors import MailwakeError, StartupError
from mailwake.events.model import EventType
from mailwake.events.record import MessageFacts, encode_message, pack_facts
from mailwake.feed.contract import Position
from mailwake.feed.payload import encode_event
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.segments import segments_in
from mailwake.feed.writer import FeedWriter
from mailwake.journal.frame import SEGMENT_HEADER, frame
from mailwake.service.data_directory import DataDirectory

FACTS = pack_facts(MessageFacts(1 << 40, START, 700, customer_id="42", campaign_id="spring"))


def injection(number: int) -> bytes:
    return encode_message(EventType.INJECTION, number, START + number, FACTS, "Ann@Example.com", 0)


class Node:
    """A data directory with a journal of two workers, of which the feed has a part."""

    def __init__(self, base: Path) -> None:
        self.data = DataDirectory(base)
        self.data.journal.mkdir()
        self.smtp = self.segment("smtp-0-1790689600000-aaaaaaaa", *map(injection, range(1, 6)))
        self.tracker = self.segment("tracker-0-1790689601000-bbbbbbbb", injection(6))
        self.writer = FeedWriter(self.data.feed)
        merged = {self.smtp.name: self.smtp.stat().st_size - len(frame(injection(5)))}
        self.writer.append([encode_event(event(number)) for number in range(1, 5)], merged)
        self.writer.roll()
        self.writer.append([encode_event(event(100, kind=EventType.OPEN))], merged)

    def segment(self, name: str, *contents: bytes, tail: bytes = b"") -> Path:
        path = self.data.journal / f"{name}.segment"
        path.write_bytes(SEGMENT_HEADER + b"".join(map(frame, contents)) + tail)
        return path

    def positions(self, **kept: Position) -> None:
        positions = PositionsFile(self.data.positions)
        for consumer, position in kept.items():
            positions.keep(consumer.replace("__", ":"), position)
        positions.close()

    def call(self, *arguments: str, exit_code: int = 0, answer: str | None = None) -> Result:
        result = CliRunner().invoke(
            app, [*arguments, "--data", str(self.data.path)], catch_exceptions=False, input=answer
        )
        assert result.exit_code == exit_code, result.output
        return result

    def status(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.call("status", "--json").stdout)
        return facts

    def exported(self, *arguments: str) -> list[int]:
        lines = self.call("export", "--form", "api", *arguments).stdout.splitlines()
        return [int(json.loads(line)["event_id"]) for line in lines]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.writer.close()


def test_status_says_what_each_writer_has_and_what_is_to_be_merged(node: Node) -> None:
    with node.tracker.open("rb") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        facts = node.status()
    smtp, tracker = facts["journal"]["writers"]
    assert (smtp["writer"], smtp["segments"], smtp["records"], smtp["records_estimated"]) == ("smtp-0", 1, 5, False)
    assert (smtp["octets"], smtp["oldest"]) == (node.smtp.stat().st_size, "2026-09-29T13:46:40Z")
    assert (smtp["unmerged_octets"], smtp["merged"], smtp["live"]) == (len(frame(injection(5))), False, False)
    assert (tracker["writer"], tracker["live"], tracker["unmerged_octets"]) == (
        "tracker-0",
        True,
        len(frame(injection(6))),
    )
    feed = facts["feed"]
    assert (feed["segments"], feed["records"], feed["live"]) == (2, 5, True)
    assert facts["disk"]["total_octets"] >= facts["disk"]["free_octets"] > 0
    assert facts["consumers"] == []


def test_status_says_how_far_each_consumer_is(node: Node) -> None:
    first = segments_in(node.data.feed)[0]
    node.positions(webhook__7=Position(1, 0), store=node.writer.end)
    store, webhook = node.status()["consumers"]
    assert (store["consumer"], store["lag_events"], store["lag_octets"], store["lag_seconds"]) == ("store", 0, 0, 0)
    assert (webhook["consumer"], webhook["position"], webhook["lag_events"]) == ("webhook:7", "1:0", 5)
    assert webhook["lag_octets"] >= first.path.stat().st_size
    assert webhook["lag_seconds"] > 0
    shown = node.call("status").stdout
    assert "webhook:7" in shown
    assert "smtp-0" in shown
    assert "free in" in shown


def test_many_records_are_estimated_from_the_first_ones(node: Node) -> None:
    node.segment("smtp-1-1790689600000-cccccccc", *[injection(number) for number in range(20_000)])
    (found,) = [each for each in node.status()["journal"]["writers"] if each["writer"] == "smtp-1"]
    assert found["records_estimated"]
    assert 19_000 < found["records"] < 21_000


def test_a_whole_journal_verifies(node: Node) -> None:
    done = node.call("verify")
    assert done.stdout == ""
    assert "4 files, 13 records" in done.stderr
    assert "all of them whole" in done.stderr


def test_damage_is_told_with_file_and_offset_and_fails(node: Node) -> None:
    torn = node.segment("smtp-1-1790689600000-cccccccc", injection(7), tail=b"torn")
    strange = node.segment("smtp-2-1790689600000-dddddddd", b"no record")
    (node.data.journal / "damaged").mkdir()
    (node.data.journal / "damaged" / "old-1-2.segment").write_bytes(b"nonsense")
    feed = segments_in(node.data.feed)[0].path
    content = bytearray(feed.read_bytes())
    content[20] ^= 1
    feed.write_bytes(content)
    facts = json.loads(node.call("verify", "--json", exit_code=1).stdout)
    found = {(Path(each["file"]).name, each["offset"]): each["octets"] for each in facts["damage"]}
    assert found == {
        (torn.name, len(SEGMENT_HEADER) + len(frame(injection(7)))): 4,
        (strange.name, len(SEGMENT_HEADER)): 8 + 9,
        ("old-1-2.segment", 0): 8,
        (feed.name, len(SEGMENT_HEADER)): len(frame(encode_event(event(1)))),
    }
    assert f"{torn}: at " in node.call("verify", exit_code=1).stdout


def test_export_has_the_feeds_events_and_then_what_is_not_merged(node: Node) -> None:
    assert node.exported() == [1, 2, 3, 4, 100, 5, 6]
    first = json.loads(node.call("export").stdout.splitlines()[0])
    assert first["msys"]["track_event"]["event_id"] == "1"


def test_an_event_that_is_merged_already_but_not_checkpointed_comes_once(node: Node) -> None:
    with segments_in(node.data.feed)[-1].path.open("r+b") as file:  # as a kill leaves it
        file.seek(node.writer.end.offset)
        file.write(frame(encode_event(event(5))))
    assert node.exported() == [1, 2, 3, 4, 100, 5, 6]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--type", "open"], [100]),
        (["--type", "open", "--type", "injection"], [100, 5, 6]),
        (["--recipient", "ANN@example.com"], [5, 6]),
        (["--campaign", "spring"], [5, 6]),
        (["--customer", "43"], []),
        (["--since", "2026-09-29T13:46:40.003"], [3, 4, 100, 5, 6]),
        (["--since", "2026-09-29T15:46:40.003+02:00", "--until", "2026-09-29T13:46:40.005Z"], [3, 4]),
        (["--until", "2026-09-29T13:46:40.003"], [1, 2]),
        (["--since", "36500d"], [1, 2, 3, 4, 100, 5, 6]),
    ],
)
def test_export_takes_what_is_asked_for(node: Node, options: list[str], expected: list[int]) -> None:
    assert node.exported(*options) == expected


def test_export_makes_a_new_private_file(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    assert node.call("export", "--output", str(file)).stderr == "7 events written\n"
    assert len(file.read_text().splitlines()) == 7
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(StartupError, match="exists already"):
        node.call("export", "--output", str(file))


def test_export_goes_on_behind_damage_and_says_so(node: Node) -> None:
    content = bytearray(node.smtp.read_bytes())
    content[-3] ^= 1
    node.smtp.write_bytes(content)
    done = node.call("export")
    assert len(done.stdout.splitlines()) == 6
    assert "checksum mismatch" in done.stderr


def test_a_consumer_that_will_not_come_back_is_forgotten(node: Node) -> None:
    node.positions(webhook__7=Position(1, 0), store=Position(2, 0))
    node.call("forget", "webhook:7", answer="n\n", exit_code=1)
    assert len(node.status()["consumers"]) == 2
    node.call("forget", "webhook:7", "--yes")
    assert [each["consumer"] for each in node.status()["consumers"]] == ["store"]
    with pytest.raises(StartupError, match=r"'webhook:7' is no consumer; there are: store"):
        node.call("forget", "webhook:7", "--yes")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--type", "clock"], "no type of event; there are click"),
        (["export", "--since", "yesterday"], "--since: 'yesterday' is no time"),
        (["export", "--output", "/nonexistent/file"], "--output: /nonexistent/file: No such file"),
        (["forget", "store", "--yes"], "there are no consumers yet"),
    ],
)
def test_bad_input_is_one_line(node: Node, arguments: list[str], said: str) -> None:
    with pytest.raises(MailwakeError, match=said) as error:
        node.call(*arguments)
    assert "\n" not in str(error.value)


def test_no_journal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MailwakeError, match="there is no journal; name the data directory with --data"):
        CliRunner().invoke(app, ["status", "--data", str(tmp_path / "absent")], catch_exceptions=False)
