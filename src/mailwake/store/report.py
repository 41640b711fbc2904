"""A report as SQL: one scan for what is counted by events, one for messages, one for links, put together by key.

What is counted by events is counted in two steps: at first events that agree in their key and in whatever the metrics
ask about (`_ASKED`), which are some thousand groups; then these groups, metric by metric. That is cheaper than asking
each event about each metric. Where the key is a time, the first step has a coarser one, of which local time is made.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailwake.links.body import NOBODY
from mailwake.store.condition import Condition, condition_of, together
from mailwake.store.measures import CLICKED, CUTS, MEASURES, Counted, Measure, in_cut
from mailwake.store.report_question import DAY, HOUR, OF_TIME, WEEK, By, ReportRow, ReportTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mailwake.store.dialect import Dialect
    from mailwake.store.report_question import ReportQuestion

    Rows = Sequence[Sequence[Any]]

_ANY_MARK = "marks <> 0"
_MONDAY = 3 * DAY
"""1970 began on a Thursday."""

_LONG_AGO = 10_000 * WEEK
"""So long before 1970 a time may be."""

_ASKED = ("type", "marks", "num_retries", "bounce_class", "is_prefetched", "is_bot")
"""What conditions of metrics are about: columns of few values."""

_COARSE = "about"
"""The beginning of a span of time that lies within one span of the question's."""

_GROUPED = {
    Counted.MESSAGES: ("transmission_id", "recipient_index"),
    Counted.LINKS: ("rcpt_to", "target_link_name", "target_link_url"),
}
"""The columns that make up what is counted once."""

_KNOWN = {
    Counted.MESSAGES: f"transmission_id > 0 AND recipient_index <> {NOBODY}",
    Counted.LINKS: "rcpt_to <> ''",
}
"""Anonymous events, which nobody can join to a message or a person, cannot be counted once."""


def report_sql(question: ReportQuestion, dialect: Dialect, there: Condition | None = None) -> Condition:
    """The statement, and its values; its rows are keys, numbers, and how many groups there are.

    `there` is what besides must hold for an event that counts.
    """
    measures = [MEASURES[name] for name in question.metrics]
    where = together(condition_of(question.where, dialect), *([there] if there else []))
    scans = [
        _Scan(question, measures, where.sql, dialect).sql(counted)
        for counted in (Counted.EVENTS, Counted.MESSAGES, Counted.LINKS)
        if any(_counted(each) is counted for each in measures)
    ]
    keys = _key_names(question)
    sums = [f"CAST(sum(m{place}) AS BIGINT) AS n{place}" for place in range(len(measures))]
    scanned = " UNION ALL ".join(scans)
    grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
    added = f"SELECT {', '.join((*keys, *sums))} FROM ({scanned}) AS scans{grouped}"  # noqa: S608
    columns = ", ".join((*keys, *(f"n{place}" for place in range(len(measures)))))
    sql = (
        f"SELECT {columns}, count(*) OVER () AS groups FROM ({added}) AS counted"  # noqa: S608
        f" ORDER BY {', '.join(_order(question, keys))} LIMIT {question.limit:d} OFFSET {question.offset:d}"
    )
    return Condition(sql, where.values * len(scans))


def report(
    rows_of: Callable[[Condition], Rows], question: ReportQuestion, dialect: Dialect, there: Condition | None = None
) -> ReportTable:
    """The table, of the rows that a statement gives; `there` is what besides must hold for an event that counts."""
    table = _table_of(rows_of(report_sql(question, dialect, there)), question)
    if table.rows or not question.offset:
        return table
    # How many groups there are stands beside rows, and behind the last one there is none.
    first = replace(question, offset=0, limit=1)
    return ReportTable([], _table_of(rows_of(report_sql(first, dialect, there)), first).groups)


def _table_of(rows: Rows, question: ReportQuestion) -> ReportTable:
    keys = len(question.by.columns)
    # Of no event at all there is one row still: its sums are nothing, which is 0.
    found = [
        ReportRow(_key(row[:keys], question.by), tuple(int(number or 0) for number in row[keys:-1])) for row in rows
    ]
    return ReportTable(found, int(rows[0][-1]) if rows else 0)


