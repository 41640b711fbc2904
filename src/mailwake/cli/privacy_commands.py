"""`mailwake privacy`: what is known of one person, and having it erased."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import typer

from mailwake.api.event_routes import PATH as EVENTS_PATH
from mailwake.cli import keyring_source
from mailwake.cli.ask_whoever_has_it import ask_whoever_has_it
from mailwake.cli.keyring_source import ConfigOption, DataOption  # typer reads the annotations
from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.config.privacy_settings import Privacy
from mailwake.control.erasures import Erasure, Erasures
from mailwake.errors import MailwakeError, StartupError
from mailwake.events.model import EventType
from mailwake.events.wire import iso_time, to_wire
from mailwake.feed.lock import is_written
from mailwake.feed.person_events import PersonEvents
from mailwake.service.event_privacy import recipient_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailwake.config.schema import Settings
    from mailwake.events.privacy import RecipientHash
    from mailwake.service.data_directory import DataDirectory

app = typer.Typer(help="What is known of one person, and having it erased.", no_args_is_help=True)

WAIT_PAUSE = 0.5

_GROUPS = {kind.wire_name: kind.group for kind in EventType}
_FIRST, _LAST = "1970-01-01", "9998-01-01"

Address = Annotated[str, typer.Argument(help="The recipient's address, in any case.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("hash")
def hash_(address: Address, data: DataOption = None, config: ConfigOption = None) -> None:
    """Print what events have in the place of an address with `privacy.recipients = "hashed"`."""
    typer.echo(_site(data, config)[1].hashed(_checked(address)))


@app.command()
def export(address: Address, data: DataOption = None, config: ConfigOption = None) -> None:
    """Print all events of a person, one JSON object a line in the webhooks' form; the service may run or not.

    First those of the feed, then those that only the store still has, the newest first.
    """
    directory, hashing = _site(data, config)
    encode = msgspec.json.Encoder().encode
    given: set[str] = set()
    for event in PersonEvents(directory.feed, directory.journal, hashing).of(_checked(address)):
        given.add(str(event.event_id))
        sys.stdout.buffer.write(encode(to_wire(event)) + b"\n")
    sys.stdout.flush()
    if not directory.store.exists():
        return
    settings = load(config, {"data_dir": str(directory.path)}, flags={"data_dir": "--data"}).settings
    if not settings.store.enabled:
        return
    for fields in _kept_longer(directory, settings, address):
        if fields["event_id"] not in given:
            group = _GROUPS[fields["type"]]
            sys.stdout.buffer.write(encode({"msys": {group: fields}}) + b"\n")
    sys.stdout.flush()


def _kept_longer(directory: DataDirectory, settings: Settings, address: str) -> Iterator[dict[str, Any]]:
    """The events of this person in the store, as the wire has their fields."""
    # No address has a space in it, but some have commas.
    query: dict[str, str] = {"recipients": address, "delimiter": " ", "from": _FIRST, "to": _LAST, "per_page": "10000"}
    with ask_whoever_has_it(directory, settings) as source:
        while query:
            document = source.get(EVENTS_PATH, query)
            yield from document["results"]
            query = dict(parse_qsl(urlsplit(document["links"].get("next", "")).query))


@app.command()
def erase(
    address: Address,
    data: DataOption = None,
    config: ConfigOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is done, and not before.")] = False,
) -> None:
    """Have all events of a person erased, from journal, feed and store: the collector does it, within about an hour."""
    directory, _ = _site(data, config)
    erasures = Erasures(directory.erasures)
    erasure = erasures.request(_checked(address), int(SystemClock().now() * 1000))
    if not wait:
        running = "the collector does it" if is_written(directory.feed) else "it is done when the service runs again"
        typer.echo(f"erasure {erasure.number} is pending; {running}. See: mailwake privacy status")
        return
    if not is_written(directory.feed):
        raise MailwakeError(
            f"erasure {erasure.number} is pending, and no collector runs on {directory.path}: start the service"
        )
    while (erasure := _found(erasures, erasure.number)).finished_ms is None:
        time.sleep(WAIT_PAUSE)
    typer.echo(_line(erasure))


@app.command()
def status(data: DataOption = None, config: ConfigOption = None, as_json: Json = False) -> None:
    """List what was to be erased, by number: nobody is named."""
    directory = keyring_source.data_directory(data, keyring_source.settings_of(config))
    found = Erasures(directory.erasures).all() if directory.erasures.exists() else []
    for each in found:
        typer.echo(json.dumps(_as_json(each)) if as_json else _line(each))
    if not found and not as_json:
        typer.echo("nobody has been erased; `mailwake privacy erase ADDRESS` does it", err=True)


def _site(data: Path | None, config: Path | None) -> tuple[DataDirectory, RecipientHash]:
    settings = keyring_source.settings_of(config)
    directory = keyring_source.data_directory(data, settings)
    if not directory.path.is_dir():
        raise StartupError(
            f"{directory.path}: there is no such data directory; name the service's with --data, or start it first"
        )
    return directory, recipient_hash(Privacy() if settings is None else settings.privacy, directory)


def _checked(address: str) -> str:
    if not address.isprintable() or "@" not in address or " " in address:
        raise MailwakeError(f"{address!r} is no address; give one like ann@example.org")
    return address


def _found(erasures: Erasures, number: int) -> Erasure:
    return next(each for each in erasures.all() if each.number == number)


def _line(erasure: Erasure) -> str:
    asked = f"erasure {erasure.number}, asked for {iso_time(erasure.requested_ms)}"
    so_far = f"{erasure.records} records erased"
    if erasure.finished_ms is None:
        return f"{asked}: pending, {so_far} so far"
    return f"{asked}: done {iso_time(erasure.finished_ms)}, {so_far}"


def _as_json(erasure: Erasure) -> dict[str, object]:
    return {
        "number": erasure.number,
        "requested": iso_time(erasure.requested_ms),
        "finished": None if erasure.finished_ms is None else iso_time(erasure.finished_ms),
        "records": erasure.records,
    }
