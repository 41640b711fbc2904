"""Where commands find the keys: in the configuration, or in the data directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailwake.config.load import load
from mailwake.links.keyring import Key, Keyring, KeyringError
from mailwake.links.keyring_file import KeyringFile
from mailwake.service.data_directory import DataDirectory

if TYPE_CHECKING:
    from mailwake.config.schema import Settings

DEFAULT_DATA = Path("mailwake-data")

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The service's data directory.", show_default="./mailwake-data"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The service's configuration; names the keys or their directory."),
]


def settings_of(config: Path | None) -> Settings | None:
    """The settings of the configuration that was named; None when none was."""
    return None if config is None else load(config).settings


def data_directory(data: Path | None, settings: Settings | None) -> DataDirectory:
    """The directory named by --data, else by the configuration, else ./mailwake-data."""
    if data is None:
        data = DEFAULT_DATA if settings is None else settings.data_dir
    return DataDirectory(data)


def configured_keyring(settings: Settings | None) -> Keyring | None:
    """The keys given in the configuration; None when there are none."""
    if settings is None or not settings.keys.secrets:
        return None
    return Keyring.of([Key(key.id, key.secret) for key in settings.keys.secrets], settings.keys.current)


def keyring(data: Path | None, settings: Settings | None) -> Keyring:
    """The keys that the service uses; KeyringError, one line that says what to do, when there are none."""
    return configured_keyring(settings) or KeyringFile(data_directory(data, settings).keys).load()


def rotate(data: Path | None, settings: Settings | None) -> Keyring:
    """Add a key in the data directory; KeyringError when the keys are the configuration's."""
    if configured_keyring(settings) is not None:
        raise KeyringError("the keys stand in the configuration: add a [[keys.secrets]] there and restart the service")
    return KeyringFile(data_directory(data, settings).keys).rotate()
