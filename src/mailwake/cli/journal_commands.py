"""`mailwake journal`: what is on the disk of events, whether it is whole, and all of it as JSON; beside the service."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer

from mailwake.cli.journal_output import show_status, show_verification, status_facts
from mailwake.cli.journal_verification import verify_files
from mailwake.config.durations import parse_duration
from mailwake.config.load import load
from mailwake.errors import StartupError
from mailwake.events.model import EventType
from mailwake.events.wire import to_wire, wire_fields
from mailwake.feed.everything import all_events
from mailwake.feed.positions_file import PositionsFile
from mailwake.links.token import decode_body
from mailwake.service.data_directory import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.events.model import Event

app = typer.Typer(help="Look after the events on this node's disk.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]
Json = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


class Form(StrEnum):
    """How an exported event looks."""

    WEBHOOK = "webhook"
    API = "api"


@app.command()
def status(as_json: Json = False, config: Config = None, data: Data = None) -> None:
    """Show the journal of each worker, the feed, and how far each of its consumers is."""
    directory = _directory(config, data)
    facts = status_facts(directory, time.time())
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        show_status(facts)


@app.command()
def verify(as_json: Json = False, config: Config = None, data: Data = None) -> None:
    """Read every record and check it; exit status 1 when something is damaged. Nothing is changed."""
    result = verify_files(_directory(config, data))
    if as_json:
        typer.echo(json.dumps(result.as_facts(), ensure_ascii=False))
    else:
        show_verification(result)
    if result.troubles:
        raise typer.Exit(1)


@app.command()
def export(
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Events from then on: `2026-03-01T12:00`, or `7d`: a week ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Events before then.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only such events; once or several times.")
    ] = None,
    recipient: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only those of this recipient.")] = None,
    campaign: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this campaign.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this customer.")] = None,
    form: Annotated[
        Form,
        typer.Option(help="As webhooks carry events, `msys` around them, or as the events API gives them."),
    ] = Form.WEBHOOK,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file.", show_default="standard output")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Write events as JSON, one a line: those of the feed in its order, then those that are not merged into it yet."""
    now = time.time()
    since_ms, until_ms = _time("--since", since, now), _time("--until", until, now)
    wanted = _filter(since_ms, until_ms, types or [], recipient, campaign, customer)
    directory = _directory(config, data)
    shape = to_wire if form is Form.WEBHOOK else wire_fields
    encode = msgspec.json.Encoder().encode
    events = all_events(
        directory.journal, directory.feed, decode_body, since_ms=since_ms or 0, on_trouble=lambda text: _warn(text)
    )
    written = 0
    with ExitStack() as opened:
        file = sys.stdout.buffer if output is None else opened.enter_context(_new_file(output))
        for event in events:
            if wanted(event):
                file.write(encode(shape(event)) + b"\n")
                written += 1
        file.flush()
    _warn(f"{written} events written", "")


@app.command()
def forget(
    consumer: Annotated[str, typer.Argument(help="As `journal status` names it: `webhook:ID`, `sink:NAME`, `store`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget how far a consumer is that will not come back: events that it has not read may then be deleted.

    One that is still configured begins anew, or goes on where it is if it runs.
    """
    path = _directory(config, data).positions
    if not path.exists():
        raise StartupError(f"{path}: there are no consumers yet")
    with closing(PositionsFile(path)) as positions:
        known = positions.all()
        if consumer not in known:
            raise StartupError(f"{consumer!r} is no consumer; there are: {', '.join(sorted(known)) or 'none'}")
        if not yes:
            typer.confirm(f"Forget {consumer}, which has read up to {known[consumer]}?", abort=True)
        positions.forget(consumer)


def _filter(
    since_ms: int | None,
    until_ms: int | None,
    types: list[str],
    recipient: str | None,
    campaign: str | None,
    customer: str | None,
) -> Callable[[Event], bool]:
    known = {kind.wire_name: kind for kind in EventType}
    for name in types:
        if name not in known:
            raise StartupError(f"--type: {name!r} is no type of event; there are {', '.join(known)}")
    kinds = {known[name] for name in types}
    address = recipient.lower() if recipient is not None else None

    def wanted(event: Event) -> bool:
        return (
            (since_ms is None or event.timestamp >= since_ms)
            and (until_ms is None or event.timestamp < until_ms)
            and (not kinds or event.type in kinds)
            and (address is None or event.rcpt_to == address)
            and (campaign is None or event.campaign_id == campaign)
            and (customer is None or event.customer_id == customer)
        )

    return wanted


def _time(option: str, text: str | None, now: float) -> int | None:
    """Unix milliseconds of a time or of a duration ago; a time without a zone is UTC."""
    if text is None:
        return None
    try:
        return int((now - parse_duration(text)) * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StartupError(f"{option}: {text!r} is no time; write 2026-03-01T12:00, or 7d for a week ago") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _new_file(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise StartupError(f"--output: {path} exists already; remove it or choose another name") from None
    except OSError as error:
        raise StartupError(f"--output: {path}: {error.strerror}") from None


def _directory(config: Path | None, data: Path | None) -> DataDirectory:
    overrides = {"data_dir": str(data)} if data is not None else {}
    directory = DataDirectory(load(config, overrides, flags={"data_dir": "--data"}).settings.data_dir)
    if not directory.journal.is_dir():
        raise StartupError(
            f"{directory.journal}: there is no journal; name the data directory with --data, or start the service first"
        )
    return directory


def _warn(text: str, prefix: str = "mailwake: ") -> None:
    typer.echo(f"{prefix}{text}", err=True)
