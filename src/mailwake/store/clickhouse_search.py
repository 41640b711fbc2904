"""Searches, reports and what else is asked of ClickHouse; each a blocking call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.feed.contract import Position
from mailwake.store.clickhouse_rows import SELECTED, events_of, values_of
from mailwake.store.clickhouse_schema import LOADER
from mailwake.store.condition import FARTHEST, Condition, condition_of, together
from mailwake.store.contract import SearchPage
from mailwake.store.cursor import PageCursor
from mailwake.store.dialect import CLICKHOUSE
from mailwake.store.question import INITIAL_CURSOR
from mailwake.store.report import report as table_of
from mailwake.store.schema import LOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mailwake.store.question import Question
    from mailwake.store.report_question import ReportQuestion, ReportTable

    Ask = Callable[[str, Sequence[Any]], bytes]

_NEWEST_FIRST = "ORDER BY timestamp DESC, event_id DESC"


class Loads(NamedTuple):
    """What is loaded: of each loader, the number of its last load that is done, and its position in its feed."""

    done: Mapping[int, int]
    positions: Mapping[int, Position]


def loads(ask: Ask) -> Loads:
    """As it is now."""
    rows = values_of(ask(f"SELECT {LOADER}, {LOAD}, segment, place FROM loads FINAL ORDER BY {LOADER}", ()))  # noqa: S608
    return Loads({row[0]: row[1] for row in rows}, {row[0]: Position(row[2], row[3]) for row in rows})


def is_there(done: Mapping[int, int]) -> Condition:
    """Holds for events of loads that were done."""
    # An empty list has no type in some versions; nobody is loader 0.
    places = done or {0: 0}
    return Condition(
        f"{LOAD} <= transform({LOADER}, ?::UBIGINT[], ?::UBIGINT[], toUInt64(0))", [list(places), list(places.values())]
    )


def search(ask: Ask, question: Question, store: int) -> SearchPage:
    """The page that is asked for, of the store with this number."""
    condition = condition_of(question, CLICKHOUSE)
    if question.cursor not in ("", INITIAL_CURSOR):
        after = PageCursor.parse(question.cursor, question, store)
        return _page(ask, together(condition, is_there(dict(after.snapshots))), question, after)
    done = loads(ask).done
    condition = together(condition, is_there(done))
    total = number(ask, f"SELECT count() FROM events FINAL WHERE {condition.sql}", condition.values)  # noqa: S608
    if not total:
        return SearchPage([], 0, "")
    first = PageCursor(store, question.fingerprint(), total, 0, FARTHEST, 0, tuple(done.items()))
    return _page(ask, condition, question, first)


def _page(ask: Ask, condition: Condition, question: Question, after: PageCursor) -> SearchPage:
    place = Condition(
        "timestamp <= ?::BIGINT AND (timestamp < ?::BIGINT OR event_id < ?::UBIGINT)",
        [after.timestamp, after.timestamp, after.event_id],
    )
    where = together(condition, place)
    answer = ask(
        f"SELECT {SELECTED} FROM events WHERE {where.sql} {_NEWEST_FIRST}"  # noqa: S608
        f" LIMIT 1 BY event_id LIMIT {question.per_page + 1:d}",
        where.values,
    )
    events = events_of(answer)
    if len(events) <= question.per_page:
        return SearchPage(events, after.total, "")
    events.pop()
    following = after._replace(timestamp=events[-1].timestamp, event_id=events[-1].event_id)
    return SearchPage(events, after.total, str(following))


def report(ask: Ask, question: ReportQuestion) -> ReportTable:
    """Exact counts."""
    there = is_there(loads(ask).done)
    return table_of(lambda asked: values_of(ask(asked.sql, asked.values)), question, CLICKHOUSE, there)


def known(ask: Ask, ids: Iterable[int], times: tuple[int, int] | None = None) -> set[int]:
    """Those of these ids that events have, of loads that are not done among them; `times` is first and last."""
    wanted = sorted(set(ids))
    if not wanted:
        return set()
    span = "" if times is None else f"timestamp BETWEEN {times[0]:d} AND {times[1]:d} AND "
    # They are numbers of ours, so they may stand in the text; as values they would be too long for the server.
    found = ask(
        f"SELECT DISTINCT event_id FROM events WHERE {span}event_id BETWEEN {wanted[0]:d} AND {wanted[-1]:d}"  # noqa: S608
        f" AND event_id IN ({', '.join(map(str, wanted))})",
        (),
    )
    return {row[0] for row in values_of(found)}


def number(ask: Ask, sql: str, values: Sequence[Any] = ()) -> int:
    """The one number that is the answer."""
    ((found,),) = values_of(ask(sql, values))
    return int(found)
