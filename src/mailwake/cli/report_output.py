"""Reports for people: a funnel, tables with bars, lines of blocks; on a terminal and in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from mailwake.cli.report_question import CutName, RowsBy, shown_period
from mailwake.dashboard.formats import THIN_SPACE, number, share
from mailwake.links.body import HONEYPOT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from mailwake.cli.report_question import Asked

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_FUNNEL_WIDTH, _BAR_WIDTH, _LINE_WIDTH = 40, 20, 60
_KEY_WIDTH, _SHARE_WIDTH, _GAP = 30, 7, 2
"""Columns of a name that are kept for it, of a share, and between columns."""

_HIDDEN = "(hidden, only machines find it)"

_CUT_WORDS = {
    CutName.ALL: "all opens and clicks",
    CutName.NONPREFETCHED: "without prefetch",
    CutName.PEOPLE: "people only",
}

_HEADS = {
    "count_targeted": "targeted",
    "count_injected": "injected",
    "count_accepted": "accepted",
    "count_bounce": "bounced",
    "count_rejected": "rejected",
    "unique_confirmed_opened": "opened",
    "unique_clicked": "clicked",
    "rendered": "opens",
    "clicked": "clicks",
    "unsubscribe": "unsubs",
}


def bar(part: int, whole: int, width: int, *, ascii_only: bool = False) -> str:
    """A bar of blocks; what is not nothing is never empty."""
    if whole <= 0 or part <= 0:
        return ""
    eighths = max(1, round(min(part / whole, 1) * width * 8))
    if ascii_only:
        return "#" * max(1, eighths // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def line_of_blocks(numbers: Sequence[int], width: int = _LINE_WIDTH, *, ascii_only: bool = False) -> str:
    """A small chart of one line; more numbers than columns are added up in groups."""
    together = -(-len(numbers) // width)
    sums = [sum(numbers[start : start + together]) for start in range(0, len(numbers), together or 1)]
    most, levels = max(sums, default=0), "_.-=#" if ascii_only else _LEVELS
    if not most:
        return levels[0] * len(sums)
    return "".join(levels[0] if not each else levels[round(each / most * (len(levels) - 2)) + 1] for each in sums)


def heading(asked: Asked) -> Text:
    """What the report is about."""
    made = Text(shown_period(asked), style="bold")
    made.append(f", {_CUT_WORDS[asked.cut]}", style="not bold")
    for name, values in asked.filters.items():
        if values:
            made.append(f"\n{name.replace('_', ' ')}: {clean(', '.join(values))}", style="not bold")
    return made


def funnel(asked: Asked, row: Mapping[str, int], console: Console) -> Iterator[RenderableType]:
    """From targeted to clicked."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    table.add_column(no_wrap=True, style="cyan")
    targeted = row["count_targeted"]
    for label, metric in (
        ("Targeted", "count_targeted"),
        ("Accepted", "count_accepted"),
        ("Opened, confirmed", asked.opened),
        ("Clicked", asked.clicked),
    ):
        shown = bar(row[metric], targeted, _FUNNEL_WIDTH, ascii_only=console.options.ascii_only)
        table.add_row(label, _number(row[metric]), _share(row[metric], targeted), shown)
    yield table
    opens, clicks, left = (asked.metric(name) for name in ("rendered", "clicked", "unsubscribe"))
    besides = ("count_bounce", "count_rejected", opens, clicks, left)
    yield Text(", ".join(f"{head(metric)} {_number(row[metric])}" for metric in besides), style="dim")
    if not row[asked.opened] and (row[opens] or row[clicks]):
        yield Text("these opens and clicks are of anonymous copies: nobody knows how many messages they are of")


