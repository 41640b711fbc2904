"""What differs between two configurations: names of settings, never their values, some of which are secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.config.schema import Settings


def changed_settings(old: Settings, new: Settings) -> list[str]:
    """The dotted names of the settings that differ; a table that came or went is named as a whole."""
    return list(_differences("", old, new))


def _differences(name: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if is_dataclass(old) and type(old) is type(new):
        for each in fields(old):
            yield from _differences(_join(name, each.name), getattr(old, each.name), getattr(new, each.name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if key in old and key in new:
                yield from _differences(_join(name, _quoted(key)), old[key], new[key])
            else:
                yield _join(name, _quoted(key))
    else:
        yield name


def _join(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _quoted(key: Any) -> str:
    text = str(key)
    return text if text.isascii() and text.replace("_", "").replace("-", "").isalnum() else f'"{text}"'
