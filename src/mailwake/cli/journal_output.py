"""What `mailwake journal` shows: facts for programs, and the same as tables for people."""

from __future__ import annotations

import shutil
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from mailwake.cli.spool_output import console, short_duration
from mailwake.clock import iso_time
from mailwake.feed.lag import lags
from mailwake.feed.last_state import last_state
from mailwake.feed.merged_segments import DAMAGED
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.reader import FeedReader
from mailwake.feed.retention import StoredSegment
from mailwake.feed.segments import segments_in
from mailwake.feed.survey import survey_feed, survey_journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mailwake.cli.journal_verification import Verification
    from mailwake.feed.contract import Position
    from mailwake.feed.survey import SegmentFacts
    from mailwake.service.data_directory import DataDirectory

_COUNTED_OCTETS = 64 << 20
"""Up to this lag a consumer's unread events are counted; beyond it they are estimated."""


def status_facts(data: DataDirectory, now: float) -> dict[str, Any]:
    """Journal, feed, consumers and disk; times in ISO 8601, `now` in Unix seconds."""
    # The consumers first: what is merged or read meanwhile must not look like a position behind the end.
    positions = _positions(data.positions)
    merged = last_state(data.feed).cursor
    by_writer: defaultdict[str, list[SegmentFacts]] = defaultdict(list)
    for facts in survey_journal(data.journal, merged):
        by_writer[facts.writer].append(facts)
    feed = survey_feed(data.feed)
    disk = shutil.disk_usage(data.journal)
    return {
        "journal": {
            "directory": str(data.journal),
            "writers": [_writer_facts(name, segments) for name, segments in sorted(by_writer.items())],
            "put_aside": _put_aside(data.journal / DAMAGED),
        },
        "feed": {"directory": str(data.feed), **_series_facts(feed)},
        "consumers": _consumers(data.feed, feed, positions, now),
        "disk": {"free_octets": disk.free, "total_octets": disk.total},
    }


def _positions(path: Path) -> dict[str, Position]:
    if not path.exists():
        return {}
    with closing(PositionsFile(path)) as positions:
        return positions.all()


def _put_aside(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.iterdir()) if directory.is_dir() else []


def _series_facts(segments: Sequence[SegmentFacts]) -> dict[str, Any]:
    return {
        "segments": len(segments),
        "octets": sum(each.octets for each in segments),
        "records": sum(each.records for each in segments),
        "records_estimated": not all(each.is_counted for each in segments),
        "oldest": iso_time(min(each.begun_ms for each in segments) / 1000) if segments else None,
        "newest": iso_time(max(each.written_ms for each in segments) / 1000) if segments else None,
        "live": any(each.is_live for each in segments),
    }


def _writer_facts(name: str, segments: Sequence[SegmentFacts]) -> dict[str, Any]:
    behind = sum(each.behind for each in segments)
    return {"writer": name, **_series_facts(segments), "unmerged_octets": behind, "merged": not behind}


def _consumers(
    directory: Path, feed: Sequence[SegmentFacts], positions: dict[str, Position], now: float
) -> list[dict[str, Any]]:
    octets = {facts.path: facts.octets for facts in feed}
    stored = [
        StoredSegment(each.number, each.begun_ms, octets[each.path])
        for each in segments_in(directory)
        if each.path in octets
    ]
    records = sum(each.records for each in feed)
    octets_of_event = sum(octets.values()) / records if records else 1
    found = []
    for consumer, lag in sorted(lags(directory, stored, positions, int(now * 1000)).items()):
        is_counted = lag.octets <= _COUNTED_OCTETS
        unread = _count(directory, positions[consumer]) if is_counted else round(lag.octets / octets_of_event)
        found.append(
            {
                "consumer": consumer,
                "position": str(positions[consumer]),
                "lag_events": unread,
                "lag_events_estimated": not is_counted,
                "lag_octets": lag.octets,
                "lag_seconds": round(lag.seconds, 3),
            }
        )
    return found


def _count(directory: Path, position: Position) -> int:
    reader, count = FeedReader(directory), 0
    while True:
        page = reader.read(position)
        count, position = count + len(page.events), page.position
        if not page.more:
            return count


def show_status(facts: dict[str, Any]) -> None:
    """The facts of `status_facts` for people."""
    journal, feed, disk = facts["journal"], facts["feed"], facts["disk"]
    out = console()
    table = _table("journal", "segments", "size", "records", "oldest", "newest", "in use", "to be merged")
    for writer in journal["writers"]:
        behind = writer["unmerged_octets"]
        table.add_row(writer["writer"], *_series_cells(writer), _size(behind) if behind else "-")
    table.add_section()
    table.add_row("feed", *_series_cells(feed), "")
    out.print(table)
    if facts["consumers"]:
        table = _table("\nconsumer", "\nposition", "behind\nevents", "\nsize", "\nsince")
        for each in facts["consumers"]:
            about = "~" if each["lag_events_estimated"] else ""
            since = short_duration(each["lag_seconds"]) if each["lag_events"] else "-"
            cells = (each["position"], f"{about}{each['lag_events']}", _size(each["lag_octets"]), since)
            table.add_row(each["consumer"], *cells)
        out.print()
        out.print(table)
    typer.echo(f"\n{_size(disk['free_octets'])} of {_size(disk['total_octets'])} free in {journal['directory']}")
    for path in journal["put_aside"]:
        typer.echo(f"damaged, put aside: {path}")


def show_verification(result: Verification) -> None:
    """What was found, damage first."""
    for trouble in result.troubles:
        typer.echo(f"{trouble.file}: at {trouble.offset}: {trouble.reason}, {trouble.octets} octets")
    lost = sum(trouble.octets for trouble in result.troubles)
    verdict = f"damaged at {len(result.troubles)}, {lost} octets" if result.troubles else "all of them whole"
    typer.echo(f"{result.files} files, {result.records} records, {_size(result.octets)}: {verdict}", err=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _series_cells(series: dict[str, Any]) -> tuple[str, ...]:
    about = "~" if series["records_estimated"] else ""
    return (
        str(series["segments"]),
        _size(series["octets"]),
        f"{about}{series['records']}",
        series["oldest"] or "-",
        series["newest"] or "-",
        "yes" if series["live"] else "no",
    )


def _size(octets: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024 or unit == "GiB":
            break
        octets /= 1024
    return f"{octets:.0f} {unit}" if unit == "B" or octets >= 100 else f"{octets:.1f} {unit}"
