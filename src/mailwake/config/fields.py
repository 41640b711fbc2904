"""How the schema is written down and read back: one marker a setting, from which everything else is generated."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.config.kinds import Kind


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it means, in a sentence; its kind; and what an absent value means where there is no default."""

    doc: str
    kind: Kind
    unset: str = ""
    """What happens while it is not set, for a setting whose default is None."""
    final: Any = None
    """For the scoped options: the value when no scope has one."""
    example: str = ""
    """TOML text for the annotated example where there is no default to show."""
    replaces: str = ""
    """The table beside it that a value from the command line takes the place of."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of settings; with `key`, any number of tables with names of their own, of which `example` is one."""

    doc: str
    key: Kind | None = None
    example: str = ""
    numbered: bool = False
    """Whether it is an array of tables, `[[name]]`."""
    names_suffice: bool = False
    """Whether a list of names may stand for as many tables without settings."""


@dataclass(frozen=True, slots=True)
class Field:
    """A setting or section as it stands in a table: its name, marker, default, and for sections the table's class."""

    name: str
    marker: Setting | Section
    default: Any
    required: bool
    table: type | None


@cache
def fields_of(table: type) -> Mapping[str, Field]:
    """The fields of a table's class by name, in the order in which they are written."""
    hints = get_type_hints(table, include_extras=True)
    found = {}
    for field in dataclasses.fields(table):
        hint, marker = _marked(hints[field.name])
        required = field.default is MISSING and field.default_factory is MISSING
        default = None if required or field.default is MISSING else field.default
        inner = _table_class(hint) if isinstance(marker, Section) else None
        found[field.name] = Field(field.name, marker, default, required, inner)
    return MappingProxyType(found)


def _marked(hint: Any) -> tuple[Any, Setting | Section]:
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        for mark in marks:
            if isinstance(mark, Setting | Section):
                return inner, mark
    raise TypeError(f"a setting without its description: {hint}")


def _table_class(hint: Any) -> type:
    """`Relay` of `Relay`, `Mapping[str, Relay]` or `tuple[Relay, ...]`."""
    for candidate in (hint, *get_args(hint)):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return candidate
    raise TypeError(f"a section that is no table: {hint}")
