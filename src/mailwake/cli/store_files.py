"""`mailwake store backup` and `export`: have a file made of the store, whether the service runs or not, and take it.

The service makes it beside the store, where alone its engine may write; the command moves it to where it is wanted.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from mailwake.api.store_routes import BACKUPS, EXPORTS, FILES
from mailwake.cli.ask_service import ask_service, service_runs
from mailwake.cli.ask_store import ask_store
from mailwake.cli.report_question import delimiter_for, moment_of
from mailwake.config.load import load
from mailwake.control.api_keys import Scope
from mailwake.disk_room import free_octets
from mailwake.durable_names import sync_directory
from mailwake.errors import MailwakeError
from mailwake.events.model import EventType
from mailwake.events.wire import iso_time
from mailwake.service.data_directory import DataDirectory
from mailwake.store.contract import StoreError
from mailwake.store.export import ExportFormat
from mailwake.store.made_files import MADE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.cli.ask_service import QueryValue

MOST_SECONDS = 7 * 86_400
"""How long a file may take to be made."""

_FIRST_LOOK, _LOOK_SECONDS = 0.05, 2.0
_UTC = ZoneInfo("UTC")

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]
_Many = list[str] | None

_EVENTS = tuple(each.wire_name for each in EventType)


class FileError(MailwakeError):
    """The file cannot be made or put there; one line says why."""


class Asked(Protocol):
    """Who makes files: the running service, or the store itself."""

    def get(self, path: str) -> Any:
        """The JSON document at this path of the API."""
        ...

    def post(self, path: str, *, query: Mapping[str, QueryValue] | None = None) -> Any:
        """Have something begun; the document that says so."""
        ...

    def delete(self, path: str) -> None:
        """Have something removed."""
        ...


def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write; it must not be there yet.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Back the store up into a file that opens by itself, whether the service runs or not; nothing stands still for it.

    To restore it, stop the service, put the file into an empty `store` directory as `store.duckdb`, and start again.
    """
    _take(dest, BACKUPS, {}, config, data)


