"""CSV as readers get it back, and nothing in it that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.csv_text import csv_lines


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_lines_end_as_the_standard_has_it_and_numbers_stay_numbers() -> None:
    lines = list(csv_lines(("link", "clicks"), [('a "b", c', 12), ("two\nlines", -3), (None, 0.5)]))
    assert lines == ["link,clicks\r\n", '"a ""b"", c",12\r\n', '"two\nlines",-3\r\n', ",0.5\r\n"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "\uff1d1+1", "\n", "\x00=1"]
)
def test_a_formula_becomes_text(text: str) -> None:
    (_, line) = csv_lines(("x",), [(text,)])
    assert line.startswith(("'", "\"'"))
    assert read(line)[0] == [f"'{text}"]


def test_a_heading_can_be_no_formula_either() -> None:
    assert list(csv_lines(("=x",), [])) == ["'=x\r\n"]


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers()), max_size=5))
def test_what_was_written_is_what_is_read_and_no_cell_begins_a_formula(rows: list[tuple[str, int]]) -> None:
    found = read("".join(csv_lines(("text", "number"), rows)))[1:]
    for (text, number), (cell, shown) in zip(rows, found, strict=True):
        assert cell in (text, f"'{text}")
        assert shown == str(number)
        assert not cell.strip()[:1] or cell.strip()[0] not in "=+-@"
