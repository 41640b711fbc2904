"""The reference of what reports count, made from the table of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.markdown import code, table
from mailwake.reports.uncounted import UNCOUNTED
from mailwake.store.filters import Cut
from mailwake.store.measures import MEASURES, Counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.store.measures import Measure

_INTRODUCTION = """\
# What reports count

The metrics of [the API](api.md#metrics), the dashboard and `mailwake report`, by their names. Those that SparkPost
has are called as there. Counts are exact. [What they mean for your mail](../metrics.md) is on a page of its own.

"""

_COUNTED = {
    Counted.EVENTS: "events",
    Counted.MESSAGES: "messages, each once",
    Counted.LINKS: "recipient and link, each pair once",
    Counted.SUM: "a sum",
}

_TITLES = {
    Cut.ALL: ("Opens, clicks and unsubscriptions", "All of them, whoever made them."),
    Cut.NOT_PREFETCHED: (
        "Without prefetch",
        "The same without what a mail program or proxy fetched before anybody looked (`is_prefetched`).",
    ),
    Cut.PEOPLE: (
        "People only",
        "The same without prefetches, and without what machines did (`is_bot`): [how they are told](../bots.md).",
    ),
}


def counts_reference() -> str:
    """The page."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    yield "## What became of mail\n\nA message to two recipients is two copies.\n\n"
    yield _table(each for each in MEASURES.values() if cut_of(each) is None)
    for cut, (title, text) in _TITLES.items():
        yield f"\n## {title}\n\n{text}\n\n"
        yield _table(each for each in MEASURES.values() if cut_of(each) is cut)
    yield "\n## What SparkPost has besides\n\nThese are answered with 400 and the reason.\n\n"
    yield table(("metric", "why it is not counted"), [(code(name), f"{why}.") for name, why in UNCOUNTED.items()])


def cut_of(measure: Measure) -> Cut | None:
    """Whose engagement a metric counts; None for what becomes of mail."""
    name = measure.name.removeprefix("count_")
    for cut in (Cut.PEOPLE, Cut.NOT_PREFETCHED):
        if name.startswith(cut.value):
            return cut
    return Cut.ALL if f"count_{Cut.PEOPLE.value}{name}" in MEASURES else None


def _table(measures: Iterator[Measure]) -> str:
    rows = [(code(each.name), _COUNTED[each.counted], "yes" if each.is_of_links else "", each.doc) for each in measures]
    return table(("metric", "counts", "for each link", "meaning"), rows)
