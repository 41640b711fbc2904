"""Passwords that stand in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


def password_in(file: Path, setting: str) -> str:
    """The first line of a file that a setting names; StartupError, with the setting's name, when there is none."""
    try:
        return file.read_text(encoding="utf-8").splitlines()[0]
    except OSError as error:
        reason = error.strerror or str(error)
    except IndexError:
        reason = "it is empty"
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    raise StartupError(
        f"{setting}: cannot read a password from the first line of {file}: {reason}; "
        "name a file that mailwake's user can read"
    )
