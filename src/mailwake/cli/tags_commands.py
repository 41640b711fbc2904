"""`mailwake tags`: the tags that the whole system knows, and making room among them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailwake.config.load import load
from mailwake.control.known_tags import KnownTagsError, free_tag, list_tags
from mailwake.service.data_directory import DataDirectory

app = typer.Typer(help="List and free the tags that the whole system knows.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]


@app.command("list")
def list_(
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object a line.")] = False,
) -> None:
    """List the known tags, the oldest first, and how many more there is room for."""
    file, limit = _file_and_limit(config, data)
    known = list_tags(file)
    for each in known:
        since = datetime.fromtimestamp(each.since, UTC).isoformat(timespec="seconds")
        typer.echo(
            json.dumps({"tag": each.tag, "since": since}, ensure_ascii=False) if as_json else f"{since}  {each.tag}"
        )
    if not as_json:
        typer.echo(f"{len(known)} known, room for {max(0, limit - len(known))} more (max_tags = {limit})", err=True)


@app.command()
def free(
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="Tags that are not used any more.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Free tags, so that others find room; running workers notice within seconds."""
    file, _ = _file_and_limit(config, data)
    unknown = [tag for tag in tags if not free_tag(file, tag)]
    if unknown:
        raise KnownTagsError(f"not among the known tags: {', '.join(unknown)}; `mailwake tags list` shows them")


def _file_and_limit(config: Path | None, data: Path | None) -> tuple[Path, int]:
    settings = load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings
    return DataDirectory(settings.data_dir).control, settings.max_tags
