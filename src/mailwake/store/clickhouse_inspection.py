"""What there is in ClickHouse's tables, and whether it is as it should be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.contract import BEGINNING
from mailwake.store.clickhouse_changes import UNFINISHED
from mailwake.store.clickhouse_http import LONG_SECONDS
from mailwake.store.clickhouse_rows import values_of
from mailwake.store.clickhouse_schema import ID_SQL, VERSION, derived_sql
from mailwake.store.clickhouse_search import is_there, loads, number
from mailwake.store.contract import StoreStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.store.clickhouse_http import ClickHouseHttp

_HERE = "database = currentDatabase() AND table = 'events'"

_WHOLE = f"(SELECT * REPLACE ({ID_SQL} AS message_id) FROM events)"  # noqa: S608
# Each gives a number that has to be 0.
_CHECKS = (
    ("SELECT count() - uniqExact(event_id) FROM events FINAL", "{} events are there twice"),
    *(
        (f"SELECT count() FROM {_WHOLE} WHERE {name} <> {sql}", f"{{}} events have a wrong {name}")  # noqa: S608
        for name, sql in derived_sql().items()
    ),
)

_SHARE = 50
"""Events are counted anew when so many times as long has passed as counting took."""


class _Count(NamedTuple):
    events: int
    oldest: int | None
    newest: int | None


class Counter:
    """How many events there are, counted anew now and then: a large table is not to be counted every second.

    What this process changes is in the answer at once, what other nodes load somewhat later.
    """

    def __init__(self) -> None:
        self._count = _Count(0, None, None)
        self._until = 0.0
        self._changes = 0

    def add(self, events: int, times: Sequence[int]) -> None:
        """So many events were loaded, of these times."""
        self._changes += 1
        if events:
            known = [each for each in (self._count.oldest, self._count.newest, *times) if each is not None]
            self._count = _Count(self._count.events + events, min(known), max(known))

    def forget(self) -> None:
        """The tables have changed: count anew."""
        self._changes += 1
        self._until = 0.0

    def count(self, server: ClickHouseHttp) -> _Count:
        """All events that are there, and the oldest and newest time."""
        begun, changes = time.monotonic(), self._changes
        if begun >= self._until:
            there = is_there(loads(server.ask).done)
            sql = f"SELECT count(), min(timestamp), max(timestamp) FROM events FINAL WHERE {there.sql}"  # noqa: S608
            ((events, oldest, newest),) = values_of(server.ask(sql, there.values))
            self._count = _Count(events, oldest, newest) if events else _Count(0, None, None)
            now = time.monotonic()
            # What was loaded meanwhile, by another thread, may be in this count or not.
            self._until = now + _SHARE * (now - begun) if changes == self._changes else 0.0
        return self._count


def status(server: ClickHouseHttp, loader: int, counter: Counter) -> StoreStatus:
    """The store in figures; the memory is the server's own matter, and 0."""
    count = counter.count(server)
    octets = number(server.ask, f"SELECT sum(bytes_on_disk) FROM system.parts WHERE {_HERE}")  # noqa: S608
    rewriting = number(server.ask, f"SELECT count() FROM {UNFINISHED}")  # noqa: S608
    position = loads(server.ask).positions.get(loader, BEGINNING)
    return StoreStatus(*count, octets, 0, position, VERSION, rewriting > 0)


def findings(server: ClickHouseHttp) -> list[str]:
    """What is wrong, a line each."""
    found = []
    for table in ("events", "loads"):
        answer = server.ask(
            f"CHECK TABLE {table}", settings={"check_query_single_value_result": 0}, seconds=LONG_SECONDS
        )
        found += [f"{table}: part {part}: {said}" for part, passed, said in values_of(answer) if not passed]
    for sql, said in _CHECKS:
        ((wrong,),) = values_of(server.ask(sql, seconds=LONG_SECONDS))
        if int(wrong):
            found.append(said.format(wrong))
    return found
