"""`mailwake serve`: flags become settings, settings become a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailwake.config.load import load
from mailwake.config.overrides import parse_assignments
from mailwake.errors import SettingError
from mailwake.service.run import run_service
from mailwake.service.serve_request import ServeRequest


def serve(
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML); none is needed.")] = None,
    smtp: Annotated[
        list[str] | None,
        typer.Option(help="Take mail here, HOST:PORT or unix:PATH; may be repeated.", show_default="127.0.0.1:2525"),
    ] = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            help="Answer clicks and opens here, HOST:PORT or unix:PATH; repeatable.", show_default="127.0.0.1:8080"
        ),
    ] = None,
    next_hop: Annotated[str | None, typer.Option(help="The mail server that takes the copies, HOST:PORT.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Directory for keys, journal and spool.", show_default="./mailwake-data"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="SMTP workers, and as many tracker workers.", show_default="one for each CPU")
    ] = None,
    admin: Annotated[
        str | None, typer.Option(help="Answer /healthz and /metrics here.", show_default="127.0.0.1:9464")
    ] = None,
    api: Annotated[
        list[str] | None,
        typer.Option(help="Serve the API here; may be repeated.", show_default="127.0.0.1:8090"),
    ] = None,
    role: Annotated[str, typer.Option(help="What to run: all, smtp, tracker or collector.")] = "all",
    demo: Annotated[bool, typer.Option("--demo", help="Deliver into a local maildir instead of a next hop.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, by its name in the file; may be repeated."),
    ] = None,
) -> None:
    """Take mail in over SMTP, track it, pass it on; answer clicks and opens. What flags say wins over the file."""
    overrides = parse_assignments(set_ or [])
    flags: dict[str, str] = {}

    def override(name: str, value: object, flag: str) -> None:
        if value is not None:
            overrides[name] = str(value)
            flags[name] = flag

    override("data_dir", data, "--data")
    override("workers", workers, "--workers")
    override("admin_listen", admin, "--admin")
    override("relay.next_hop", next_hop, "--next-hop")
    if role not in ("all", "smtp", "tracker", "collector"):
        raise SettingError(f"--role: {role!r} is none of all, smtp, tracker, collector")
    run_service(
        ServeRequest(
            read=lambda: load(config, overrides, flags=flags), smtp=smtp, tracker=tracker, api=api, role=role, demo=demo
        )
    )
