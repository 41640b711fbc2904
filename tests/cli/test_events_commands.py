from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailwake.events.model import Event, EventType
from mailwake.events.record import MessageFacts, Outcome, encode_message, pack_facts
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.journal.frame import SEGMENT_HEADER, SEGMENT_SUFFIX, frame

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
from mailwake.cli import events_commands
from mailwake.errors import MailwakeError
try:
    events_commands.app()
except MailwakeError as error:
    sys.exit(f"mailwake: {error}")
"""
FACTS = pack_facts(MessageFacts(1 << 40, 1_790_000_000_000, 1, campaign_id="spring", subject="[red]Hi\x1b[31m"))


def injection(number: int) -> bytes:
    return encode_message(EventType.INJECTION, number, 1_790_000_000_000 + number, FACTS, f"r{number}@example.com", 0)


def write_segment(data: Path, name: str, *payloads: bytes, tail: bytes = b"") -> None:
    (data / "journal").mkdir(exist_ok=True)
    content = SEGMENT_HEADER + b"".join(map(frame, payloads)) + tail
    hidden = data / "journal" / f".{name}"
    hidden.write_bytes(content)
    hidden.rename(data / "journal" / f"{name}{SEGMENT_SUFFIX}")


def start(data: Path, *options: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "tail", "--data", str(data), *options],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def run(data: Path, *options: str) -> tuple[int, str, str]:
    process = start(data, *options)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def event_ids(lines: str) -> list[str]:
    return [json.loads(line)["msys"]["message_event"]["event_id"] for line in lines.splitlines()]


def test_events_of_all_workers_come_in_order_of_time_one_object_a_line(tmp_path: Path) -> None:
    write_segment(tmp_path, "smtp-0", *map(injection, (1, 3, 5)))
    write_segment(tmp_path, "smtp-1", *map(injection, (2, 4)))
    status, out, err = run(tmp_path)
    assert (status, err) == (0, "")
    assert event_ids(out) == ["1", "2", "3", "4", "5"]


def test_an_empty_journal_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert run(tmp_path) == (0, "", "")


def test_no_journal_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    status, out, err = run(tmp_path / "absent")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "--data" in err


def test_damage_and_unreadable_records_are_reported_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_segment(tmp_path, "smtp-0", injection(1), b"nonsense", injection(2), tail=b"torn")
    status, out, err = run(tmp_path)
    assert status == 0
    assert event_ids(out) == ["1", "2"]
    assert len(err.splitlines()) == 2
    assert "torn frame" in err
    assert "cannot be read" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_following_shows_what_comes_and_ends_quietly(tmp_path: Path, number: signal.Signals) -> None:
    write_segment(tmp_path, "smtp-0", injection(1))
    process = start(tmp_path, "--follow")
    assert process.stdout is not None
    assert event_ids(process.stdout.readline()) == ["1"]
    write_segment(tmp_path, "smtp-1", injection(2))
    assert event_ids(process.stdout.readline()) == ["2"]
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_following_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    write_segment(tmp_path, "smtp-0", injection(1))
    process = start(tmp_path, "--follow")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_closed_pipe_amid_many_events_is_quiet(tmp_path: Path) -> None:
    write_segment(tmp_path, "smtp-0", *map(injection, range(3000)))
    process = start(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def at_a_terminal(data: Path, *options: str) -> list[str]:
    ours, theirs = pty.openpty()
    process = start(data, *options, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the terminal was closed at the other side
        pass
    os.close(ours)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0
    return shown.decode().splitlines()


@pytest.mark.parametrize("as_json", [False, True])
def test_people_at_a_terminal_get_rows_and_json_when_they_ask(tmp_path: Path, as_json: bool) -> None:
    bounce = encode_message(
        EventType.BOUNCE, 9, 1_790_000_000_009, FACTS, "R9@example.com", 0, "", Outcome(550, "5.1.1", "no [bold]user")
    )
    write_segment(tmp_path, "smtp-0", injection(1), bounce)
    lines = at_a_terminal(tmp_path, *(["--json"] if as_json else []))
    assert len(lines) == 2
    if as_json:
        assert json.loads(lines[0])["msys"]["message_event"]["event_id"] == "1"
    else:
        assert "r9@example.com" in lines[1]
        assert "550 5.1.1 no [bold]user" in lines[1]
        assert "[red]Hi" in lines[0]
        assert "\x1b[31mHi" not in lines[0]


def test_people_at_a_terminal_see_what_is_no_person(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    click = Event(
        type=EventType.CLICK,
        event_id=1,
        timestamp=1_790_000_000_000,
        message_id="0" * 20,
        transmission_id=1,
        target_link_url="https://www.example.org/",
        is_bot=True,
        bot_reason="crawler",
        is_prefetched=True,
    )
    FeedWriter(tmp_path / "feed").append([encode_event(click)], {})
    (line,) = at_a_terminal(tmp_path)
    assert "https://www.example.org/" in line
    assert "machine: crawler, prefetched" in line
