"""Reading a Momentum configuration from its files: includes followed, repeated stanzas and options made one.

Momentum's manual ("Using the include and readonly_include Directives"): a relative file is looked for beside the file
that includes it, then in the search path; of a directory all files are read in the order of their names, but not the
hidden ones; the same file may be included twice; `Local_Changes_File` is read last, whatever stands where, and need not
be there, as Momentum writes it itself. The last value of an option counts, also when its stanza is written in several
pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailwake.config.momentum_syntax import MAX_DEPTH, Include, MomentumError, Stanza, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.config.momentum_syntax import Statement, Value

SEARCH_PATH = "/opt/msys/ecelerity/etc:/opt/msys/ecelerity/etc/conf/global:/opt/msys/ecelerity/etc/conf/default"
"""Where Momentum looks for included files that are not beside the including one, unless EC_CONF_SEARCH_PATH says so."""

MAX_OCTETS = 8 << 20
"""Of all files together; a real configuration has a few hundred kilobytes."""

MAX_FILES = 2000
MAX_INCLUDE_DEPTH = 20

_LOCAL_CHANGES = "local_changes_file"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Given:
    """The value of an option that counts, the option's name as it was spelled, and where it stood."""

    name: str
    value: Value
    place: Place


@dataclass(slots=True)
class Scope:
    """All stanzas of one name and instance together; the whole configuration is one without a name."""

    name: str
    instance: str | None
    place: Place
    count: int = 1
    """How many stanzas it was written in."""
    options: dict[str, Given] = field(default_factory=dict)
    """By name in lower case, as Momentum's names know no case."""
    scopes: dict[tuple[str, str | None], Scope] = field(default_factory=dict)
    """By name in lower case and instance."""

    def named(self, name: str) -> list[Scope]:
        """The scopes directly inside that have a name, whatever their instance."""
        return [scope for scope in self.scopes.values() if scope.name.lower() == name]

    @property
    def title(self) -> str:
        """The name and instance as they stand in the file."""
        return self.name if self.instance is None else f'{self.name} "{self.instance}"'


@dataclass(slots=True)
class MomentumConfiguration:
    """A configuration as Momentum sees it, the files it came from, and the includes that were passed over."""

    root: Scope
    files: list[Path] = field(default_factory=list)
    missing: list[tuple[Place, str]] = field(default_factory=list)


def read_momentum(path: Path, *, search_path: Sequence[Path] = (), skip_missing: bool = False) -> MomentumConfiguration:
    """The configuration of a file and of all that it includes.

    `skip_missing` passes over includes that are not there; otherwise the first of them is an error. Raises
    MomentumError for a file that cannot be read, a mistake in the syntax, and includes that lead back to themselves.
    """
    found = MomentumConfiguration(Scope("", None, Place(str(path), 1)))
    reader = _Reader(found, search_path, skip_missing)
    reader.read(path, found.root, (), 0)
    if (local := found.root.options.pop(_LOCAL_CHANGES, None)) is not None and isinstance(local.value, str):
        reader.include(local.value, local.place, found.root, (path,), 0, may_miss=True)
    return found


class _Reader:
    def __init__(self, found: MomentumConfiguration, search_path: Sequence[Path], skip_missing: bool) -> None:  # noqa: FBT001 - private
        self._found = found
        self._search_path = search_path
        self._skip_missing = skip_missing
        self._octets = 0

    def read(self, file: Path, into: Scope, chain: tuple[Path, ...], depth: int) -> None:
        """Put what a file says into a scope; `chain` has the files that lead to it."""
        statements = parse(self._text_of(file), str(file))
        self._take(statements, into, (*chain, file), depth)

    def _take(self, statements: list[Statement], into: Scope, chain: tuple[Path, ...], depth: int) -> None:
        for statement in statements:
            place = Place(str(chain[-1]), statement.line)
            if isinstance(statement, Include):
                self.include(statement.path, place, into, chain, depth)
            elif isinstance(statement, Stanza):
                if depth >= MAX_DEPTH:
                    raise MomentumError(f"{place}: more than {MAX_DEPTH} stanzas are open inside each other")
                self._take(statement.body, _inner(into, statement, place), chain, depth + 1)
            else:
                into.options[statement.name.lower()] = Given(statement.name, statement.value, place)

    def include(
        self, name: str, place: Place, into: Scope, chain: tuple[Path, ...], depth: int, *, may_miss: bool = False
    ) -> None:
        """Follow an include that stands at `place`."""
        target = self._find(name, chain[-1])
        if target is None:
            self._miss(name, place, may_miss=may_miss)
            return
        if len(chain) >= MAX_INCLUDE_DEPTH:
            raise MomentumError(f"{place}: {MAX_INCLUDE_DEPTH} files include each other, and there is no end")
        for file in _files_of(target, place):
            if any(_same(file, before) for before in chain):
                raise MomentumError(f"{place}: includes {file}, from which it is included itself; take the include out")
            self.read(file, into, chain, depth)

    def _find(self, name: str, including: Path) -> Path | None:
        plain = name.removeprefix("file://")
        if "\0" in plain or not plain or "://" in plain:
            return None
        candidates = (directory / plain for directory in (including.parent, *self._search_path))
        return next((found for found in candidates if found.exists()), None)

    def _miss(self, name: str, place: Place, *, may_miss: bool) -> None:
        if not (may_miss or self._skip_missing):
            raise MomentumError(
                f"{place}: includes {name!r}, which is not there; bring the file, or pass over it with --skip-missing"
            )
        self._found.missing.append((place, name))

    def _text_of(self, file: Path) -> str:
        try:
            if file.exists() and not file.is_file():
                raise MomentumError(f"{file}: is no file; name an ecelerity.conf")
            with file.open("rb") as stream:
                octets = stream.read(MAX_OCTETS - self._octets + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its name has a NUL in it"
            raise MomentumError(f"{file}: cannot be read: {reason}") from None
        self._octets += len(octets)
        self._found.files.append(file)
        if self._octets > MAX_OCTETS or len(self._found.files) > MAX_FILES:
            raise MomentumError(
                f"{file}: with it, more than {MAX_OCTETS >> 20} MiB or {MAX_FILES} files belong to the configuration; "
                "take out the includes that have nothing to do with tracking"
            )
        try:
            return octets.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MomentumError(f"{file}: is not UTF-8 at octet {error.start}; save it as UTF-8") from None


def _inner(into: Scope, stanza: Stanza, place: Place) -> Scope:
    """The scope of a stanza, which may have been begun by another one."""
    key = (stanza.name.lower(), stanza.instance)
    if key in into.scopes:
        into.scopes[key].count += 1
    return into.scopes.setdefault(key, Scope(stanza.name, stanza.instance, place))


def _files_of(target: Path, place: Place) -> list[Path]:
    if not target.is_dir():
        return [target]
    try:
        names = sorted(file.name for file in target.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise MomentumError(f"{place}: the directory {target} cannot be read: {error.strerror}") from None
    return [target / name for name in names]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
