"""The documentation of all settings, generated from the schema: the annotated example file and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.config.fields import Field, Section, Setting, fields_of
from mailwake.config.relay_settings import HopOptions
from mailwake.config.schema import Settings
from mailwake.config.scope_settings import TrackingOptions
from mailwake.config.toml_lines import Path, join_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 118

_EXAMPLE_HEAD = """\
# Configuration of mailwake: every setting, at its default.
#
# A line that begins with "#" and no space is a setting or a table: take the "#" away to use it. Where the line of a
# table, [in brackets], stands above a setting, take the "#" away there too, or the setting is in the table before it.
# `mailwake config check FILE` checks a file, `mailwake config show` says which tracking options apply to whom, and why.
#
# On the command line, `mailwake serve --set NAME=VALUE` sets any of them, by dotted name: --set relay.tls=must
"""

_SCOPED = "The tracking options that stand at the top may stand here too:"
_OF_HOPS = "How to talk to a next hop may be said here as in [relay]"

_REFERENCE_HEAD = """\
# Settings

<!-- Generated from src/mailwake/config by `mailwake config reference`; do not edit. -->

One TOML file holds all settings; none is needed. A setting that is not known, or whose value does not fit, is an error
that names the line and the nearest known name. On the command line `--set NAME=VALUE` sets any of them by its dotted
name and wins over the file.

## Which tracking option applies

The tracking options may stand in several scopes. For each option by itself, the first of these that has it counts:

1. `[esmtp_listener.listen."ADDRESS".peer."NETWORK"]`, the longest prefix that holds the client's address first
2. `[esmtp_listener.listen."ADDRESS"]`
3. `[esmtp_listener.peer."NETWORK"]`, the longest prefix first
4. `[pathway.NAME]`: the pathway that policy set (context variable `pathway`), or else the one that the most specific of
   the scopes above names, or else the one that `[esmtp_listener]` names
5. `[pathway_group.NAME]`: the `group` of that pathway
6. `[esmtp_listener]`
7. the top of the file; a value from the command line comes before the file's
8. the default

`mailwake config show --peer ADDRESS --listener ADDRESS` says which value applies, and where it stands.

## Which route a copy takes

`[relay]` is the default route, and each `[relays.NAME]` another one. The first of these that names one counts:

1. the context variable `mailwake_relay`, which policy may set for a connection, a message or one recipient
2. `[pathway.NAME]`, of the pathway in force
3. `[pathway_group.NAME]`: the `group` of that pathway
4. `[customers.NAME]`, of the customer in force (`mo_customer_id`)
5. the default route, which the others may name as `"default"`

