"""`mailwake report` as people type it: beside a service and without, for eyes and for programs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import typer
from rich.console import Console
from tests.cli.running_api import running_api
from tests.store.events import event
from typer.testing import CliRunner

from mailwake.cli import report_command
from mailwake.cli.report_command import KEY_VARIABLE
from mailwake.cli.report_output import bar, clean, line_of_blocks, rows_table
from mailwake.cli.report_question import Asked, Period, ReportError, RowsBy, period_of
from mailwake.config.store_settings import Store
from mailwake.control.api_keys import Scope
from mailwake.errors import MailwakeError
from mailwake.events.model import Event, EventType
from mailwake.feed.contract import Position
from mailwake.links.body import HONEYPOT_NAME
from mailwake.service.api_address import kept_api_address
from mailwake.service.data_directory import DataDirectory
from mailwake.store.duckdb_store import open_store

if TYPE_CHECKING:
    from pathlib import Path

APP = typer.Typer()
APP.command()(report_command.report)
DAY = "2026-09-30"
NOON = round(datetime.fromisoformat(f"{DAY}T12:00Z").timestamp() * 1000)
THEN = ("--since", DAY, "--until", DAY)
ESCAPES = "\x1b[31mred\x1b]0;title\x07"
FORMULA = "=HYPERLINK(1)"
UTC_ZONE = ZoneInfo("UTC")


def mail(number: int, kind: EventType, message: int, **fields: Any) -> Event:
    given = {"campaign_id": ("spring", ESCAPES)[message % 2], "customer_id": "42", "timestamp": NOON + number, **fields}
    return event(number, type=kind, transmission_id=message + 1, message_id=f"{message + 1:016x}0000", **given)


EVENTS = [
    *(mail(10 + each, EventType.INJECTION, each) for each in range(10)),
    *(mail(20 + each, EventType.DELIVERY, each) for each in range(8)),
    *(mail(30 + each, EventType.OPEN, each) for each in range(4)),
    *(mail(40 + each, EventType.CLICK, each, target_link_name=FORMULA, is_bot=each == 1) for each in range(2)),
    mail(50, EventType.CLICK, 0, target_link_name="Raw URL", target_link_url="https://x.example/"),
    mail(51, EventType.INJECTION, 60, campaign_id="a, b"),
]


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()

    async def fill() -> None:
        with closing(open_store(directory.store, Store())) as store:
            await store.open()
            await store.load(EVENTS, Position(1, 1))

    asyncio.run(fill())
    return directory


def report(data: DataDirectory, *arguments: str) -> str:
    result = CliRunner().invoke(APP, ["--data", str(data.path), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_rows_it_is_a_funnel(data: DataDirectory) -> None:
    lines = report(data, *THEN, "--campaign", "spring").splitlines()
    assert lines[:2] == [f"{DAY} 00:00 to 2026-10-01 00:00, UTC, all opens and clicks", "campaigns: spring"]
    words = [line.split() for line in lines]
    assert [each[:4] for each in words[3:5]] == [
        ["Targeted", "5", "100.0", "%"],
        ["Accepted", "4", "80.0", "%"],
    ]
    assert words[5][:5] == ["Opened,", "confirmed", "2", "40.0", "%"]
    assert words[6][:4] == ["Clicked", "1", "20.0", "%"]
    assert "█" * 40 in lines[3]
    assert "█" * 16 in lines[5]
    assert "opens 2, clicks 2, unsubs 0" in lines[7]
    assert lines[-2].startswith("opened   ▁")
    assert "█" in lines[-1]


def test_opens_without_messages_are_explained(data: DataDirectory) -> None:
    nobody = event(900, type=EventType.OPEN, transmission_id=7, message_id=f"{7:016x}ffff", rcpt_to="", timestamp=NOON)

    async def add() -> None:
        with closing(open_store(data.store, Store())) as store:
            await store.open()
            await store.load([msgspec.structs.replace(nobody, campaign_id="anonymous")], Position(1, 2))

    asyncio.run(add())
    said = report(data, *THEN, "--campaign", "anonymous")
    assert "Opened, confirmed  0" in said
    assert "bounced 0, rejected 0, opens 1, clicks 0, unsubs 0\nthese opens and clicks are of anonymous copies" in said
    assert "anonymous copies" not in report(data, *THEN)


ROWS: list[tuple[tuple[str, ...], list[str]]] = [
    (("--by", "campaign", "--order-by", "name"), ["\\x1b[31mred\\x1b]0;title\\x07 5 4 2 50.0 % 1 25.0 % 0 0"]),
    (("--by", "customer", "--cut", "people"), ["42 11 8 4 50.0 % 1 12.5 % 0 0"]),
    (("--by", "day"), [f"{DAY} 00:00 11 8 4 2 0 0"]),
    (("--by", "hour", "--since", f"{DAY}T11:30", "--timezone", "Asia/Kathmandu"), []),
    (("--by", "month", "--timezone", "America/New_York"), ["2026-09-01 00:00 11 8 4 2 0 0"]),
    (("--by", "link-name"), ["=HYPERLINK(1) 2 66.7 % 2", "Raw URL 1 33.3 % 1"]),
    (("--by", "link", "--limit", "1"), ["=HYPERLINK(1) (none) 2 66.7 % 2", "1 more; see them with --limit"]),
    (("--by", "domain", "--metric", "count_raw_clicked, count_bounce"), ["example.org 2 0"]),
    (("--by", "tag"), ["No events in this time. Try an earlier --since, as 30d or 52w."]),
    (
        ("--campaign", "none", "--cut", "people"),
        ["No events that fit in this time. Try an earlier --since, as 30d or 52w, or --cut all."],
    ),
    (("--metric", "count_clicked"), ["count_clicked 3"]),
    (("--link", "Raw URL", "--by", "campaign", "--metric", "count_clicked"), ["spring 1"]),
    (("--link", "Raw URL"), ["count_clicked 1", "count_unique_clicked 1"]),
    (("--link", "Raw URL", "--by", "campaign"), ["spring 1 1"]),
    (("--recipient", "BOB@example.org", "--metric", "count_injected"), ["count_injected 11"]),
    (("--campaign", "a, b", "--campaign", "spring", "--metric", "count_injected"), ["count_injected 6"]),
]


def test_rows_for_people_and_nothing_in_them_reaches_the_terminal(data: DataDirectory) -> None:
    for arguments, expected in ROWS:
        said = report(data, *THEN, *arguments)
        lines = [" ".join(line.split()) for line in said.splitlines()]
        for line in expected:
            assert [each for each in lines if each.startswith(line)], (arguments, said)
        assert "\x1b" not in said
        assert "\x07" not in said


def test_programs_get_json_and_csv_without_formulas(data: DataDirectory) -> None:
    document = json.loads(report(data, *THEN, "--by", "link-name", "--json"))
    assert document == {
        "from": "2026-09-30T00:00:00.000Z",
        "to": "2026-10-01T00:00:00.000Z",
        "timezone": "UTC",
        "results": [
            {"link_name": FORMULA, "count_clicked": 2, "count_unique_clicked": 2},
            {"link_name": "Raw URL", "count_clicked": 1, "count_unique_clicked": 1},
        ],
        "total_count": 2,
    }
    rows = list(csv.reader(io.StringIO(report(data, *THEN, "--by", "link-name", "--csv"))))
    assert rows == [
        ["link_name", "count_clicked", "count_unique_clicked"],
        [f"'{FORMULA}", "2", "2"],
        ["Raw URL", "1", "1"],
    ]
    assert report(data, *THEN, "--by", "link", "--campaign", "none", "--csv").splitlines() == [
        "link_name,link_url,count_clicked,count_unique_clicked"
    ]
    assert len(json.loads(report(data, *THEN, "--by", "hour", "--json"))["results"]) == 24


def test_beside_a_service_the_answers_are_the_same_and_no_key_is_left(data: DataDirectory) -> None:
    questions: tuple[list[str], ...] = ([], ["--by", "campaign"], ["--by", "link", "--json"], ["--by", "day", "--csv"])
    without = [report(data, *THEN, *each) for each in questions]
    with running_api(data, Store()) as parts:
        assert [report(data, *THEN, *each) for each in questions] == without
        assert parts.keys.list() == []
        with pytest.raises(MailwakeError, match="no wildcards"):
            report(data, "--campaign", "spring*")
        assert parts.keys.list() == []


def test_another_machine_is_asked_by_its_url(data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = report(data, *THEN, "--by", "customer", "--json")
    with running_api(data, Store()) as parts:
        url = kept_api_address(data.api_address)
        assert url
        nowhere = DataDirectory(data.path / "nowhere")
        with pytest.raises(MailwakeError, match=f"{KEY_VARIABLE}: put an API key there"):
            report(nowhere, "--url", url)
        monkeypatch.setenv(KEY_VARIABLE, parts.keys.create("mine", [Scope.READ]))
        assert report(nowhere, *THEN, "--url", url, "--by", "customer", "--json") == expected
        monkeypatch.setenv(KEY_VARIABLE, "mwk_wrong")
        with pytest.raises(MailwakeError, match="the service answers 401"):
            report(nowhere, "--url", url)
    monkeypatch.setenv(KEY_VARIABLE, "mwk_x")
    with pytest.raises(MailwakeError, match=f"^the API at {url} does not answer"):
        report(nowhere, "--url", url)


WRONG = [
    (("--metric", "count_clickd"), "--metric: there is no 'count_clickd'; did you mean count_clicked"),
    (("--metric", "count_spam_complaint"), "--metric: count_spam_complaint is not counted: complaints"),
    (("--order-by", "count_clicked"), "--order-by: only rows by link"),
    (("--by", "day", "--order-by", "count_clicked"), "--order-by: only rows by link"),
    (("--by", "link", "--metric", "count_injected"), "count_injected is not counted for each link"),
    (("--by", "link", "--order-by", "clicks"), "--order-by: there is no 'clicks'"),
    (("--json", "--csv"), "choose one"),
    (("--timezone", "Mars"), "--timezone: there is no 'Mars'"),
    (("--since", "soon"), "--since: cannot be 'soon'; it is a time like 7d"),
    (("--since", "2026-02-30"), "--since: cannot be"),
    (("--since", "99999d"), "--since: cannot be '99999d'; days are from 1"),
    (("--since", "2026-02-02", "--until", "2026-02-01"), "must be before --until"),
    (("--since", "1970-01-01", "--by", "hour"), "take longer ones, or a shorter time"),
    (("--campaign", "\x00"), "parameter 'campaigns' cannot be"),
    (("--campaign", ",|;~||\N{SYMBOL FOR UNIT SEPARATOR}"), "no value can be told from the next"),
    (("--url", "ftp://x"), "--url: cannot be 'ftp://x'"),
]


def test_what_is_wrong_is_said_in_a_line(data: DataDirectory) -> None:
    for arguments, said in WRONG:
        with pytest.raises(MailwakeError) as caught:
            report(data, *arguments)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ReportError, match="there is no such data directory"):
        report(DataDirectory(data.path / "nowhere"))
    (data.path / "fresh").mkdir()
    with pytest.raises(MailwakeError, match="has no store yet; start mailwake once"):
        report(DataDirectory(data.path / "fresh"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files that are not its own")
def test_root_does_not_open_the_store_of_a_service_of_another_user(data: DataDirectory) -> None:
    os.chown(data.path, 54_321, 54_321)
    with pytest.raises(MailwakeError, match="belongs to #54321: run this as that user, sudo -u '#54321' mailwake"):
        report(data)
    os.chown(data.path, 0, 0)
    assert report(data)


NOW = datetime(2026, 11, 26, 22, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("since", "until", "zone", "begins", "ends"),
    [
        ("7d", "", "UTC", "2026-11-20T00:00Z", "2026-11-26T22:30Z"),
        ("1d", "", "UTC", "2026-11-26T00:00Z", "2026-11-26T22:30Z"),
        ("1d", "", "Asia/Tokyo", "2026-11-26T15:00Z", "2026-11-26T22:30Z"),
        ("2w", "", "UTC", "2026-11-13T00:00Z", "2026-11-26T22:30Z"),
        ("36h", "", "UTC", "2026-11-25T10:30Z", "2026-11-26T22:30Z"),
        ("yesterday", "yesterday", "UTC", "2026-11-25T00:00Z", "2026-11-26T00:00Z"),
        ("yesterday", "today", "Europe/Berlin", "2026-11-24T23:00Z", "2026-11-26T23:00Z"),
        ("2026-10-25", "2026-10-25", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # it has 25 hours
        ("2026-11-01T08:00", "2026-11-01T09:00", "America/New_York", "2026-11-01T13:00Z", "2026-11-01T14:00Z"),
        ("2026-11-01T08:00Z", "2026-11-01T09:00+01:00", "UTC", "", ""),
    ],
)
def test_times_are_what_people_mean(since: str, until: str, zone: str, begins: str, ends: str) -> None:
    if not begins:
        with pytest.raises(ReportError, match="must be before"):
            period_of(since, until, ZoneInfo(zone), NOW)
        return
    found = period_of(since, until, ZoneInfo(zone), NOW)
    assert found == tuple(round(datetime.fromisoformat(each).timestamp() * 1000) for each in (begins, ends))


def test_small_charts() -> None:
    assert [bar(part, 8, 4) for part in (0, 1, 3, 8, 9)] == ["", "▌", "█▌", "████", "████"]
    assert bar(1, 1_000_000, 4) == "▏"
    assert bar(1, 0, 4) == ""
    assert bar(1, 2, 4, ascii_only=True) == "##"
    assert line_of_blocks([0, 1, 4, 8]) == "▁▃▅█"
    assert line_of_blocks([0, 0]) == "▁▁"
    assert line_of_blocks([]) == ""
    assert line_of_blocks([1] * 121) == "█" * 40 + "▄"
    assert line_of_blocks([0, 4], ascii_only=True) == "_#"
    assert (
        clean("a\x1b[0m\u202eb\N{LATIN SMALL LETTER E WITH ACUTE}")
        == "a\\x1b[0m\\u202eb\N{LATIN SMALL LETTER E WITH ACUTE}"
    )


def test_where_there_is_little_room_names_and_numbers_stay() -> None:
    asked = Asked(period=Period(0, 1), zone=UTC_ZONE, by=RowsBy.CAMPAIGN)
    row = {"campaign_id": "booking-confirmation", **dict.fromkeys(asked.counted, 12_345)}
    found = []
    for width in (130, 100, 80):
        console = Console(file=io.StringIO(), width=width)
        console.print(rows_table(asked, [row], None, console))
        lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is the StringIO
        assert max(map(len, lines)) <= width
        found.append((lines[0].split()[-1], lines[1].count("%"), lines[1].count("█"), "booking" in lines[1]))
    assert found == [("opened", 2, 20, True), ("unsubs", 2, 0, True), ("unsubs", 0, 0, True)]


def test_the_hidden_link_is_called_what_it_is() -> None:
    asked = Asked(period=Period(0, 1), zone=UTC_ZONE, by=RowsBy.LINK_NAME)
    console = Console(file=io.StringIO(), width=100)
    console.print(rows_table(asked, [{"link_name": HONEYPOT_NAME, **dict.fromkeys(asked.counted, 1)}], 1, console))
    assert "(hidden, only machines find it)" in console.file.getvalue()  # type: ignore[attr-defined]  # as above


def test_values_with_commas_are_kept_apart() -> None:
    asked = Asked(period=Period(0, 1), zone=UTC_ZONE, filters={"campaigns": ("a, b", "c"), "tags": ("d|e",)})
    assert (asked.query["delimiter"], asked.query["campaigns"], asked.query["tags"]) == (";", "a, b;c", "d|e")
