"""Header fields as spans."""

from __future__ import annotations

import pytest

from mailwake.message.headers import fields, find, unfold

HEADER = b"Subject: one\r\n two\r\nX-A : b\r\nnot a field\r\nsubject:\r\n\tthree\r\nX-Empty:\r\n"


def test_fields_cover_their_line_breaks_and_folds() -> None:
    found = fields(HEADER, 0, len(HEADER))
    assert [HEADER[field.start : field.end] for field in found] == [
        b"Subject: one\r\n two\r\n",
        b"X-A : b\r\n",
        b"subject:\r\n\tthree\r\n",
        b"X-Empty:\r\n",
    ]
    assert [HEADER[field.value_start : field.value_end] for field in found] == [
        b" one\r\n two",
        b" b",
        b"\r\n\tthree",
        b"",
    ]
    assert [field.value(HEADER) for field in found] == [b"one two", b"b", b"three", b""]


def test_find_takes_any_case_and_keeps_the_order() -> None:
    found = find(fields(HEADER, 0, len(HEADER)), b"SUBJECT")
    assert [field.name for field in found] == [b"Subject", b"subject"]
    assert find(found, b"X-A") == []


def test_fields_stay_inside_their_bounds() -> None:
    content = b"A: 1\r\nB: 2\r\n\r\nC: 3\r\n"
    assert [field.name for field in fields(content, 6, 12)] == [b"B"]


def test_bare_line_feeds_and_a_missing_last_line_break() -> None:
    content = b"A: 1\n 2\nB: 3"
    assert [(field.name, field.value(content), field.end) for field in fields(content, 0, len(content))] == [
        (b"A", b"1 2", 8),
        (b"B", b"3", 12),
    ]


@pytest.mark.parametrize(
    ("folded", "value"),
    [
        (b"a", b"a"),
        (b'{"campaign_id" :\r\n   "my_awes\r\n   ome_campaign"}', b'{"campaign_id" : "my_awes ome_campaign"}'),
        (b"a\r\n\t \tb", b"a b"),
        (b"a \r\n b", b"a  b"),
        (b"a\n b\r c", b"a b c"),
        (b"a\r\n \r\n b", b"a  b"),
    ],
)
def test_each_line_break_with_its_white_space_becomes_one_space(folded: bytes, value: bytes) -> None:
    assert unfold(folded) == value


def test_a_line_of_a_megabyte() -> None:
    content = b"X: " + b"a" * 1_000_000 + b"\r\n" + b" b\r\n" * 100_000
    (field,) = fields(content, 0, len(content))
    assert field.end == len(content)
    assert len(field.value(content)) == 1_000_000 + 2 * 100_000
