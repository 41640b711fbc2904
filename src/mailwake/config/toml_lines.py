"""On which line of a TOML file a setting stands: tomllib gives the values, this gives the places."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_LAST_LINE = re.compile(r"""(?:[\]}]|\"{3}|'{3})[ \t]*(?:#.*)?$""")

Path = tuple[str, ...]


def split_name(name: str) -> Path:
    """The parts of a dotted name as TOML reads it: `a."b.c".d` is a, b.c and d. Raises ValueError."""
    if "\n" in name or not re.fullmatch(_DOTTED, name.strip()):
        raise ValueError(f"{name!r} is no dotted name")
    found: list[str] = []
    value: Any = tomllib.loads(f"{name} = 0")
    while isinstance(value, dict):
        (part, value), *_ = value.items()
        found.append(part)
    return tuple(found)


def join_name(path: Path) -> str:
    """The dotted name of a path, its parts quoted where they need it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _quoted(part) for part in path)


def _quoted(part: str) -> str:
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'


class TomlLines:
    """The line numbers of the tables and settings of one TOML text that tomllib has accepted."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._scan(text.splitlines())

    def line(self, path: Path) -> int:
        """The line on which a setting or table begins; 0 for one that has no line of its own (in an inline table)."""
        return self._lines.get(path, 0)

    def _scan(self, lines: list[str]) -> None:
        table: Path = ()
        number = 0
        while number < len(lines):
            line = lines[number]
            if header := _HEADER.match(line):
                table = self._enter(split_name(header[2]), number + 1, numbered=header[1] == "[[")
            elif assignment := _ASSIGNMENT.match(line):
                self._lines.setdefault(table + split_name(assignment[1]), number + 1)
                number += _statement_length(lines, number) - 1
            number += 1

    def _enter(self, name: Path, line: int, *, numbered: bool) -> Path:
        if numbered:
            index = self._counts.get(name, 0)
            self._counts[name] = index + 1
            self._lines.setdefault(name, line)
            name = (*name, str(index))
        self._lines[name] = line
        return name


def _statement_length(lines: list[str], start: int) -> int:
    """How many lines the assignment that begins at `start` takes: the fewest that parse."""
    for length in range(1, len(lines) - start + 1):
        # Trying every line would take a time that is quadratic in the length of a list.
        if length > 1 and not _LAST_LINE.search(lines[start + length - 1]):
            continue
        try:
            tomllib.loads("\n".join(lines[start : start + length]))
        except tomllib.TOMLDecodeError:
            continue
        return length
    return 1
