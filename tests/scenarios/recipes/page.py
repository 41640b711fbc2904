"""The files that a page of docs/recipes tells its reader to write, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[3] / "docs" / "recipes"
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^[^`\n]*`(/[^`\n]+)`[^\n]*:\n\n```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Recipe:
    """One section of a page, whose blocks of code carry a file's path on the line before: "`/etc/main.cf`:".

    `substitutions` is all that a test may change: addresses, names and paths. Each must stand in the section.
    """

    def __init__(self, page: str, section: str, substitutions: dict[str, str]) -> None:
        text = (RECIPES / page).read_text(encoding="utf-8")
        titles = [match for match in _HEADING.finditer(text) if match[1] == section]
        assert len(titles) == 1, f"{page} has no section {section!r}"
        rest = text[titles[0].end() :]
        following = _HEADING.search(rest)
        self.text = rest[: following.start()] if following else rest
        self.substitutions = substitutions
        unused = [old for old in substitutions if old not in self.text]
        assert not unused, f"{page}, {section}: {unused} is not there to be replaced"
        self._read: set[str] = set()

    def file(self, path: str) -> str:
        """The content of the one block for `path`."""
        found = [content for name, content in _BLOCK.findall(self.text) if name == path]
        assert len(found) == 1, f"{len(found)} blocks for {path}"
        self._read.add(path)
        return self._substitute(found[0])

    def commands(self) -> list[str]:
        """The lines of the shell commands."""
        return [self._substitute(line) for block in _COMMANDS.findall(self.text) for line in block.splitlines()]

    def all_used(self) -> bool:
        """Whether every file of the section has been read, so that none stands there untested."""
        return {name for name, _ in _BLOCK.findall(self.text)} == self._read

    def _substitute(self, text: str) -> str:
        for old, new in self.substitutions.items():
            text = text.replace(old, new)
        return text
