"""`mailwake keys`: the secrets that seal links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mailwake.cli import keyring_source
from mailwake.cli.keyring_source import ConfigOption, DataOption  # typer reads the annotations
from mailwake.events.wire import iso_time

if TYPE_CHECKING:
    from mailwake.links.keyring import Keyring

app = typer.Typer(help="List and rotate the keys that seal links.", no_args_is_help=True)


@app.command("list")
def list_keys(
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show the keys' ids, never their secrets."""
    keyring = keyring_source.keyring(data, keyring_source.settings_of(config))
    rows = _rows(keyring)
    if as_json:
        typer.echo(json.dumps({"keys": rows}))
        return
    table = Table("id", "made", "new links")
    for row in rows:
        table.add_row(str(row["id"]), row["created"] or "unknown", "yes" if row["current"] else "")
    Console().print(table)


@app.command("rotate")
def rotate_keys(data: DataOption = None, config: ConfigOption = None) -> None:
    """Make a new key for new links; links made with the old ones still work."""
    keyring = keyring_source.rotate(data, keyring_source.settings_of(config))
    typer.echo(f"key {keyring.current} seals new links; {len(keyring.keys)} keys open links")


def _rows(keyring: Keyring) -> list[dict[str, Any]]:
    return [
        {
            "id": key.id,
            "created": iso_time(key.created * 1000) if key.created else None,
            "current": key.id == keyring.current,
        }
        for key in keyring.keys.values()
    ]
