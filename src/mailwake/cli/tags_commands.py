"""`mailwake tags`: the tags that the whole system knows, and making room among them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailwake.config.fields import Setting, fields_of
from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.control.known_tags import KnownTagsError, free_tag, list_tags, operator_limit, set_limit
from mailwake.service.data_directory import DataDirectory

app = typer.Typer(help="List, free and limit the tags that the whole system knows.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]


@app.command("list")
def list_(
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object a line.")] = False,
) -> None:
    """List the known tags, the oldest first, and how many more there is room for."""
    file, max_tags = _file_and_max_tags(config, data)
    known = list_tags(file)
    for each in known:
        since = datetime.fromtimestamp(each.since, UTC).isoformat(timespec="seconds")
        typer.echo(
            json.dumps({"tag": each.tag, "since": since}, ensure_ascii=False) if as_json else f"{since}  {each.tag}"
        )
    if not as_json:
        chosen = operator_limit(file)
        source = f"max_tags = {max_tags}" if chosen is None else f"limit {chosen}, set with `mailwake tags limit`"
        room = max(0, (max_tags if chosen is None else chosen) - len(known))
        typer.echo(f"{len(known)} known, room for {room} more ({source})", err=True)


@app.command()
def free(
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="Tags that are not used any more.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Free tags, so that others find room; running workers notice within seconds."""
    file, _ = _file_and_max_tags(config, data)
    unknown = [tag for tag in tags if not free_tag(file, tag)]
    if unknown:
        raise KnownTagsError(f"not among the known tags: {', '.join(unknown)}; `mailwake tags list` shows them")


@app.command()
def limit(
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="How many tags may be known, whatever max_tags says.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Let the configured max_tags apply again.")] = False,
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show how many tags may be known and how many are, or set it for all workers; they notice within seconds.

    The limit is kept in the data directory and wins over the configured max_tags until --default takes it back. One
    below the number of known tags frees none of them: they stay known, and no new ones are admitted.
    """
    file, max_tags = _file_and_max_tags(config, data)
    if number is not None and default:
        raise KnownTagsError("a number and --default contradict each other; give one of them")
    if number is not None or default:
        set_limit(file, _checked(number))
    chosen, known = operator_limit(file), len(list_tags(file))
    if as_json:
        in_force = max_tags if chosen is None else chosen
        typer.echo(json.dumps({"limit": in_force, "max_tags": max_tags, "known": known}))
    else:
        typer.echo(_shown(chosen, max_tags, known))


def _checked(number: int | None) -> int | None:
    """The number, if `max_tags` could be it too."""
    marker = fields_of(Settings)["max_tags"].marker
    if number is not None and isinstance(marker, Setting):
        try:
            marker.kind.read(number)
        except ValueError:
            raise KnownTagsError(f"{number} cannot be the limit; give {marker.kind.allowed}") from None
    return number


def _shown(chosen: int | None, max_tags: int, known: int) -> str:
    limit = max_tags if chosen is None else chosen
    source = "as max_tags says" if chosen is None else f"set with `mailwake tags limit`; max_tags says {max_tags}"
    if known > limit:
        room = f"{known} are known: they stay known, and no new ones are admitted"
    else:
        room = f"{known} are known, room for {limit - known} more"
    return f"limit {limit} ({source}); {room}"


def _file_and_max_tags(config: Path | None, data: Path | None) -> tuple[Path, int]:
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    return DataDirectory(settings.data_dir).control, settings.max_tags
