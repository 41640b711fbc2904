"""From the plain tables that tomllib gives to the typed settings, with an error for everything that does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING, Any

from mailwake.config.fields import Field, Section, Setting, fields_of
from mailwake.config.kinds import show_text
from mailwake.config.schema import Settings
from mailwake.config.toml_lines import Path, join_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


@dataclass(slots=True)
class Validation:
    """One reading of a whole configuration: collects the problems, and where each value that is set came from."""

    place: Callable[[Path], str]
    """Where the setting of a path was given, as shown before an error: `mailwake.toml:12`, `--set`."""
    origin: Callable[[Path], str]
    """The same as a source: `mailwake.toml:12`, `command line`."""
    problems: list[str] = field(default_factory=list)
    sources: dict[Path, str] = field(default_factory=dict)
    root: type = Settings
    """The outermost table, in which the names stand that an unknown one may have meant."""
    _written: dict[Path, Path] = field(default_factory=dict)

    def refuse(self, path: Path, problem: str) -> None:
        """Note a problem with the setting at `path`."""
        place = self.place(self._written.get(path, path))
        self.problems.append(f"{place}: {join_name(path)}: {problem}" if place else f"{join_name(path)}: {problem}")

    def read_table(self, table: type, raw: Any, written: Path, path: Path) -> Any:
        """An instance of `table`; `written` is its path as the file spells it, `path` the same in normal form."""
        if not isinstance(raw, dict):
            return self.refuse(
                written, f"{show_value(raw)} cannot be used here; it is a table: write [{join_name(written)}]"
            )
        known = fields_of(table)
        for name in raw:
            if name not in known:
                self.refuse((*written, name), f"unknown setting{suggestion((*path, name), known, self.root)}")
        values: dict[str, Any] = {}
        for name, each in known.items():
            if name in raw:
                values[name] = self._read_field(each, raw[name], (*written, name), (*path, name))
            elif each.required:
                self.refuse((*written, name), f"is missing; give {_marker(each).kind.allowed}")
                values[name] = None
        return table(**values)

    def _note(self, path: Path, written: Path) -> None:
        if origin := self.origin(written):
            self.sources[path] = origin
        if written != path:
            self._written[path] = written

    def _read_field(self, each: Field, raw: Any, written: Path, path: Path) -> Any:
        if isinstance(each.marker, Setting):
            return self._read_setting(each, raw, written, path)
        if each.table is None:
            raise TypeError(f"section {each.name} has no table")
        self._note(path, written)
        if each.marker.numbered:
            return self._read_numbered(each.table, raw, written, path)
        if each.marker.key is None:
            return self.read_table(each.table, raw, written, path)
        return self._read_named(each.marker, each.table, raw, written, path)

    def _read_setting(self, each: Field, raw: Any, written: Path, path: Path) -> Any:
        kind = _marker(each).kind
        self._note(path, written)
        try:
            return kind.read(raw)
        except (ValueError, OverflowError):
            shown = "the value" if kind.hidden else show_value(raw)
            self.refuse(written, f"{shown} cannot be used; give {kind.allowed}")
            return each.default

    def _read_named(self, section: Section, table: type, raw: Any, written: Path, path: Path) -> dict[str, Any]:
        if section.names_suffice and isinstance(raw, list) and raw and all(isinstance(name, str) for name in raw):
            raw = {name: {} for name in raw}
        if section.key is None or not isinstance(raw, dict):
            also = ", or a list of names" if section.names_suffice else ""
            self.refuse(
                written, f"{show_value(raw)} cannot be used here; write a table [{join_name(written)}.NAME]{also}"
            )
            return {}
        found: dict[str, Any] = {}
        for key, inner in raw.items():
            try:
                name = str(section.key.read(key))
            except ValueError:
                self.refuse((*written, key), f"cannot be used as a name here; give {section.key.allowed}")
                continue
            if name in found:
                self.refuse(
                    (*written, key), f"stands there twice, as another spelling of {show_text(name)}; remove one"
                )
            self._note((*path, name), (*written, key))
            found[name] = self.read_table(table, inner, (*written, key), (*path, name))
        return found

    def _read_numbered(self, table: type, raw: Any, written: Path, path: Path) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            self.refuse(written, f"{show_value(raw)} cannot be used here; write tables [[{join_name(written)}]]")
            return ()
        return tuple(
            self.read_table(table, inner, (*written, str(index)), (*path, str(index)))
            for index, inner in enumerate(raw)
        )


def _marker(each: Field) -> Setting:
    if not isinstance(each.marker, Setting):
        raise TypeError(f"{each.name} is a section")
    return each.marker


def show_value(value: Any) -> str:
    """A raw value for an error message, cut where it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = show_text(value) if isinstance(value, str) else "a table" if isinstance(value, dict) else str(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def suggestion(path: Path, known: Mapping[str, object], root: type = Settings) -> str:
    """`; did you mean 'x'?` for an unknown name: the same name in another table, or a similar one here or elsewhere."""
    name = path[-1]
    paths = sorted(setting_paths(root), key=len, reverse=True)  # of two of one name the outer one is meant
    elsewhere = {found[-1]: join_name(found) for found in paths if found[-1] not in known}
    if name in elsewhere:
        return f"; did you mean '{elsewhere[name]}'?"
    here, there = _likeness(name, known), _likeness(name, elsewhere)
    if there and (not here or there[0] > here[0] + 0.1):
        return f"; did you mean '{elsewhere[there[1]]}'?"
    if here:
        return f"; did you mean '{here[1]}'?"
    if len(known) <= 12 or root is not Settings:
        return f"; known here: {', '.join(known)}"
    return "; `mailwake config example` lists all settings"


def _likeness(name: str, known: Iterable[str]) -> tuple[float, str] | None:
    """The nearest of the known names and how like it is, 0 to 1; None when none is near."""
    near = get_close_matches(name, list(known), 1)
    return (SequenceMatcher(None, near[0], name).ratio(), near[0]) if near else None


def setting_paths(table: type, path: Path = ()) -> Iterator[Path]:
    """The paths of all settings and sections that have no free names in them."""
    for name, each in fields_of(table).items():
        yield (*path, name)
        if isinstance(each.marker, Section) and each.marker.key is None and not each.marker.numbered and each.table:
            yield from setting_paths(each.table, (*path, name))