def export(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write; it must not be there yet.")],
    form: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="csv-exact has text as it is, csv marks formulas.", show_default="by the name"),
    ] = None,
    since: Annotated[
        str,
        typer.Option(metavar="WHEN", help="The beginning: 7d, 4w, 36h, today, 2026-11-01, 2026-11-01T08:00, in UTC."),
    ] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="The end; a day is in it.")] = "",
    event: Annotated[
        _Many,
        typer.Option(metavar="TYPE", help="This type of event; may be repeated, as all filters."),
    ] = None,
    campaign: Annotated[_Many, typer.Option(metavar="NAME", help="This campaign.")] = None,
    domain: Annotated[_Many, typer.Option(metavar="DOMAIN", help="This domain of recipients.")] = None,
    tag: Annotated[_Many, typer.Option(metavar="TAG", help="This tag.")] = None,
    customer: Annotated[_Many, typer.Option(metavar="NAME", help="This customer.")] = None,
    link: Annotated[_Many, typer.Option(metavar="NAME", help="The link of this name: clicks on it.")] = None,
    recipient: Annotated[_Many, typer.Option(metavar="ADDRESS", help="This recipient's address.")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Write events into a Parquet or CSV file, a column for each field, whether the service runs or not."""
    now = time.time()
    filters = {
        "events": [_event(each) for each in event or ()],
        "campaigns": campaign,
        "recipient_domains": domain,
        "tags": tag,
        "subaccounts": customer,
        "link_names": link,
        "recipients": recipient,
    }
    given = {name: values for name, values in filters.items() if values}
    delimiter = delimiter_for(given.values())
    query = {name: delimiter.join(values) for name, values in given.items()}
    query |= {"format": _form(form, dest).value, "delimiter": delimiter}
    if since:
        query["from"] = iso_time(moment_of("--since", since, _UTC, now, end=False))
    if until:
        query["to"] = iso_time(moment_of("--until", until, _UTC, now, end=True))
    _take(dest, EXPORTS, query, config, data)


def _event(name: str) -> str:
    if name not in _EVENTS:
        raise FileError(f"--event: there is no type {name!r}; there are {', '.join(_EVENTS)}")
    return name


def _form(given: ExportFormat | None, dest: Path) -> ExportFormat:
    if given is not None:
        return given
    try:
        return ExportFormat(dest.suffix.removeprefix(".").lower())
    except ValueError:
        raise FileError(f"{dest}: the name does not say in which form; give --format parquet or --format csv") from None


def _take(dest: Path, path: str, query: Mapping[str, QueryValue], config: Path | None, data: Path | None) -> None:
    """Have a file made, and move it to `dest`."""
    _check(dest)
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    directory = DataDirectory(settings.data_dir)
    if settings.store.engine != "duckdb":
        raise FileError(
            f"store.engine is {settings.store.engine}: back it up, and export from it, by its own BACKUP and SELECT"
        )
    if not directory.path.is_dir():
        raise FileError(f"{directory.path}: there is no such data directory; say where it is with --data")
    if service_runs(directory):
        with ask_service(directory, settings, Scope.ADMIN, key_seconds=MOST_SECONDS) as running:
            made = _made_and_moved(running, path, query, directory, dest)
    else:
        with ask_store(directory, settings) as own:
            made = _made_and_moved(own, path, query, directory, dest)
    typer.echo(f"{dest}: {made['events']} events, {made['octets']} octets", err=True)


def _check(dest: Path) -> None:
    """Say what is wrong with the place before anything is made."""
    if dest.exists() or dest.is_symlink():
        raise FileError(f"{dest}: is there already; remove it, or choose another name")
    if not dest.parent.is_dir():
        raise FileError(f"{dest.parent}: there is no such directory; make it first")
    if not os.access(dest.parent, os.W_OK | os.X_OK):
        raise FileError(f"{dest.parent}: permission denied; choose a directory that you may write to")


def _made_and_moved(
    asked: Asked, path: str, query: Mapping[str, QueryValue], directory: DataDirectory, dest: Path
) -> dict[str, Any]:
    begun = asked.post(path, query=query)["results"]
    try:
        made = _when_ready(asked, begun)
        _move(directory.store / MADE / made["name"], dest)
        return made
    finally:  # also when it was interrupted
        with suppress(MailwakeError):  # a service that has gone has removed it
            asked.delete(f"{FILES}/{begun['id']}")


def _when_ready(asked: Asked, made: dict[str, Any]) -> dict[str, Any]:
    pause = _FIRST_LOOK
    with _bar() as progress:
        task = progress.add_task(made["kind"], total=None)
        while made["state"] == "making":
            time.sleep(pause)
            pause = min(1.5 * pause, _LOOK_SECONDS)
            made = asked.get(f"{FILES}/{made['id']}")["results"]
            progress.update(task, completed=made["octets"], total=made["octets_expected"])
    if made["state"] != "ready":
        raise FileError(f"the {made['kind']} failed: {made['error']}")
    return made


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def _move(source: Path, dest: Path) -> None:
    """Give it its name, which nobody else may have taken meanwhile; over to another file system it is copied."""
    with _explained(source, dest):
        try:
            os.link(source, dest)
        except FileExistsError:
            raise
        except OSError:  # another file system, or one that knows no links
            _copy(source, dest)
        sync_directory(dest.parent)
        with suppress(OSError):
            source.unlink()


def _copy(source: Path, dest: Path) -> None:
    part = dest.with_name(f".{dest.name}.part")  # the same each time: what a kill has left is not in the way
    with source.open("rb") as reading:
        octets = os.fstat(reading.fileno()).st_size
        if free_octets(dest.parent) < octets:
            raise FileError(f"{dest}: there is no room for {octets} octets; free space, or choose another place")
        part.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writing:
                shutil.copyfileobj(reading, writing, 8 << 20)
                writing.flush()
                os.fsync(writing.fileno())
            if dest.exists():
                raise FileExistsError
            part.rename(dest)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _explained(source: Path, dest: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise FileError(f"{dest}: somebody has made it meanwhile; choose another name") from None
    except FileNotFoundError:
        if source.exists():
            raise FileError(f"{dest.parent}: there is no such directory any more") from None
        raise StoreError("somebody was erased just when the file was ready, so it is gone; run this again") from None
    except OSError as error:
        raise FileError(f"{dest}: {error.strerror}; free space or mend the rights, or choose another place") from None