def _key(values: Sequence[Any], by: By) -> tuple[str | int, ...]:
    if by is By.WEEK_HOUR:
        return (int(values[0]) // HOUR,)
    return tuple(int(value) if by is By.TIME else str(value) for value in values)


def _order(question: ReportQuestion, keys: Sequence[str]) -> Iterator[str]:
    if question.order_by:
        place = question.metrics.index(question.order_by)
        yield f"n{place} {'DESC' if question.descending else 'ASC'}"
    yield from (f"{key} ASC" for key in keys)
    if not keys and not question.order_by:
        yield "n0"


def _counted(measure: Measure) -> Counted:
    return Counted.EVENTS if measure.counted is Counted.SUM else measure.counted


class _Scan:
    """One pass over the events that the question is about."""

    def __init__(self, question: ReportQuestion, measures: Sequence[Measure], where: str, dialect: Dialect) -> None:
        self._question = question
        self._measures = measures
        self._where = where
        self._dialect = dialect
        self._names = _key_names(question)
        self._keys = self._named(_key_sql(question, dialect))

    def sql(self, counted: Counted) -> str:
        """Rows of keys and numbers, 0 for what this scan does not count."""
        return self._events() if counted is Counted.EVENTS else self._once(counted)

    def _events(self) -> str:
        counted = [each for each in self._measures if _counted(each) is Counted.EVENTS]
        conditions = " ".join(map(self._condition, counted))
        grain, names = self._grain()
        names += tuple(name for name in _ASKED if name in conditions)
        sums = [f"sum(coalesce({name}, 0)) AS all_{name}" for name in sorted({each.summed for each in counted} - {""})]
        alike = (
            f"SELECT {', '.join((*grain, *names[len(grain) :], 'count(*) AS number', *sums))}"  # noqa: S608
            f" FROM {self._source(self._where)} GROUP BY {', '.join(names)}"
        )
        keys = self._named(_key_sql(self._question, self._dialect, _COARSE))
        numbers = [self._number(place, each) for place, each in enumerate(self._measures)]
        return f"SELECT {', '.join((*keys, *numbers))} FROM ({alike}) AS alike{self._grouped()}"  # noqa: S608

    def _grain(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """By what events are told apart at first: expressions, and their names."""
        if self._question.by not in OF_TIME:
            return self._question.by.columns, self._question.by.columns
        past = _past("timestamp", _whole(self._question))
        return (f"timestamp - {past} AS {_COARSE}",), (_COARSE,)

    def _condition(self, measure: Measure) -> str:
        return measure.condition or self._has("marks", measure.marks)

    def _number(self, place: int, measure: Measure) -> str:
        if _counted(measure) is not Counted.EVENTS:
            return f"0 AS m{place}"
        number = f"all_{measure.summed}" if measure.summed else "number"
        return f"CAST(sum(CASE WHEN {self._condition(measure)} THEN {number} ELSE 0 END) AS BIGINT) AS m{place}"

    def _once(self, counted: Counted) -> str:
        what = ", ".join((*self._keys, *_GROUPED[counted]))
        names = ", ".join((*self._names, *_GROUPED[counted]))
        where = f"{self._where} AND {_ANY_MARK} AND {_KNOWN[counted]}"
        if counted is Counted.LINKS:
            where += f" AND {self._has('marks', in_cut(CLICKED, CUTS[0]))}"
        each = (
            f"SELECT {what}, {self._dialect.all_bits.format('marks')} AS together"  # noqa: S608
            f" FROM {self._source(where)} GROUP BY {names}"
        )
        numbers = [
            f"count(*) FILTER (WHERE {self._has('together', measure.marks)}) AS m{place}"
            if measure.counted is counted
            else f"0 AS m{place}"
            for place, measure in enumerate(self._measures)
        ]
        return f"SELECT {', '.join((*self._names, *numbers))} FROM ({each}) AS each_once{self._grouped()}"  # noqa: S608

    def _has(self, number: str, marks: int) -> str:
        return self._dialect.has_bits.format(number, marks)

    def _source(self, where: str) -> str:
        if self._question.by in (By.LINK, By.LINK_NAME):
            where += f" AND {self._has('marks', in_cut(CLICKED, CUTS[0]))}"
        if self._question.by is By.TAG:
            return f"(SELECT *, {self._dialect.each_tag} AS tag FROM {self._dialect.events} WHERE {where}) AS tagged"  # noqa: S608
        return f"{self._dialect.events} WHERE {where}"

    def _grouped(self) -> str:
        return f" GROUP BY {', '.join(self._names)}" if self._names else ""

    def _named(self, keys: Sequence[str]) -> list[str]:
        return [f"{sql} AS {name}" for sql, name in zip(keys, self._names, strict=True)]


def _key_names(question: ReportQuestion) -> list[str]:
    """What the parts of a key are called in the statement."""
    return [f"k{place}" for place in range(len(question.by.columns))]


def _whole(question: ReportQuestion) -> int:
    """The longest spans, counted from 1970, of which each lies within one span of the question's."""
    width = HOUR if question.by is By.WEEK_HOUR else DAY if question.spans.months else question.spans.width
    offsets = question.local_time.offsets
    return math.gcd(width, DAY, *(each.ahead for each in offsets), *(each.since for each in offsets[1:]))


def _key_sql(question: ReportQuestion, dialect: Dialect, time: str = "timestamp") -> tuple[str, ...]:
    """The key of an event, of which `time` is the column of its time."""
    local = f"({time} + {_ahead(question, time)})"
    if question.by is By.WEEK_HOUR:
        # The hour's beginning in the week, in milliseconds, which is made an hour by whoever reads the row.
        return (_past(f"({local} - {_past(local, HOUR)} + {_MONDAY})", WEEK),)
    if question.by is not By.TIME:
        return question.by.columns
    spans = question.spans
    if spans.months:
        return (dialect.month.format(local),)
    shift = _MONDAY if spans.width == WEEK else 0
    past = _past(f"({local} + {shift})", spans.width)
    return (f"{local} - {past}" if spans.is_local else f"{time} - {past}",)


def _past(time: str, width: int) -> str:
    """How far a time is behind the beginning of its span of this width, which divides a week; before 1970 as well."""
    # An engine's remainder of a negative number is negative.
    return f"(({time} + {_LONG_AGO}) % {width:d})"


def _ahead(question: ReportQuestion, time: str) -> str:
    """How far local time is ahead at `time`."""
    (_, first), *later = question.local_time.offsets
    if not later:
        return f"{first:d}"
    steps, ahead = [], first
    for since, following in later:
        steps.append(f"WHEN {time} < {since:d} THEN {ahead:d}")
        ahead = following
    return f"CASE {' '.join(steps)} ELSE {ahead:d} END"
