"""Markdown for the generated reference: tables whose cells may hold anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with its line ends; ValueError for a row that has not one cell for each of `head`."""
    lines = [_row(head), "|" + "---|" * len(head)]
    for cells in rows:
        if len(cells) != len(head):
            raise ValueError(f"{len(cells)} cells under {len(head)} headings: {cells}")
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """`text` as a code span, whatever stands in it; "" stays empty."""
    if not text:
        return ""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def _row(cells: Sequence[str]) -> str:
    # A bar would end the cell even inside a code span, and no cell can hold a line break.
    return "| " + " | ".join(" ".join(cell.split("\n")).replace("|", "\\|") for cell in cells) + " |"
