from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.config.momentum_syntax import MAX_DEPTH, Include, MomentumError, Option, Stanza, Statement, Value, parse


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        ("# nothing but a comment", []),
        ("a = b", [Option("a", "b", 1)]),
        ("a=b", [Option("a", "b", 1)]),
        ("a\n=\nb", [Option("a", "b", 1)]),
        ("a = 1 b = 2", [Option("a", "1", 1), Option("b", "2", 1)]),
        ('a = "b c # d { } = /* e */"', [Option("a", "b c # d { } = /* e */", 1)]),
        ("a = 'b \"c\"'", [Option("a", 'b "c"', 1)]),
        (r'a = "b \"c\" \\ \d"', [Option("a", r'b "c" \ \d', 1)]),
        ('a = ""', [Option("a", "", 1)]),
        ('a = "b\nc"\nd = e', [Option("a", "b\nc", 1), Option("d", "e", 3)]),
        ('"a" = b', [Option("a", "b", 1)]),
        ("a = b # c\nd = e", [Option("a", "b", 1), Option("d", "e", 2)]),
        ("a = b#c", [Option("a", "b", 1)]),
        ("/* a = b\n{ */ c = d /**/ e = f", [Option("c", "d", 2), Option("e", "f", 2)]),
        ("a = b/* c */", [Option("a", "b", 1)]),
        ("a = 10.0.0.0/8", [Option("a", "10.0.0.0/8", 1)]),
        ("a = ()", [Option("a", [], 1)]),
        ('a = ( "b c" d )', [Option("a", ["b c", "d"], 1)]),
        ('a = ( "b", c,d , "e,f" )', [Option("a", ["b", "c", "d", "e,f"], 1)]),
        ("a = ( 127.0.0.0/8 10.10.10.0/24 )", [Option("a", ["127.0.0.0/8", "10.10.10.0/24"], 1)]),
        ("a = (b (c) [d = e])", [Option("a", ["b", ["c"], {"d": "e"}], 1)]),
        ('a = [ b = c "d e" = "f" ]', [Option("a", {"b": "c", "d e": "f"}, 1)]),
        ("a = [ b = ( c ) d = [ e = f ] ]", [Option("a", {"b": ["c"], "d": {"e": "f"}}, 1)]),
        ("map [ 0.0.0.1 = b ]", [Option("map", {"0.0.0.1": "b"}, 1)]),
        ("a {}", [Stanza("a", None, 1)]),
        ('a ""{}', [Stanza("a", "", 1)]),
        ("Domain *.example.com {}", [Stanza("Domain", "*.example.com", 1)]),
        ('a "b"\n{\nc = d\n}\n', [Stanza("a", "b", 1, [Option("c", "d", 3)])]),
        ("a { b { c = d } }", [Stanza("a", None, 1, [Stanza("b", None, 1, [Option("c", "d", 1)])])]),
        ("a { } b = c", [Stanza("a", None, 1), Option("b", "c", 1)]),
        ('include "b.conf"', [Include("b.conf", 1)]),
        ('a { Readonly_Include b.conf }', [Stanza("a", None, 1, [Include("b.conf", 1)])]),
        ("include = yes", [Option("include", "yes", 1)]),
        ("a = b\r\nc = d\r\n", [Option("a", "b", 1), Option("c", "d", 2)]),
    ],
)  # fmt: skip
def test_syntax(text: str, statements: list[Statement]) -> None:
    assert parse(text) == statements


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a {\n b = c\n", "3: expected } for the { of a of line 1, but the file ends"),
        ('Listen ":25" {', '1: expected } for the { of Listen ":25" of line 1, but the file ends'),
        ("a = b\n}", "2: expected an option, a stanza or the end, but } stands there"),
        ("a { = }", "1: expected an option, a stanza or }, but = stands there"),
        ("a = ", "1: expected a value for a, but the file ends"),
        ("a = }", "1: expected a value for a, but } stands there"),
        ("a", "1: expected = or { behind a, but the file ends"),
        ("\na )", "2: expected = or { behind a, but ) stands there"),
        ("a b c", '1: expected { behind a "b", but c stands there'),
        ('a = b "c d"', "1: expected = or { behind c d, but the file ends"),
        ("a = b = c", "1: expected an option, a stanza or the end, but = stands there"),
        ("a = (b\n", "2: expected ) for the ( of a of line 1, but the file ends"),
        ("a = (b]", "1: expected a value for a, but ] stands there"),
        ("a = [ b ]", "1: expected = or { behind b, but ] stands there"),
        ("a = [ ( ]", "1: expected a key or ], but ( stands there"),
        ("a = [ b = ]", "1: expected a value for b, but ] stands there"),
        ('\n\na = "b\n', '3: the text in "quotes" that begins here has no end'),
        ("a = 'b", "1: the text in 'quotes' that begins here has no end"),
        ("a = b\n/* c\n\n", "2: the comment that begins here has no end"),
        ("include", "1: expected = or { behind include, but the file ends"),
        ('{ "', "1: expected an option, a stanza or the end, but { stands there"),
        ("a\x00\x07 }", "1: expected = or { behind a��, but } stands there"),
        ("x" * 100 + " }", f"1: expected = or {{ behind {'x' * 37}..., but }} stands there"),
    ],
)
def test_mistakes_say_the_line_and_what_was_expected(text: str, problem: str) -> None:
    with pytest.raises(MomentumError) as caught:
        parse(text, "etc/ecelerity.conf")
    assert str(caught.value) == f"etc/ecelerity.conf:{problem}"


