"""`mailwake config`: which settings apply and why, is a file right, what can be set at all, what Momentum had."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from mailwake.config.describe import example_toml, settings_reference
from mailwake.config.fields import Setting, fields_of
from mailwake.config.load import ConfigurationError, load
from mailwake.config.momentum_files import SEARCH_PATH, read_momentum
from mailwake.config.momentum_import import convert
from mailwake.config.networks import parse_client
from mailwake.config.overrides import parse_assignments
from mailwake.config.scope_settings import ConnectionOptions
from mailwake.config.scopes import ResolvedConnection, ResolvedOptions, ScopedOptions, Sourced
from mailwake.errors import SettingError

app = typer.Typer(help="Show, check, explain and convert the configuration.", no_args_is_help=True)


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
    """Show each scoped option for mail of this client: its value, and the scope that it came from."""
    configuration = load(config, parse_assignments(set_ or []))
    scoped = ScopedOptions(configuration)
    if parse_client(peer) is None:
        raise SettingError(f"--peer: {peer!r} is no IP address")
    if pathway is not None and pathway not in configuration.settings.pathway:
        raise SettingError(
            f"--pathway: there is no [pathway.{pathway}]{_near(pathway, configuration.settings.pathway)}"
        )
    address = _listener(scoped, listener)
    rows = _rows(scoped.resolve(address, peer, pathway), scoped.resolve_connection(address, peer))
    typer.echo(_as_json(address, peer, rows) if as_json else _as_table(address, peer, rows), nl=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Configuration file (TOML).")],
) -> None:
    """Check a configuration file and the files that it names, as the start does; any problem makes the exit status 1.

    Every problem is one line. What can be used but is hardly meant is a line that begins with "warning:".
    """
    from mailwake.service.cautions import cautions
    from mailwake.service.parts import check_parts
    from mailwake.service.tracker_parts import check_tracker_parts
    from mailwake.sinks.make import check_sinks
    from mailwake.store.make import check_store
    from mailwake.webhooks.configured import check_webhooks

    try:
        settings = load(file).settings
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(1) from None
    check_parts(settings, demo=not settings.relay.hops)
    check_tracker_parts(settings)
    check_sinks(settings.sinks)
    check_store(settings.store)
    check_webhooks(settings)
    for caution in cautions(settings, datetime.now(UTC)):
        typer.echo(f"warning: {caution}", err=True)
    typer.echo(f"{file}: no problems found")


@app.command()
def example() -> None:
    """Print a complete configuration file, every setting commented out at its default."""
    typer.echo(example_toml(), nl=False)


@app.command()
def reference() -> None:
    """Print the reference of all settings, in Markdown."""
    typer.echo(settings_reference(), nl=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Momentum's configuration, ecelerity.conf; its includes are followed.")],
    output: Annotated[Path | None, typer.Option(help="The file to write.", show_default="standard output")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Pass over included files that are not there.")
    ] = False,
    search_path: Annotated[
        str,
        typer.Option(
            envvar="EC_CONF_SEARCH_PATH",
            metavar="DIR:DIR…",
            help="Where to look for included files that do not lie beside the file that includes them; also taken "
            "from EC_CONF_SEARCH_PATH.",
            show_envvar=False,
        ),
    ] = SEARCH_PATH,
) -> None:
    """Convert the tracking options of a Momentum configuration, with listeners, peers and pathways.

    What is left out, and what to do about it, is said on standard error. The result is checked as `config check` does.
    """
    directories = [Path(directory) for directory in search_path.split(os.pathsep) if directory]
    found = read_momentum(file, search_path=directories, skip_missing=skip_missing)
    result = convert(found)
    if not result.size:
        raise SettingError(f"{file}: nothing in it is for mailwake: no listener, no pathway, no tracking option")
    _check_converted(result.toml)
    if output is None:
        typer.echo(result.toml, nl=False)
    else:
        _write(output, result.toml, found.files, force=force)
    for line in result.report.lines():
        typer.echo(line, err=True)
    if output is not None:
        typer.echo(f"{output}: written; `mailwake config show --config {output}` says which options apply to whom")


def _check_converted(toml: str) -> None:
    with TemporaryDirectory(prefix="mailwake-") as directory:
        file = Path(directory) / "mailwake.toml"
        file.write_text(toml, encoding="utf-8")
        try:
            load(file)
        except ConfigurationError as error:
            problem = str(error).replace(f"{file}", "line")
            raise SettingError(f"the result is not right, please report it: {problem}") from None


def _write(output: Path, toml: str, sources: list[Path], *, force: bool) -> None:
    if output.exists() and any(output.samefile(source) for source in sources):
        raise SettingError(f"{output}: is one of the files that are converted; name another")
    try:
        with output.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(toml)
    except FileExistsError:
        raise SettingError(f"{output}: is there already; name another file, or overwrite it with --force") from None
    except OSError as error:
        raise SettingError(f"{output}: cannot be written: {error.strerror}") from None


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


_Rows = list[tuple[str, Sourced[Any]]]


def _rows(tracking: ResolvedOptions, connection: ResolvedConnection) -> _Rows:
    rows = [row for row in tracking.items() if row[0] not in ("pathway", "relay") or row[1].value is not None]
    return rows + connection.items()


def _as_table(listener: str, peer: str, options: _Rows) -> str:
    rows = [(name, _shown(name, option.value), option.source) for name, option in options]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"Mail from {peer} to {listener}:", ""]
    lines += [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {source}" for name, value, source in rows]
    return "\n".join(lines) + "\n"


def _shown(name: str, value: Any) -> str:
    known = fields_of(ConnectionOptions)
    marker = known[name].marker if name in known else None
    return marker.kind.show(value).strip('"') if isinstance(marker, Setting) else str(value)


def _as_json(listener: str, peer: str, rows: _Rows) -> str:
    options = {name: {"value": option.value, "source": option.source} for name, option in rows}
    return json.dumps({"listener": listener, "peer": peer, "options": options}, indent=2, ensure_ascii=False) + "\n"
