"""`mailwake bots`: a file of rules is checked, and a verdict is explained from a real journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mailwake.cli.main import make_app
from mailwake.errors import MailwakeError
from mailwake.events.model import EventType
from mailwake.events.record import (
    EngagementRecord,
    MessageFacts,
    Outcome,
    encode_engagement,
    encode_head,
    encode_message,
    pack_facts,
)
from mailwake.events.unique_ids import EPOCH
from mailwake.journal.frame import frame
from mailwake.journal.segment_file import Disk, SegmentFile
from mailwake.links.token import LinkContext, LinkKind, link_array, message_id, pack_context

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

START = 1_790_689_600_000
TRANSMISSION = (START - EPOCH * 1000) << 22 | 5


def run(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), ["bots", *map(str, arguments)])


def an_id(at_ms: int, number: int = 0) -> int:
    return (START + at_ms - EPOCH * 1000) << 22 | number


def body(target: str, copy: int = 0) -> bytes:
    context = LinkContext("", TRANSMISSION, message_id(TRANSMISSION, copy), START // 1000, 86400, f"r{copy}@e.org")
    packed = pack_context(context)
    return packed[:8] + link_array(LinkKind.CLICK, packed, target)


def click(at_ms: int, target: str, copy: int = 0, agent: str = "Mozilla/5.0 (X11; Linux x86_64)") -> bytes:
    record = EngagementRecord(
        EventType.CLICK, an_id(at_ms, copy), START + at_ms, "192.0.2.7", agent, "", False, body(target, copy)
    )
    return encode_engagement(record)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    facts = pack_facts(MessageFacts(TRANSMISSION, START, 700))
    delivery = encode_message(
        EventType.DELIVERY,
        an_id(10_000, 99),
        START + 10_000,
        facts,
        "r0@e.org",
        0,
        "",
        Outcome(250, "2.0.0", "ok"),
    )
    records = [
        delivery,
        encode_head(EventType.CLICK, START + 11_000, "192.0.2.9", "scan", body("https://e.org/0")),
        click(12_000, "https://e.org/1"),
        click(12_300, "https://e.org/2", copy=1),
        click(12_500, "https://e.org/2"),
        click(90_000, "https://e.org/2"),
    ]
    SegmentFile(tmp_path / "journal", "tracker-0", Disk(), 1 << 20).append(b"".join(map(frame, records)))
    return tmp_path


def test_why_a_click_is_a_machines(data: Path) -> None:
    shown = run("explain", an_id(12_000), "--data", data)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "click of r0@e.org at 2026-09-29T13:46:52Z",
        "  asked by  192.0.2.7, Mozilla/5.0 (X11; Linux x86_64)",
        "  link      https://e.org/1",
        "  came      2 s after delivery; different links asked for within 2 s: 3",
        "  by proxy  no",
        "  judged    machine: several_links_at_once, 0.95",
        "  holds     0.95 many-links-at-once (several_links_at_once)",
        "  holds     0.8  two-links-at-once-early (several_links_at_once)",
        "  holds     0.4  two-links-at-once (several_links_at_once)",
        "  holds     0.4  hardly-anybody-could (hardly_anybody_could)",
    ]


def test_why_another_is_not(data: Path) -> None:
    lines = run("explain", an_id(90_000), "--data", data).stdout.splitlines()
    assert lines[3] == "  came      80 s after delivery; different links asked for within 2 s: 1"
    assert lines[-1] == "  judged    person, as far as can be told"


def test_other_rules_can_be_tried(data: Path) -> None:
    rules = data / "rules.toml"
    rules.write_text('[[rule]]\nname = "office"\nevents = ["click"]\nnetworks = ["192.0.2.0/24"]\n')
    lines = run("explain", an_id(90_000), "--data", data, "--rules", rules).stdout.splitlines()
    assert lines[-2:] == ["  judged    machine: office, 0.9", "  holds     0.9  office (office)"]


def test_a_message_event_is_not_judged(data: Path) -> None:
    lines = run("explain", an_id(10_000, 99), "--data", data).stdout.splitlines()
    assert lines[-1] == "  judged    no: only opens, clicks and unsubscriptions are"


def test_an_event_that_is_not_there_is_one_line(data: Path, tmp_path: Path) -> None:
    shown = run("explain", 12345, "--data", data)
    assert isinstance(shown.exception, MailwakeError)
    assert str(shown.exception).startswith("event 12345 is not in ")
    shown = run("explain", 12345, "--data", tmp_path / "none")
    assert str(shown.exception).endswith("there is no journal; name the service's data directory with --data")


def test_a_file_of_rules_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rule]]\nname = "http-tools"\nenabled = false\n[[rule]]\nname = "mine"\nevents = ["open"]\nagents = ["x"]\n'
        '[[proxy]]\nname = "gmail"\nevents = ["open"]\nagents = ["x"]\n[[rule]]\nname = "typo"\nenabled = false\n'
    )
    shown = run("check", file)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "http-tools: is switched off",
        "gmail: takes the place of the shipped one",
        f"{file}: no problems found",
    ]
    assert shown.stderr == "warning: typo: is switched off, and is none of the shipped ones\n"


def test_every_problem_of_a_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "a b"\nevents = []\n')
    shown = run("check", file)
    assert shown.exit_code == 1
    assert [line.split(": ")[:2] for line in shown.stderr.splitlines()] == [
        [f"{file}:2", "rule.0.name"],
        [f"{file}:3", "rule.0.events"],
    ]


def test_the_shipped_rules_can_be_read(tmp_path: Path) -> None:
    shown = run("shipped")
    assert "[[rule]]" in shown.stdout
    (tmp_path / "copy.toml").write_text(shown.stdout)
    assert run("check", tmp_path / "copy.toml").exit_code == 0
