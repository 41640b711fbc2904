"""`mailwake store`: what the store holds, whether it is whole, and making it anew from the feed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailwake.api.store_routes import STATUS
from mailwake.cli import store_files
from mailwake.cli.ask_service import ask_service
from mailwake.clock import iso_time
from mailwake.config.load import load
from mailwake.control.api_keys import Scope
from mailwake.errors import MailwakeError, StartupError
from mailwake.feed.reader import FeedReader
from mailwake.service.data_directory import DataDirectory
from mailwake.store.clickhouse_tables import LOADER_FILE
from mailwake.store.contract import StoreError
from mailwake.store.make import open_store
from mailwake.store.rebuild import load_all, missing_of_feed
from mailwake.store.rebuild import rebuild as rebuild_store

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from mailwake.config.schema import Settings
    from mailwake.store.contract import EventStore, StoreStatus
    from mailwake.store.rebuild import Rebuilt

app = typer.Typer(help="Look after the store in which events are searched.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]
Json = Annotated[bool, typer.Option("--json", help="As a JSON object.")]

app.command()(store_files.backup)
app.command()(store_files.export)

_METRICS = {
    "events": "mailwake_store_events",
    "octets": "mailwake_store_octets",
    "up": "mailwake_store_up",
    "behind_seconds": "mailwake_store_behind_seconds",
}


@app.command()
def status(as_json: Json = False, config: Config = None, data: Data = None) -> None:
    """Say what the store holds; of a DuckDB file, while the service runs, what the service says of it."""
    settings = _settings(config, data)
    directory = _directory_of(settings)
    try:
        with _claimed_for_file(settings, directory):
            facts = asyncio.run(_with_store(directory, settings, _facts))
    except StartupError:  # it is in use
        facts = _facts_of_service(directory, settings)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<16}{value if value is not None else '-'}")


@app.command()
def verify(config: Config = None, data: Data = None) -> None:
    """Read all of the store, and compare it with the feed; with a DuckDB file, the service must not run."""
    settings = _settings(config, data)
    directory = _directory_of(settings)
    with _claimed_for_file(settings, directory):
        found = asyncio.run(_with_store(directory, settings, lambda store: _findings(store, directory, settings)))
    for each in found:
        typer.echo(each)
    if found:
        raise typer.Exit(1)
    typer.echo("the store is whole, and holds all that it has loaded of the feed", err=True)


@app.command()
def rebuild(config: Config = None, data: Data = None) -> None:
    """Make the store anew from the feed; the service must not run.

    Events that the feed has no longer are taken over from the old store. One that cannot be read to its end is kept
    beside the new one. In ClickHouse, where other nodes have their events too, nothing is removed: the feed is loaded
    again, and what is missing comes back.
    """
    settings = _settings(config, data)
    directory = _directory_of(settings)
    if settings.store.engine == "clickhouse":
        with _claim(directory):
            added = asyncio.run(_with_store(directory, settings, lambda store: _loaded_again(store, directory)))
        typer.echo(f"{added} events of the feed were missing, and are there again", err=True)
        return
    with _claim(directory):
        done = asyncio.run(_rebuilt(directory, settings))
    typer.echo(f"{done.from_feed} events from the feed, {done.taken_over} more from the old store", err=True)
    if done.not_readable:
        typer.echo(f"the old store could not be read to its end: {done.not_readable}", err=True)
    if done.set_aside is not None:
        typer.echo(
            f"the old store is {done.set_aside}; remove it when you need it no more, as erasures do not reach it",
            err=True,
        )


async def _rebuilt(directory: DataDirectory, settings: Settings) -> Rebuilt:
    name_of_old = f"{directory.store.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    return await rebuild_store(
        directory.store, settings.store, FeedReader(directory.feed), name_of_old=name_of_old, progress=_progress()
    )


async def _loaded_again(store: EventStore, directory: DataDirectory) -> int:
    return await load_all(FeedReader(directory.feed), store, _progress())


def _claimed_for_file(settings: Settings, directory: DataDirectory) -> AbstractContextManager[None]:
    """A server may be asked beside the service, a file may not."""
    return nullcontext() if settings.store.engine == "clickhouse" else _claim(directory)


@contextmanager
def _claim(directory: DataDirectory) -> Iterator[None]:
    """Keep the service from starting meanwhile; StartupError when it runs."""
    directory.lock()
    try:
        yield
    finally:
        directory.unlock()


def _progress() -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda events: None
    return lambda events: typer.echo(f"\r{events} events", err=True, nl=False)


async def _with_store(
    directory: DataDirectory, settings: Settings, ask: Callable[[EventStore], Coroutine[Any, Any, Any]]
) -> Any:
    known = directory.store / LOADER_FILE if settings.store.engine == "clickhouse" else directory.store
    if not known.exists():
        raise StoreError(f"{directory.path} has no store yet; start mailwake once, or say where it is with --data")
    with closing(open_store(directory.store, settings.store)) as store:
        await store.open()
        return await ask(store)


async def _facts(store: EventStore) -> dict[str, Any]:
    known: StoreStatus = await store.status()
    return {
        "events": known.events,
        "oldest": _time(known.oldest),
        "newest": _time(known.newest),
        "octets": known.octets,
        "position": str(known.position),
        "format": known.format,
    }


async def _findings(store: EventStore, directory: DataDirectory, settings: Settings) -> list[str]:
    keep = settings.store.keep
    # What was as old as that may be forgotten by now, or not yet.
    since = int((time.time() - keep) * 1000) if keep else 0
    missing = await missing_of_feed(store, FeedReader(directory.feed), since=since)
    found = await store.verify()
    if missing:
        ids = ", ".join(str(event.event_id) for event in missing[:10])
        found.append(f"{len(missing)} events of the feed are not in the store, among them {ids}")
    return found


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else iso_time(milliseconds / 1000)


def _facts_of_service(directory: DataDirectory, settings: Settings) -> dict[str, Any]:
    """What its API says, and its metrics of how the store is loaded; the latter alone when the store is not open."""
    try:
        with ask_service(directory, settings, Scope.ADMIN) as service:
            known = service.get(STATUS)["results"]
    except MailwakeError:
        return _facts_of_metrics(settings)
    with suppress(StoreError):
        known |= {name: value for name, value in _facts_of_metrics(settings).items() if name not in known}
    return dict(known)


def _facts_of_metrics(settings: Settings) -> dict[str, Any]:
    import httpx
    from prometheus_client.parser import text_string_to_metric_families

    address = settings.admin_listen
    url = f"http://{'127.0.0.1' if address.startswith(':') else ''}{address}/metrics"
    try:
        text = httpx.get(url, timeout=10, trust_env=False).raise_for_status().text
    except httpx.HTTPError as error:
        raise StoreError(f"the service runs and has the store, but {url} does not answer: {error}") from None
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    return {name: int(values.get(metric, 0)) for name, metric in _METRICS.items()}


def _directory_of(settings: Settings) -> DataDirectory:
    directory = DataDirectory(settings.data_dir)
    if not directory.path.is_dir():
        raise StoreError(f"{directory.path}: there is no such data directory; say where it is with --data")
    return directory


def _settings(config: Path | None, data: Path | None) -> Settings:
    return load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
