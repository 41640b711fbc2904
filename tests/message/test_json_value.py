import pytest

from mailwake.message.json_value import DEEPEST, NotJSON, compact_json, read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' {"a" : [1, 2.5, true, null, "x"]}\t', {"a": [1, 2.5, True, None, "x"]}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"é"'.encode(), "é"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"[" * DEEPEST + b"]" * DEEPEST, None),
        (b'"' + b"[" * 5000 + b'"', "[" * 5000),
        (b'["\\"' + b"[" * 5000 + b'"]', ['"' + "[" * 5000]),
        (b"[" + b"[],{}," * 500 + b"1]", [*([[], {}] * 500), 1]),
    ],
)
def test_json(text: bytes, value: object) -> None:
    read = read_json(text)
    assert read == value or value is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1 2]",
        b"01",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b'"a\tb"',
        b'"a\nb"',
        b'"\\x41"',
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ud800\\u0041"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"\xa0{}",
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b"[" * 65536,
        b'{"a":' * 13000,
        b"[" * 100 + b'"' + b'\\"' * 32000,
        b"[" * 100 + b'"' + b"\\" * 32001,
    ],
)
def test_not_json(text: bytes) -> None:
    with pytest.raises(NotJSON):
        read_json(text)


def test_compact() -> None:
    assert compact_json(read_json('{ "é" : [ 1, "\\u00e9" ] }'.encode())) == '{"é":[1,"é"]}'.encode()
