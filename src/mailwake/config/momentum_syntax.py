"""The syntax of Momentum's configuration files (ecelerity.conf): text in, a tree with line numbers out.

What its manual says ("Configuration Overview"): options `name = value`; stanzas `Name "instance" { … }`, the instance
not always there; lists `( … )`, dictionaries `[ key = value … ]`; quotes around whatever holds white space or one of
`# / " ' = { } [ ] ( )`; comments from `#` to the end of the line and between `/*` and `*/`; `include "file"` and
`readonly_include "file"` in any scope. White space means nothing. What it leaves open is decided here *(ours)*: a
bare `/` is taken, as its own examples have networks without quotes; in quotes, a backslash before a quote or another
backslash stands for that character, and any other backslash for itself; a comma separates the words of a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeAlias

from mailwake.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH = 50
"""Stanzas, lists and dictionaries inside each other; Momentum's own files have five at most."""

Value: TypeAlias = "str | list[Value] | dict[str, Value]"
Statement: TypeAlias = "Option | Stanza | Include"

_TOKEN = re.compile(
    r"""(?P<space> \s++ | \#[^\n]*+ | /\*.*?\*/ )
    | (?P<quoted> "[^"\\]*+(?:\\.[^"\\]*+)*+" | '[^'\\]*+(?:\\.[^'\\]*+)*+' )
    | (?P<mark> [={}\[\]()] )
    | (?P<bare> (?: (?!/\*) [^\s\#"'={}\[\]()] )++ )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\([\"'\\])")
_WORDS = ("bare", "quoted")
_INCLUDES = ("include", "readonly_include")
_CLOSERS = {"{": "}", "[": "]", "(": ")"}


class MomentumError(SettingError):
    """A Momentum configuration that cannot be read; its text is one line that begins with file and line."""


@dataclass(frozen=True, slots=True)
class Option:
    """`name = value`, the name as it is spelled."""

    name: str
    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class Include:
    """`include "path"` or `readonly_include "path"`."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Stanza:
    """`Name "instance" { … }`; a stanza without an instance has None."""

    name: str
    instance: str | None
    line: int
    body: list[Statement] = field(default_factory=list)


class _Token(NamedTuple):
    kind: str
    """`bare`, `quoted`, `end`, or the mark itself."""
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Open:
    """Something that is not closed yet."""

    closer: str
    what: str
    line: int
    put: Callable[[_Token], None]
    """What to do with a token that does not close it."""


def parse(text: str, file: str = "ecelerity.conf") -> list[Statement]:
    """The statements of one file; includes are not followed. Raises MomentumError, and nothing else for any text."""
    return _Parser(text, file).run()


def _tokens(text: str, file: str) -> Iterator[_Token]:
    line = 1
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise MomentumError(f"{file}:{line}: {_unclosed(text, at)} that begins here has no end")
        part, kind = found[0], str(found.lastgroup)
        if kind == "mark":
            yield _Token(part, part, line)
        elif kind == "bare":
            yield _Token(kind, part, line)
        elif kind == "quoted":
            yield _Token(kind, _ESCAPED.sub(r"\1", part[1:-1]), line)
        line += part.count("\n")
        at = found.end()
    yield _Token("end", "", line)


def _unclosed(text: str, at: int) -> str:
    return "the comment" if text.startswith("/*", at) else f"the text in {text[at]}quotes{text[at]}"


class _Parser:
    """One pass over the tokens; what is open is a list, so that nesting costs no stack of Python's."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._tokens = _tokens(text, file)
        self._open: list[_Open] = []

    def run(self) -> list[Statement]:
        body: list[Statement] = []
        self._open.append(_Open("end", "the file", 1, self._statement_in(body)))
        for token in self._tokens:
            if token.kind == self._open[-1].closer:
                self._open.pop()
            elif token.kind == "end":
                opened = self._open[-1]
                self._fail(token, f"{opened.closer} for {opened.what} of line {opened.line}")
            else:
                self._open[-1].put(token)
        return body

    def _fail(self, token: _Token, expected: str) -> NoReturn:
        shown = f'"{_cut(token.text)}"' if token.kind == "quoted" else _cut(token.text)
        found = "the file ends" if token.kind == "end" else f"{shown} stands there"
        raise MomentumError(f"{self._file}:{token.line}: expected {expected}, but {found}")

    def _push(self, token: _Token, what: str, put: Callable[[_Token], None]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise MomentumError(f"{self._file}:{token.line}: more than {MAX_DEPTH} brackets are open inside each other")
        self._open.append(_Open(_CLOSERS[token.kind], what, token.line, put))

    def _statement_in(self, body: list[Statement]) -> Callable[[_Token], None]:
        def put(name: _Token) -> None:
            if name.kind not in _WORDS:
                closer = self._open[-1].closer
                self._fail(name, f"an option, a stanza or {'the end' if closer == 'end' else closer}")
            after = next(self._tokens)
            if after.kind == "{":
                self._stanza(body, name, None, after)
            elif after.kind in _WORDS and name.kind == "bare" and name.text.lower() in _INCLUDES:
                body.append(Include(after.text, name.line))
            elif after.kind in _WORDS:
                self._stanza(body, name, after.text, next(self._tokens))
            else:
                self._value(self._behind_equals(name, after), name, lambda value: body.append(_option(name, value)))

        return put

    def _stanza(self, body: list[Statement], name: _Token, instance: str | None, brace: _Token) -> None:
        named = name.text if instance is None else f'{name.text} "{instance}"'
        if brace.kind != "{":
            self._fail(brace, f"{{ behind {_cut(named)}")
        stanza = Stanza(name.text, instance, name.line)
        body.append(stanza)
        self._push(brace, f"the {{ of {_cut(named)}", self._statement_in(stanza.body))

    def _behind_equals(self, name: _Token, after: _Token) -> _Token:
        """The first token of a value; lists and dictionaries may stand without `=` before them."""
        if after.kind == "=":
            return next(self._tokens)
        if after.kind not in ("(", "["):
            self._fail(after, f"= or {{ behind {_cut(name.text)}")
        return after

    def _value(self, token: _Token, name: _Token, store: Callable[[Value], None]) -> None:
        if token.kind in _WORDS:
            store(token.text)
        elif token.kind == "(":
            items: list[Value] = []
            store(items)
            self._push(token, f"the ( of {_cut(name.text)}", self._item_in(items, name))
        elif token.kind == "[":
            entries: dict[str, Value] = {}
            store(entries)
            self._push(token, f"the [ of {_cut(name.text)}", self._entry_in(entries))
        else:
            self._fail(token, f"a value for {_cut(name.text)}")

    def _item_in(self, items: list[Value], name: _Token) -> Callable[[_Token], None]:
        def put(token: _Token) -> None:
            if token.kind == "bare":
                items.extend(filter(None, token.text.split(",")))
            else:
                self._value(token, name, items.append)

        return put

    def _entry_in(self, entries: dict[str, Value]) -> Callable[[_Token], None]:
        def put(name: _Token) -> None:
            if name.kind not in _WORDS:
                self._fail(name, "a key or ]")
            first = self._behind_equals(name, next(self._tokens))
            self._value(first, name, lambda value: entries.__setitem__(name.text, value))

        return put


def _option(name: _Token, value: Value) -> Option:
    return Option(name.text, value, name.line)


def _cut(text: str) -> str:
    """A text for an error message: on one line, and short."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
