"""`mailwake report`: whether anyone reads the mail, and what they click."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailwake.api.metrics_answers import GROUPINGS
from mailwake.cli.ask_service import ask_url
from mailwake.cli.ask_whoever_has_it import Source, ask_whoever_has_it
from mailwake.cli.report_output import funnel, heading, over_time, rows_table
from mailwake.cli.report_question import (
    SHOWN_ROWS,
    Asked,
    CutName,
    ReportError,
    RowsBy,
    check_metrics,
    period_of,
    zone_of,
)
from mailwake.cli.spool_output import console
from mailwake.config.load import load
from mailwake.csv_text import csv_lines
from mailwake.events.wire import iso_time
from mailwake.service.data_directory import DataDirectory
from mailwake.store.report_question import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator


KEY_VARIABLE = "MAILWAKE_API_KEY"

_Many = list[str] | None


def report(
    by: Annotated[RowsBy | None, typer.Option(help="A row for each of these; without it, the funnel of all.")] = None,
    campaign: Annotated[
        _Many, typer.Option(metavar="NAME", help="This campaign; may be repeated, as all filters.")
    ] = None,
    domain: Annotated[_Many, typer.Option(metavar="DOMAIN", help="This domain of recipients.")] = None,
    tag: Annotated[_Many, typer.Option(metavar="TAG", help="This tag.")] = None,
    customer: Annotated[_Many, typer.Option(metavar="NAME", help="This customer.")] = None,
    link: Annotated[_Many, typer.Option(metavar="NAME", help="The link of this name: its clicks only.")] = None,
    recipient: Annotated[_Many, typer.Option(metavar="ADDRESS", help="This recipient's address.")] = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="The beginning: 7d (days, today among them), 4w, 36h, today, yesterday, 2026-11-01, 2026-11-01T08:00.",
        ),
    ] = "7d",
    until: Annotated[str, typer.Option(metavar="WHEN", help="The end; a day is in it.", show_default="now")] = "",
    cut: Annotated[
        CutName, typer.Option(help="Whose opens and clicks: all, without prefetch, or people's only.")
    ] = CutName.ALL,
    metric: Annotated[
        _Many, typer.Option(metavar="NAME", help="Columns instead of the usual ones: names of metrics.")
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Of times and days, as Europe/Berlin.")] = "UTC",
    order_by: Annotated[
        str,
        typer.Option(metavar="NAME", help="A metric, the largest first, or `name`, from A to Z.", show_default=False),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_ROWS, help="Rows at most.", show_default=f"{SHOWN_ROWS} in a table, else all"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    url: Annotated[
        str, typer.Option(metavar="URL", help=f"Ask the API there, with the key in {KEY_VARIABLE}.", show_default=False)
    ] = "",
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")
    ] = None,
) -> None:
    """Show what became of mail, who opened it and what was clicked: a funnel, or a table.

    Beside a running service, that is asked; otherwise the store is read.
    """
    if as_json and as_csv:
        raise ReportError("--json and --csv: choose one")
    zone = zone_of(timezone)
    filters = {
        "campaigns": campaign,
        "domains": domain,
        "tags": tag,
        "customers": customer,
        "link_names": link,
        "recipients": recipient,
    }
    asked = Asked(
        period=period_of(since, until, zone, time.time()),
        zone=zone,
        by=by,
        cut=cut,
        metrics=check_metrics(metric or (), "--metric"),
        filters={name: tuple(values) for name, values in filters.items() if values},
        order_by=_order(order_by, by),
        limit=limit or (MAX_ROWS if as_json or as_csv else SHOWN_ROWS),
    )
    with _source(url, config, data) as source:
        if as_json:
            _show_json(asked, source)
        elif as_csv:
            _show_csv(asked, source)
        else:
            _show(asked, source)


def _order(name: str, by: RowsBy | None) -> str:
    if name and (by is None or by.is_time):
        raise ReportError(
            "--order-by: only rows by link, domain, tag, customer or campaign can be put in another order"
        )
    if name == "name" and by is not None:
        return GROUPINGS[by.value].fields[0]
    return check_metrics([name], "--order-by")[0] if name else ""


@contextmanager
def _source(url: str, config: Path | None, data: Path | None) -> Iterator[Source]:
    if url:
        with ask_url(url, os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE) as asked:
            yield asked
        return
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    directory = DataDirectory(settings.data_dir)
    if not directory.path.is_dir():
        raise ReportError(f"{directory.path}: there is no such data directory; say where it is with --data")
    with ask_whoever_has_it(directory, settings) as asked:
        yield asked


def _show_json(asked: Asked, source: Source) -> None:
    document = source.get(asked.path, asked.query)
    document.pop("links", None)
    facts = {"from": iso_time(asked.period.since), "to": iso_time(asked.period.until), "timezone": asked.zone.key}
    typer.echo(json.dumps({**facts, **document}, ensure_ascii=False))


def _show_csv(asked: Asked, source: Source) -> None:
    results = source.get(asked.path, asked.query)["results"]
    fields = GROUPINGS[asked.by.value].fields if asked.by is not None and not asked.by.is_time else ()
    head = [*results[0]] if results else [*fields, *asked.counted]
    for line in csv_lines(head, ([*row.values()] for row in results)):
        sys.stdout.write(line)


def _show(asked: Asked, source: Source) -> None:
    terminal = console()
    document = source.get(asked.path, asked.query)
    results = document["results"]
    terminal.print(heading(asked))
    terminal.print()
    if not any(row[metric] for row in results for metric in asked.counted):
        terminal.print(_nothing(asked), soft_wrap=True)
        return
    if asked.by is None and not asked.metrics and not asked.is_of_links:
        for each in funnel(asked, results[0], terminal):
            terminal.print(each)
        series = source.get(f"{asked.path}/time-series", asked.query_of((asked.opened, asked.clicked)))
        terminal.print()
        terminal.print(over_time(asked, series["results"], series["precision"], terminal))
        return
    if asked.by is None:
        for metric in asked.counted:
            terminal.print(f"{metric}  {results[0][metric]}")
        return
    total = _all_clicks(asked, source) if asked.by.is_link else None
    terminal.print(rows_table(asked, results, total, terminal))
    more = document.get("total_count", 0) - len(results)
    if more > 0:
        terminal.print(f"\n{more} more; see them with --limit")


def _all_clicks(asked: Asked, source: Source) -> int:
    metric = asked.metric("clicked")
    asking = Asked(period=asked.period, zone=asked.zone, filters=asked.filters, metrics=(metric,))
    return int(source.get(asking.path, asking.query)["results"][0][metric])


def _nothing(asked: Asked) -> str:
    narrowed = " that fit" if asked.filters else ""
    others = "" if asked.cut is CutName.ALL else ", or --cut all"
    return f"No events{narrowed} in this time. Try an earlier --since, as 30d or 52w{others}."