@pytest.mark.parametrize(("start", "nested"), [("", "a {"), ("a = ", "("), ("a ", "[ b "), ("a = [", " b = [")])
def test_nesting_has_a_limit_and_costs_no_stack(start: str, nested: str) -> None:
    with pytest.raises(MomentumError, match=f"1: more than {MAX_DEPTH} brackets are open inside each other"):
        parse(start + nested * 100_000)
    assert parse("a {" * MAX_DEPTH + "}" * MAX_DEPTH)


_PIECES = st.sampled_from(
    ["{", "}", "[", "]", "(", ")", "=", "#", '"', "'", "\\", "/*", "*/", "\n", " ", ",", "a", "include", "é", "\x00"]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join)))
def test_any_text_is_parsed_or_refused_by_its_own_error(text: str) -> None:
    with suppress(MomentumError):
        parse(text)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_errors_are_one_line_with_file_and_line(text: str) -> None:
    found = ""
    try:
        parse(text)
    except MomentumError as error:
        found = str(error)
    assert not found or (found.startswith("ecelerity.conf:") and found.isprintable())


_NAMES = st.text("abcXYZ_019", min_size=1, max_size=8).filter(lambda name: "include" not in name)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), max_size=12)
_VALUES: st.SearchStrategy[Value] = st.recursive(
    _TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=5
)
_TREES = st.recursive(
    st.lists(st.tuples(_NAMES, _VALUES), max_size=3),
    lambda inner: st.lists(st.tuples(_NAMES, st.none() | _TEXTS, inner), max_size=3),
    max_leaves=8,
)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _value(value: Value) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"( {' '.join(map(_value, value))} )"
    return f"[ {' '.join(f'{key} = {_value(inner)}' for key, inner in value.items())} ]"


def _written(tree: list[tuple[object, ...]]) -> str:
    lines = []
    for entry in tree:
        if len(entry) == 2:
            lines.append(f"{entry[0]} = {_value(entry[1])}")  # type: ignore[arg-type]
        else:
            instance = "" if entry[1] is None else _quoted(str(entry[1]))
            lines.append(f"{entry[0]} {instance} {{ # comment\n{_written(entry[2])}\n}}")  # type: ignore[arg-type]
    return "\n".join(lines)


def _read(statements: list[Statement]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for statement in statements:
        if isinstance(statement, Option):
            found.append((statement.name, statement.value))
        elif isinstance(statement, Stanza):
            found.append((statement.name, statement.instance, _read(statement.body)))
    return found


@given(_TREES)
def test_what_is_written_is_read(tree: list[tuple[object, ...]]) -> None:
    assert _read(parse(_written(tree))) == tree
