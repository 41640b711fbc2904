"""The `mailwake` command: its sub-commands, and the one place where errors become lines for people."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mailwake import __version__
from mailwake.errors import MailwakeError


def make_app() -> typer.Typer:
    """Put the command together; a function, so that documentation and tests can have one of their own."""
    from mailwake.cli import (
        account_commands,
        apikey_commands,
        bots_commands,
        config_commands,
        demo_command,
        events_commands,
        explain_command,
        journal_commands,
        keys_commands,
        link_commands,
        policy_commands,
        privacy_commands,
        report_command,
        serve_command,
        spool_commands,
        store_commands,
        tags_commands,
        webhooks_commands,
    )

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

    app.command("serve")(serve_command.serve)
    app.command("demo")(demo_command.demo)
    app.command("explain")(explain_command.explain)
    app.command("report")(report_command.report)
    app.add_typer(config_commands.app, name="config")
    app.add_typer(policy_commands.app, name="policy")
    app.add_typer(events_commands.app, name="events")
    app.add_typer(journal_commands.app, name="journal")
    app.add_typer(bots_commands.app, name="bots")
    app.add_typer(spool_commands.app, name="spool")
    app.add_typer(store_commands.app, name="store")
    app.add_typer(link_commands.app, name="link")
    app.add_typer(keys_commands.app, name="keys")
    app.add_typer(tags_commands.app, name="tags")
    app.add_typer(account_commands.app, name="account")
    app.add_typer(apikey_commands.app, name="apikey")
    app.add_typer(privacy_commands.app, name="privacy")
    app.add_typer(webhooks_commands.app, name="webhooks")
    return app


def _show_version(value: bool) -> None:  # the library calls it so
    if value:
        typer.echo(f"mailwake {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; an error that the user can mend is one line on standard error and exit status 1."""
    try:
        make_app()()
    except MailwakeError as error:
        sys.stderr.write(f"mailwake: {error}\n")
        sys.exit(1)
    except BrokenPipeError:  # `mailwake events tail | head` is no error
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
