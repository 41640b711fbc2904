"""`mailwake account`: what is needed to add an account for SMTP AUTH."""

from __future__ import annotations

import sys

import typer

from mailwake.errors import SettingError

app = typer.Typer(help="Accounts for SMTP AUTH.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    # With a callback typer keeps `hash` as a sub-command though it is the only one.
    pass


@app.command("hash")
def hash_() -> None:
    """Print the argon2id hash of a password, for the setting `accounts.NAME.password`.

    The password is asked for on a terminal, and otherwise read from the first line of standard input.
    """
    from argon2 import PasswordHasher

    password = _from_terminal() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise SettingError("the password is empty; type one, or give it on the first line of standard input")
    # OWASP's second recommendation for argon2id: 19 MiB and two passes, some 30 ms.
    typer.echo(PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(password))


def _from_terminal() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True))
