"""`mailwake policy`: a policy to begin with, and whether a policy can be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailwake.errors import MailwakeError
from mailwake.logs import make_logger
from mailwake.policy.phases import Phase
from mailwake.policy.skeleton import lua_skeleton, python_skeleton
from mailwake.service.policy_files import load_policy

app = typer.Typer(help="Write a first policy, and check that policies can be loaded.", no_args_is_help=True)

_SKELETONS = {".py": python_skeleton, ".lua": lua_skeleton}


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it ends in .py or .lua.")],
) -> None:
    """Write a commented policy to begin with; a file that is there is never written over."""
    skeleton = _SKELETONS.get(file.suffix.lower())
    if skeleton is None:
        raise MailwakeError(f"{file}: name a file that ends in .py or .lua")
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(skeleton())
    except FileExistsError:
        raise MailwakeError(f"{file}: is there already; name another file, or delete it") from None
    except OSError as error:
        raise MailwakeError(f"{file}: cannot be written: {error.strerror}") from None
    typer.echo(f'written: {file}\nname it in the configuration:\n\n    [[policy]]\n    file = "{file.resolve()}"\n')
    typer.echo("and see what it does: mailwake explain MESSAGE.eml --rcpt ADDRESS --config FILE.toml")


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Policies in Python or Lua.")],
) -> None:
    """Load policies as a worker would, and list the phases that each has a function for."""
    for file in files:
        host = load_policy(file, log=make_logger("auto", "error"))
        typer.echo(f"{file}: {', '.join(phase for phase in Phase if phase in host.phases)}")