def over_time(asked: Asked, points: Sequence[Mapping[str, Any]], precision: str, console: Console) -> Table:
    """Two small charts below the funnel."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, metric, style in (("opened", asked.opened, "cyan"), ("clicked", asked.clicked, "green")):
        numbers = [point[metric] for point in points]
        chart = line_of_blocks(numbers, ascii_only=console.options.ascii_only)
        most = f"at most {_number(max(numbers, default=0))} in a {precision}" if precision.isalpha() else ""
        table.add_row(label, Text(chart, style=style), Text(most, style="dim"))
    return table


def rows_table(asked: Asked, results: Sequence[Mapping[str, Any]], total: int | None, console: Console) -> Table:
    """The rows, their shares and a bar; `total` is what shares of links are of."""
    assert asked.by is not None
    fields = [name for name in (results[0] if results else ()) if name not in asked.counted]
    chart = asked.order_by if asked.order_by in asked.counted else _charted(asked)
    most = max((row[chart] for row in results), default=0)
    shares, width = _fitting(asked, results, fields, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in fields:
        table.add_column(_field_head(name), overflow="fold", min_width=min(_widest(asked, results, name), _KEY_WIDTH))
    for metric in asked.counted:
        table.add_column(head(metric), justify="right", no_wrap=True)
        if metric in shares:
            table.add_column("%" if asked.by.is_link else "rate", justify="right", no_wrap=True, style="dim")
    if width:
        table.add_column(head(chart), no_wrap=True, style="cyan", header_style="dim")
    for row in results:
        cells: list[RenderableType] = [Text(_key(asked.by, row[name])) for name in fields]
        for metric in asked.counted:
            cells.append(_number(row[metric]))
            if metric in shares:
                cells.append(_share(row[metric], total if total is not None else row["count_accepted"]))
        drawn = [bar(row[chart], most, width, ascii_only=console.options.ascii_only)] if width else []
        table.add_row(*cells, *drawn)
    return table


def _fitting(
    asked: Asked, results: Sequence[Mapping[str, Any]], fields: Sequence[str], columns: int
) -> tuple[tuple[str, ...], int]:
    """The metrics with shares, and the width of bars, that a terminal has room for: numbers and names come first."""
    names = sum(min(_widest(asked, results, name), _KEY_WIDTH) + _GAP for name in fields)
    numbers = sum(max(len(head(each)), *(len(_number(row[each])) for row in results)) + _GAP for each in asked.counted)
    shares = _shares(asked)
    for width in (_BAR_WIDTH, _BAR_WIDTH // 2, 0):
        if names + numbers + len(shares) * (_SHARE_WIDTH + _GAP) + width <= columns:
            return shares, width
    return (), 0


def _widest(asked: Asked, results: Sequence[Mapping[str, Any]], name: str) -> int:
    assert asked.by is not None
    return max(len(_field_head(name)), *(len(_key(asked.by, row[name])) for row in results))


def _shares(asked: Asked) -> tuple[str, ...]:
    assert asked.by is not None
    if asked.by.is_link:
        return (asked.metric("clicked"),)
    # Who opens on a day was mostly written to on another: a share of that day's mail says nothing.
    return () if asked.by.is_time or "count_accepted" not in asked.counted else (asked.opened, asked.clicked)


def _charted(asked: Asked) -> str:
    return asked.opened if asked.opened in asked.counted else asked.counted[0]


def head(metric: str) -> str:
    """A metric's name above a column."""
    short = metric.removeprefix("count_").removeprefix("nonprefetched_").removeprefix("human_")
    return _HEADS.get(metric) or _HEADS.get(short) or metric


def _field_head(name: str) -> str:
    return {"ts": "from", "campaign_id": "campaign", "customer_id": "customer", "link_name": "link"}.get(
        name, name.replace("_", " ")
    )


def _key(by: RowsBy, value: str) -> str:
    if by.is_time:
        return value[:16].replace("T", " ") + (value[-6:] if by is RowsBy.HOUR else "")
    if by.is_link and value == HONEYPOT_NAME:
        return _HIDDEN
    return clean(value) or "(none)"


def clean(text: str) -> str:
    """Text of strangers for a terminal: nothing in it moves the cursor or changes colours."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _number(value: int) -> str:
    return number(value).replace(THIN_SPACE, " ")


def _share(part: int, whole: int) -> str:
    return share(part, whole).replace(THIN_SPACE, " ")
