"""Reading the configuration: the file, then the command line over it, checked, with the origin of every value."""

from __future__ import annotations

import dataclasses
import socket
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwake.config.overrides import OverrideError, put
from mailwake.config.references import contradictions
from mailwake.config.schema import DEFAULT_LISTEN, DEFAULT_TRACKER_LISTEN, Settings
from mailwake.config.scope_settings import Listen
from mailwake.config.toml_lines import TomlLines
from mailwake.config.tracker_settings import TrackerListen
from mailwake.config.validation import Validation
from mailwake.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_LINE = "command line"
DEFAULT = "default"


class ConfigurationError(SettingError):
    """A configuration that cannot be used; its text is the first problem, `problems` has them all."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more: `mailwake config check` lists them)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Checked settings, and where each of them came from."""

    settings: Settings
    file: Path | None = None
    sources: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def source(self, *path: str) -> str:
        """Where the setting or table at a path was given: `mailwake.toml:12`, `command line`, or `default`."""
        return self.sources.get(path, DEFAULT)


def load(
    path: Path | str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    host_name: str | None = None,
) -> Configuration:
    """The configuration of a file (or of none), with `overrides` (dotted name → text) from the command line over it.

    `flags` names the flag behind an override where it is not `--set NAME=…`; `host_name` is this machine's name, by
    default as the system has it. Raises ConfigurationError, whose text is one line, for all that cannot be used.
    """
    file = Path(path) if path is not None else None
    text = _text_of(file) if file is not None else ""
    tables = _tables_of(text, file)
    reading = _Reading(file, TomlLines(text), {}, dict(flags or {}))
    problems = reading.override(tables, overrides or {})
    validation = Validation(reading.place, reading.origin, problems)
    settings = validation.read_table(Settings, tables, (), ())
    if not problems:
        for at, problem in contradictions(settings):
            validation.refuse(at, problem)
    if problems:
        raise ConfigurationError(problems)
    return Configuration(_completed(settings, host_name or socket.gethostname()), file, validation.sources)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            [f"{file}: cannot be read: {error.strerror}; `mailwake config example` prints a file to start from"]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{file}: is not UTF-8 at octet {error.start}; save it as UTF-8"]) from None


def _tables_of(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{file}: not TOML: {error}"]) from None
    except RecursionError:
        raise ConfigurationError([f"{file}: not TOML: nested too deeply"]) from None


def _completed(settings: Settings, host_name: str) -> Settings:
    """The settings with the defaults that depend on others or on the machine."""
    node_name = settings.node_name or host_name
    listener = settings.esmtp_listener
    listener = dataclasses.replace(
        listener, hostname=listener.hostname or node_name, listen=listener.listen or {DEFAULT_LISTEN: Listen()}
    )
    tracker = settings.tracker
    tracker = dataclasses.replace(tracker, listen=tracker.listen or {DEFAULT_TRACKER_LISTEN: TrackerListen()})
    return dataclasses.replace(settings, node_name=node_name, esmtp_listener=listener, tracker=tracker)


@dataclass(slots=True)
class _Reading:
    """Where every path of one configuration was written."""

    file: Path | None
    lines: TomlLines
    overridden: dict[tuple[str, ...], str]
    flags: dict[str, str]

    def override(self, tables: dict[str, Any], overrides: Mapping[str, str]) -> list[str]:
        """Put the overrides into `tables`; the problems of those that cannot be."""
        problems = []
        for name, text in overrides.items():
            flag = self.flags.get(name, "--set")
            try:
                self.overridden[put(tables, name, text)] = flag
            except OverrideError as error:
                problems.append(f"{flag}: {name}: {error}")
        return problems

    def place(self, path: tuple[str, ...]) -> str:
        """As shown before an error: the flag, the file's line, or the file."""
        flag, line = self._flag_and_line(path)
        if flag:
            return flag
        return f"{self.file}:{line}" if line else str(self.file or "")

    def origin(self, path: tuple[str, ...]) -> str:
        """As shown for a value that applies."""
        flag, _ = self._flag_and_line(path)
        return COMMAND_LINE if flag else self.place(path)

    def _flag_and_line(self, path: tuple[str, ...]) -> tuple[str, int]:
        """Whichever says more exactly where `path` was given; the command line wins a tie."""
        while path:
            if path in self.overridden:
                return self.overridden[path], 0
            if line := self.lines.line(path):
                return "", line
            path = path[:-1]
        return "", 0
