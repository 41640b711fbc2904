"""Reading files of bot rules: the shipped one, and the operator's over it."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

from mailwake.config.toml_lines import TomlLines
from mailwake.config.validation import Validation
from mailwake.enrichment.rule_tables import ProxyTable, RuleFile, RuleTable
from mailwake.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHIPPED = "bot_rules.toml"
"""The shipped file's name, in this package."""

_LARGEST = 16 << 20
_CONDITIONS = ("agents", "networks", "after_delivery", "links", "head_within", "honeypot_within")


class RuleFileError(SettingError):
    """A file of bot rules that cannot be used; its text is the first problem, `problems` has them all."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more: `mailwake bots check` lists them)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)


def shipped_text() -> str:
    """The shipped file's text."""
    return resources.files(__package__).joinpath(SHIPPED).read_text(encoding="utf-8")


def shipped_rules() -> RuleFile:
    """The rules that come with this release."""
    return parse_rules(shipped_text(), SHIPPED)


def read_rules(path: Path) -> RuleFile:
    """The operator's rules alone; RuleFileError for a file that cannot be read or used."""
    try:
        with path.open("rb") as file:
            octets = file.read(_LARGEST + 1)
    except OSError as error:
        raise RuleFileError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(octets) > _LARGEST:
        raise RuleFileError([f"{path}: has more than {_LARGEST >> 20} MiB, which no file of rules has"])
    try:
        return parse_rules(octets.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise RuleFileError([f"{path}: is not UTF-8 at octet {error.start}; save it as UTF-8"]) from None


def parse_rules(text: str, name: str) -> RuleFile:
    """The rules of a text; `name` is shown before each problem. Raises RuleFileError."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleFileError([f"{name}: not TOML: {error}"]) from None
    except RecursionError:
        raise RuleFileError([f"{name}: not TOML: nested too deeply"]) from None
    lines = TomlLines(text)

    def place(path: tuple[str, ...]) -> str:
        while path:
            if line := lines.line(path):
                return f"{name}:{line}"
            path = path[:-1]
        return name

    problems: list[str] = []
    validation = Validation(place, place, problems, root=RuleFile)
    found: RuleFile = validation.read_table(RuleFile, tables, (), ())
    if not problems:
        for kind, entries in (("rule", found.rule), ("proxy", found.proxy)):
            _check(kind, entries, validation)
    if problems:
        raise RuleFileError(problems)
    return found


def _check(kind: str, entries: Iterable[Any], validation: Validation) -> None:
    seen: set[str] = set()
    for index, each in enumerate(entries):
        path = (kind, str(index))
        if each.name in seen:
            validation.refuse((*path, "name"), f"{each.name} stands there twice; rename or remove one")
        seen.add(each.name)
        if each.enabled and not each.events:
            validation.refuse(path, f"{each.name} has no events; name those that it speaks of")
        elif each.enabled and not any(getattr(each, name, None) is not None for name in _CONDITIONS):
            validation.refuse(
                path, f"{each.name} has no condition and would hold for everybody; give agents, or another"
            )


def merged(shipped: RuleFile, own: RuleFile) -> RuleFile:
    """The shipped rules with the operator's: those of the same name take their place, all others come beside them."""
    return RuleFile(
        threshold=shipped.threshold if own.threshold is None else own.threshold,
        rule=_merged_rules(shipped.rule, own.rule),
        proxy=_merged_proxies(shipped.proxy, own.proxy),
    )


def _merged_rules(shipped: tuple[RuleTable, ...], own: tuple[RuleTable, ...]) -> tuple[RuleTable, ...]:
    by_name = {each.name: each for each in (*shipped, *own)}
    return tuple(each for each in by_name.values() if each.enabled)


def _merged_proxies(shipped: tuple[ProxyTable, ...], own: tuple[ProxyTable, ...]) -> tuple[ProxyTable, ...]:
    by_name = {each.name: each for each in (*shipped, *own)}
    return tuple(each for each in by_name.values() if each.enabled)