`mailwake explain` says which one a message would take, and who decided it.
"""


def example_toml() -> str:
    """A complete configuration file in which every setting is commented out at its default."""
    lines = [*_EXAMPLE_HEAD.splitlines(), ""]
    for path, section, table in _tables(Settings, ()):
        if section is not None:
            # A table without a name of its own is harmless when empty, and spares people a mistake.
            mark = "#" if section.key is not None or section.numbered else ""
            lines += ["", *_comment(section.doc), f"{mark}{_header(path, section)}", ""]
        lines += _example_lines(table, path)
    return "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n"


def settings_reference() -> str:
    """The reference of all settings, in Markdown."""
    lines = [_REFERENCE_HEAD]
    for path, section, table in _tables(Settings, ()):
        title = f"`{_header(path, section, free=True)}`" if path else "Global settings"
        lines += [f"## {title}", "", section.doc if section else str(table.__doc__), ""]
        if path and issubclass(table, TrackingOptions):
            names = ", ".join(f"`{name}`" for name in fields_of(TrackingOptions))
            lines += [f"A scope of the tracking options: {names}.", ""]
        if _is_further_hop(table, path):
            names = ", ".join(f"`{name}`" for name in fields_of(HopOptions))
            lines += [f"{_OF_HOPS}: {names}.", ""]
        own = list(_settings(table, path))
        if own:
            lines += ["| setting | default | value | meaning |", "|---|---|---|---|"]
            lines += [_reference_row(each) for each in own]
            lines.append("")
    return "\n".join(lines)


def settings_of_table(table: type) -> str:
    """The settings of one table of another file than the configuration, as a table in Markdown."""
    lines = ["| setting | default | value | meaning |", "|---|---|---|---|"]
    lines += [_reference_row(each) for each in fields_of(table).values() if isinstance(each.marker, Setting)]
    return "\n".join(lines) + "\n"


def _tables(table: type, path: Path, section: Section | None = None) -> Iterator[tuple[Path, Section | None, type]]:
    """Every table of the schema with its path, an example standing for free names."""
    yield path, section, table
    for name, each in fields_of(table).items():
        if isinstance(each.marker, Section) and each.table is not None:
            inner = (*path, name, each.marker.example) if each.marker.key is not None else (*path, name)
            yield from _tables(each.table, inner, each.marker)


def _header(path: Path, section: Section | None, *, free: bool = False) -> str:
    numbered = section is not None and section.numbered
    shown = path
    if free and section is not None and section.key is not None:
        shown = (*path[:-1], "NAME")
    return f"[[{join_name(shown)}]]" if numbered else f"[{join_name(shown)}]"


def _settings(table: type, path: Path) -> Iterator[Field]:
    """The settings of a table, its own first, without those that are documented once, in another table."""
    elsewhere: set[str] = set()
    if path:
        elsewhere |= fields_of(TrackingOptions).keys()
    if _is_further_hop(table, path):
        elsewhere |= fields_of(HopOptions).keys()
    found = [each for name, each in fields_of(table).items() if name not in elsewhere]
    for each in sorted(found, key=lambda each: each.name in fields_of(HopOptions) and issubclass(table, HopOptions)):
        if isinstance(each.marker, Setting):
            yield each


def _is_further_hop(table: type, path: Path) -> bool:
    return issubclass(table, HopOptions) and path != ("relay",)


def _example_lines(table: type, path: Path) -> Iterator[str]:
    if path and issubclass(table, TrackingOptions):
        yield from _comment(_SCOPED)
        for each in fields_of(TrackingOptions).values():
            yield f"#{each.name} = {_shown(each)}"
        yield ""
    for each in _settings(table, path):
        marker = _setting(each)
        yield from _comment(marker.doc)
        yield from _comment(f"Value: {marker.kind.allowed}.{_unset_note(each)}")
        yield f"#{each.name} = {_shown(each)}"
        yield ""
    if _is_further_hop(table, path):
        yield from _comment(f"{_OF_HOPS}: {', '.join(fields_of(HopOptions))}.")
        yield ""


def _unset_note(each: Field) -> str:
    marker = _setting(each)
    if each.required:
        return " Required."
    return f" Without it: {marker.unset}." if marker.unset else ""


def _shown(each: Field) -> str:
    """The default as TOML, or an example value where there is none."""
    marker = _setting(each)
    default = _default(each)
    return marker.example if default is None else marker.kind.show(default)


def _default(each: Field) -> Any:
    """The value that applies when nothing is set; None when there is none to show."""
    marker = _setting(each)
    if marker.final is not None:
        return marker.final
    return None if each.default == "" else each.default


def _reference_row(each: Field) -> str:
    marker = _setting(each)
    default = _default(each)
    shown = "required" if each.required else marker.unset if default is None else f"`{marker.kind.show(default)}`"
    cells = (f"`{each.name}`", shown, marker.kind.allowed, marker.doc)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _setting(each: Field) -> Setting:
    if not isinstance(each.marker, Setting):
        raise TypeError(f"{each.name} is a section")
    return each.marker


def _comment(text: str) -> Iterator[str]:
    """`text` as comment lines that nobody takes for settings: a space follows the number sign."""
    line = "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    yield line
