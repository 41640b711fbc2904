"""Values from the command line, `--set NAME=VALUE`, put into the tables that were read from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.config.fields import Section, Setting, fields_of
from mailwake.config.schema import Settings
from mailwake.config.toml_lines import Path, split_name
from mailwake.config.validation import suggestion
from mailwake.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.config.kinds import Kind


class OverrideError(ValueError):
    """What is wrong with a name or value on the command line, as the clause that follows the name."""


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """The `NAME=VALUE` texts of repeated `--set` flags as overrides; SettingError for one without `=`."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingError(f"--set: {text!r} is no NAME=VALUE, for example open_tracking_enabled=true")
        found[name.strip()] = value.strip()
    return found


def put(tables: dict[str, Any], name: str, text: str) -> Path:
    """Set the setting of a dotted name to what `text` means for it, and return its path in `tables`.

    Raises OverrideError for a name that is not known, or that is a table. `listen` alone takes a list
    of addresses and makes those the ones that are listened on; what the file says about any of them stays.
    """
    try:
        parts = split_name(name)
    except ValueError:
        raise OverrideError('is not the name of a setting; quote addresses in it: esmtp_listener.peer."::1"') from None
    return _put(Settings, tables, (), parts, text)


def _put(table: type, at: dict[str, Any], path: Path, parts: Path, text: str) -> Path:
    name, rest = parts[0], parts[1:]
    each = fields_of(table).get(name)
    path = (*path, name)
    if each is None:
        raise OverrideError(f"unknown setting{suggestion(path, fields_of(table))}")
    if isinstance(each.marker, Setting):
        if rest:
            raise OverrideError(f"has no settings of its own; did you mean '{name}'?")
        at[name] = each.marker.kind.from_text(text)
        if each.marker.replaces:
            at.pop(each.marker.replaces, None)
        return path
    if not rest and each.marker.key is not None and each.marker.key.name == "address":
        at[name] = _chosen(each.marker.key, at.get(name), text)
        return path
    if each.marker.numbered or each.table is None:
        raise OverrideError("can be given in the configuration file only")
    inner = at.setdefault(name, {})
    if each.marker.key is not None and rest and isinstance(inner, dict):
        key = _as_written(each.marker, inner, rest[0])
        inner, path, rest = inner.setdefault(key, {}), (*path, key), rest[1:]
    if not rest:
        raise OverrideError("is a table; name one of the settings in it")
    # What is no table here is an error of the file's, which the validation reports.
    return _put(each.table, inner, path, rest, text) if isinstance(inner, dict) else path


def _as_written(section: Section, tables: dict[str, Any], key: str) -> str:
    """The name under which the file has the table that `key` means, or `key` itself."""
    wanted = _normal(section, key)
    return next((name for name in tables if _normal(section, name) == wanted), key)


def _normal(section: Section, key: str) -> str:
    try:
        return str(section.key.read(key)) if section.key is not None else key
    except ValueError:
        return key


def _chosen(kind: Kind, tables: object, text: str) -> dict[str, Any]:
    """The tables of the addresses in `text`, as the file has them or empty."""
    known = tables if isinstance(tables, dict) else {}
    section = Section("", key=kind)
    chosen = [item.strip() for item in text.split(",") if item.strip()]
    if not chosen:
        raise OverrideError(f"needs at least one address; give {kind.allowed}")
    return {(name := _as_written(section, known, item)): known.get(name, {}) for item in chosen}
