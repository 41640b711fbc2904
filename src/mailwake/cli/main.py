"""The `mailwake` command: its sub-commands, and the one place where errors become lines for people."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from mailwake import __version__
from mailwake.errors import MailwakeError

_COMMANDS = ("serve", "demo", "explain", "report")
"""Commands, each a function of that name in `NAME_command`."""

_GROUPS = (
    *("config", "policy", "events", "journal", "bots", "spool", "store", "link", "keys", "tags", "account"),
    *("apikey", "privacy", "webhooks"),
)
"""Groups of commands, each the `app` of `NAME_commands`."""


def make_app(only: str = "") -> typer.Typer:
    """Put the command together; a function, so that documentation and tests can have one of their own.

    When `only` is the name of a command, the others are left out: loading them all takes a second of CPU.
    """
    app = typer.Typer(
        name="mailwake",
        help="Engagement tracking for mail sent over SMTP.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def _options(
        version: Annotated[
            bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
        ] = False,
    ) -> None:
        pass

    wanted = [only] if only in _COMMANDS or only in _GROUPS else [*_COMMANDS, *_GROUPS]
    for name in wanted:
        if name in _COMMANDS:
            app.command(name)(getattr(import_module(f"mailwake.cli.{name}_command"), name))
        else:
            app.add_typer(import_module(f"mailwake.cli.{name}_commands").app, name=name)
    return app


def _show_version(value: bool) -> None:  # the library calls it so
    if value:
        typer.echo(f"mailwake {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; an error that the user can mend is one line on standard error and exit status 1."""
    try:
        make_app(sys.argv[1] if len(sys.argv) > 1 else "")()
    except MailwakeError as error:
        sys.stderr.write(f"mailwake: {error}\n")
        sys.exit(1)
    except BrokenPipeError:  # `mailwake events tail | head` is no error
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
