"""`mailwake config`: which settings apply and why, is a file right, what can be set at all."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from mailwake.config.describe import example_toml, settings_reference
from mailwake.config.fields import Setting, fields_of
from mailwake.config.load import ConfigurationError, load
from mailwake.config.networks import parse_client
from mailwake.config.overrides import parse_assignments
from mailwake.config.scope_settings import TrackingOptions
from mailwake.config.scopes import ResolvedOptions, ScopedOptions, Sourced
from mailwake.errors import SettingError

app = typer.Typer(help="Show, check and explain the configuration.", no_args_is_help=True)


@app.command()
def show(
    peer: Annotated[str, typer.Option(help="The sending client's IP address.")] = "127.0.0.1",
    listener: Annotated[
        str | None, typer.Option(help="The address it connects to, HOST:PORT.", show_default="the first configured")
    ] = None,
    pathway: Annotated[str | None, typer.Option(help="As if policy had set this pathway.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value from the command line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show each tracking option for mail of this client: its value, and the scope that it came from."""
    configuration = load(config, parse_assignments(set_ or []))
    scoped = ScopedOptions(configuration)
    if parse_client(peer) is None:
        raise SettingError(f"--peer: {peer!r} is no IP address")
    if pathway is not None and pathway not in configuration.settings.pathway:
        raise SettingError(
            f"--pathway: there is no [pathway.{pathway}]{_near(pathway, configuration.settings.pathway)}"
        )
    address = _listener(scoped, listener)
    resolved = scoped.resolve(address, peer, pathway)
    typer.echo(_as_json(address, peer, resolved) if as_json else _as_table(address, peer, resolved), nl=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Configuration file (TOML).")],
) -> None:
    """Check a configuration file; every problem is one line, and any makes the exit status 1."""
    try:
        load(file)
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{file}: no problems found")


@app.command()
def example() -> None:
    """Print a complete configuration file, every setting commented out at its default."""
    typer.echo(example_toml(), nl=False)


@app.command()
def reference() -> None:
    """Print the reference of all settings, in Markdown."""
    typer.echo(settings_reference(), nl=False)


def _listener(scoped: ScopedOptions, wanted: str | None) -> str:
    if wanted is None:
        return scoped.listeners[0]
    found = scoped.find_listener(wanted)
    if found is None:
        raise SettingError(
            f"--listener: nothing listens on {wanted}{_near(wanted, scoped.listeners)}; "
            f"configured: {', '.join(scoped.listeners)}"
        )
    return found


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _rows(resolved: ResolvedOptions) -> list[tuple[str, Sourced[Any]]]:
    return [row for row in resolved.items() if row[0] != "pathway" or row[1].value is not None]


def _as_table(listener: str, peer: str, resolved: ResolvedOptions) -> str:
    rows = [(name, _shown(name, option.value), option.source) for name, option in _rows(resolved)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"Mail from {peer} to {listener}:", ""]
    lines += [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {source}" for name, value, source in rows]
    return "\n".join(lines) + "\n"


def _shown(name: str, value: Any) -> str:
    marker = fields_of(TrackingOptions)[name].marker if name in fields_of(TrackingOptions) else None
    return marker.kind.show(value).strip('"') if isinstance(marker, Setting) else str(value)


def _as_json(listener: str, peer: str, resolved: ResolvedOptions) -> str:
    options = {name: {"value": option.value, "source": option.source} for name, option in _rows(resolved)}
    return json.dumps({"listener": listener, "peer": peer, "options": options}, indent=2, ensure_ascii=False) + "\n"
