"""CSV (RFC 4180) that spreadsheets show and never execute: text that would be a formula there is marked as text."""

from __future__ import annotations

import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Spreadsheets pass over white space before the sign, and some take its wide form, too.
_FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines, each with its CRLF (RFC 4180 §2); None is an empty cell, numbers stay numbers.

    Links, campaigns and addresses are what strangers have written: `=HYPERLINK(…)` must not run where the file is
    opened. Such text gets an apostrophe in front, which spreadsheets take for "this is text".
    """
    line = io.StringIO()
    writer = csv.writer(line)
    for cells in chain((head,), rows):
        writer.writerow([_cell(each) for each in cells])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
