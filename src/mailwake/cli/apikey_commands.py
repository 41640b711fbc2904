"""`mailwake apikey`: the keys of the HTTP API."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mailwake.clock import SystemClock, iso_time
from mailwake.config.durations import parse_duration
from mailwake.config.load import load
from mailwake.control.api_keys import SCOPE_MEANINGS, ApiKey, ApiKeys, ApiKeysError, Scope
from mailwake.service.data_directory import DataDirectory

app = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]

_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_SCOPES = "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPE_MEANINGS.items())


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is called in lists and in the log.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help=f"What it may do, once or several times. {_SCOPES}.", show_default="read"),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="The customer whose data it is for.", show_default="everybody's")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="After how long (`90d`), or on which day (`2027-01-31`).", show_default="never")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a key and print it: it is shown now and never again. A running service takes it at once."""
    keys = _keys(config, data)
    if customer == "":
        raise ApiKeysError("--customer: is empty; leave it out for a key that sees everybody's data")
    ends = None if expires is None else _end(expires, keys.now())
    key = keys.create(name, scope or [Scope.READ], customer=customer, expires=ends)
    typer.echo(key)
    typer.echo("Keep it: only its hash is stored. Send it as the Authorization header of each request.", err=True)


@app.command("list")
def list_(
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object a line.")] = False,
) -> None:
    """List the keys by name: what they may do, for whom, until when, and the hour of their last use."""
    keys = _keys(config, data)
    found = keys.list()
    for key in found:
        typer.echo(json.dumps(_as_json(key), ensure_ascii=False) if as_json else _line(key, keys.now()))
    if not found and not as_json:
        typer.echo("no keys yet; `mailwake apikey create NAME` makes one", err=True)


@app.command()
def revoke(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Their names, as `apikey list` has them.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Revoke keys: a running service refuses them from the next request on."""
    keys = _keys(config, data)
    unknown = [name for name in names if not keys.revoke(name)]
    if unknown:
        raise ApiKeysError(f"no key of this name: {', '.join(unknown)}; `mailwake apikey list` shows them")


def _keys(config: Path | None, data: Path | None) -> ApiKeys:
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    return ApiKeys(DataDirectory(settings.data_dir).api_keys, SystemClock())


def _end(text: str, now: float) -> int:
    """Unix seconds; of a day: its beginning in UTC."""
    try:
        end = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp()
    except ValueError:
        try:
            end = now + parse_duration(text)
        except ValueError:
            raise ApiKeysError(
                f'--expires: {text!r} is neither a time like "90d" nor a day like "2027-01-31"'
            ) from None
    if not now < end < _LATEST:
        raise ApiKeysError(f"--expires: {text!r} is not a time in the future")
    return int(end)


def _line(key: ApiKey, now: float) -> str:
    parts = [
        f"{key.name}  {', '.join(sorted(key.scopes))}",
        "all customers" if key.customer is None else f"customer {key.customer}",
        f"created {iso_time(key.created)}",
        "never used" if key.used is None else f"last used in the hour from {iso_time(key.used)}",
    ]
    if key.expires is not None:
        parts.append(f"{'EXPIRED' if key.expires <= now else 'expires'} {iso_time(key.expires)}")
    return "  ".join(parts)


def _as_json(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created", "expires", "used")}
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "customer": key.customer,
        **{name: None if value is None else iso_time(value) for name, value in times.items()},
    }
