"""`mailwake webhooks`: how webhooks are doing, and sending again what did not arrive; beside the running service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from mailwake.cli.spool_output import console
from mailwake.clock import SystemClock, iso_time
from mailwake.config.durations import parse_duration
from mailwake.config.load import load
from mailwake.errors import MailwakeError, SettingError
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.reader import FeedReader
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.data_directory import DataDirectory
from mailwake.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    from mailwake.webhooks.subscriptions import Subscriptions

app = typer.Typer(
    help="See how webhooks are doing, and send again what did not arrive. They are made over the API, or in the "
    "configuration.",
    no_args_is_help=True,
)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object a line.")]
Name = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its name or its id.")]


@app.command("list")
def list_(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List all webhooks: where they are, and whether their target takes what it is sent."""
    with _subscriptions(config, data) as subscriptions:
        found = asyncio.run(subscriptions.all())
    columns = ("name", "id", "target", "state", "last_successful", "last_failure")
    _show([{**each, "state": _state(each)} for each in found], columns, as_json=as_json)


@app.command()
def show(
    webhook: Name,
    config: Config = None,
    data: Data = None,
    secret: Annotated[bool, typer.Option("--secret", help="Show the secret of its signatures, too.")] = False,
) -> None:
    """Show one webhook as the API does."""
    with _subscriptions(config, data) as subscriptions:
        found = _find(subscriptions, webhook)
        if secret:
            found["signing_secret"] = asyncio.run(subscriptions.secret(found["id"]))
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def status(
    webhook: Name,
    limit: Annotated[int, typer.Option("--limit", help="How many batches at most.", min=1, max=1000)] = 20,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the batches that were tried lately, the latest first, with what came of their last attempt."""
    with _subscriptions(config, data) as subscriptions:
        webhook_id = _find(subscriptions, webhook)["id"]
        found = asyncio.run(subscriptions.batch_status(webhook_id, limit=limit))
    columns = ("ts", "state", "batch_id", "batch_size", "attempts", "response_code", "failure_code", "latency")
    _show(found, columns, as_json=as_json)


@app.command("dead-letters")
def dead_letters(webhook: Name, config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the batches that were given up, the oldest first, and how many of their events the feed still has."""
    with _subscriptions(config, data) as subscriptions:
        found = asyncio.run(subscriptions.dead_letters(_find(subscriptions, webhook)["id"]))
    columns = ("ts", "state", "batch_id", "batch_size", "events_available", "attempts", "response_code", "failure_code")
    _show(found, columns, as_json=as_json)


@app.command()
def replay(
    webhook: Name,
    batches: Annotated[
        list[str] | None, typer.Argument(metavar="BATCH...", help="The dead letters to send again; none: all of them.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Send everything again since then, in new batches: ISO 8601, or 2h for two hours ago.",
        ),
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Send dead letters again, under their own batch ids, or everything since a time; the service does it at once."""
    if since is not None and batches:
        raise SettingError("batches and --from contradict each other; give one of them")
    with _subscriptions(config, data) as subscriptions:
        webhook_id = _find(subscriptions, webhook)["id"]
        if since is not None:
            now = int(SystemClock().now() * 1000) / 1000  # milliseconds, as the moment
            moment = _time(since)
            asyncio.run(subscriptions.replay_from(webhook_id, round(moment * 1000), now=now))
            if moment < now:
                typer.echo(f"everything since {iso_time(moment)} is sent again")
            else:
                typer.echo("all that waited is passed over; what comes from now on is sent")
        else:
            count = asyncio.run(subscriptions.replay_dead_letters(webhook_id, batches or None))
            typer.echo(f"{count} dead {'letter is' if count == 1 else 'letters are'} sent again")


@app.command()
def drop(
    webhook: Name,
    batches: Annotated[list[str] | None, typer.Argument(metavar="BATCH...", help="The dead letters.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget dead letters; their events stay in the feed for as long as they do anyway."""
    if all_ == bool(batches):
        raise SettingError("name the dead letters to forget, or give --all")
    with _subscriptions(config, data) as subscriptions:
        webhook_id = _find(subscriptions, webhook)["id"]
        count = asyncio.run(subscriptions.drop_dead_letters(webhook_id, batches or None))
    typer.echo(f"{count} dead {'letter is' if count == 1 else 'letters are'} forgotten")


@app.command("test")
def ask_target(webhook: Name, config: Config = None, data: Data = None) -> None:
    """Send a test batch to the target, from here, and show what it answers."""
    with _subscriptions(config, data) as subscriptions:
        webhook_id = _find(subscriptions, webhook)["id"]
        answer = asyncio.run(subscriptions.validate(webhook_id))["response"]
    typer.echo(f"{answer['status']}")
    for name, value in answer["headers"].items():
        typer.echo(f"{name}: {value}")
    typer.echo(f"\n{answer['body']}")


@app.command("rotate-secret")
def rotate_secret(webhook: Name, config: Config = None, data: Data = None) -> None:
    """Make a new signing secret and show it; for a day, requests are signed with the former one too."""
    with _subscriptions(config, data) as subscriptions:
        webhook_id = _find(subscriptions, webhook)["id"]
        made = asyncio.run(subscriptions.rotate_secret(webhook_id))
    typer.echo(made["signing_secret"])


@app.command()
def delete(webhook: Name, config: Config = None, data: Data = None) -> None:
    """Delete a webhook with its dead letters."""
    with _subscriptions(config, data) as subscriptions:
        asyncio.run(subscriptions.delete(_find(subscriptions, webhook)["id"]))


@contextmanager
def _subscriptions(config: Path | None, data: Path | None) -> Iterator[Subscriptions]:
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    directory = DataDirectory(settings.data_dir)
    if not directory.webhooks.exists():
        raise MailwakeError(f"{directory.path}: has no webhooks yet; name the data directory of `mailwake serve`")
    with closing(PositionsFile(directory.positions)) as positions:
        webhooks = Webhooks(
            directory.webhooks,
            FeedReader(directory.feed),
            positions,
            settings,
            clock=SystemClock(),
            log=make_logger("auto", "warning"),
            metrics=Metrics(),
        )
        with closing(webhooks):
            yield webhooks.subscriptions


def _find(subscriptions: Subscriptions, name: str) -> dict[str, Any]:
    """The webhook with this name or id."""
    known = asyncio.run(subscriptions.all())
    found = [each for each in known if name in (each["id"], each["name"])]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each["id"] for each in found)
        raise MailwakeError(f"{len(found)} webhooks are named {name}; give the id of one of them: {ids}")
    names = ", ".join(each["name"] for each in known) or "none"
    raise MailwakeError(f"there is no webhook {name}; there are: {names}")


def _state(webhook: dict[str, Any]) -> str:
    if not webhook["active"]:
        return "off"
    return "failing" if "failing_since" in webhook else "well"


def _time(text: str) -> float:
    """Unix seconds of an ISO 8601 time, UTC unless it says otherwise, or of so long ago."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return SystemClock().now() - parse_duration(text)
        except ValueError:
            raise SettingError(
                f"--from: {text!r} cannot be used; give a time like 2026-03-01T12:00:00, or 2h for two hours ago"
            ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _show(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row.get(column, ""))) for column in columns))
    console().print(table)
