"""What changes the tables in ClickHouse: each a blocking call, one at a time in this process."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailwake.store.clickhouse_http import LONG_SECONDS
from mailwake.store.clickhouse_rows import add, values_of
from mailwake.store.clickhouse_schema import LOADER
from mailwake.store.clickhouse_search import known, loads, number
from mailwake.store.contract import Loaded, StoreError, StoreUnavailableError
from mailwake.store.schema import LOAD, key_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Sequence

    from mailwake.events.model import Event
    from mailwake.feed.contract import Position
    from mailwake.store.clickhouse_http import ClickHouseHttp

UNFINISHED = "system.mutations WHERE database = currentDatabase() AND table = 'events' AND NOT is_done"
"""Changes of rows that the server has still to make."""

_AT_ONCE = 500
"""Recipients that one statement erases."""

_LONGEST_PAUSE = 1.0


def load(server: ClickHouseHttp, loader: int, events: Sequence[Event], position: Position) -> Loaded:
    """Add those events that are not there, then say that they are, and where the feed goes on.

    Cut short before the last step, nothing of it is seen; what was added is known when it is given again.
    """
    new = _new(server, events)
    following = loads(server.ask).done.get(loader, 0) + 1
    if new:
        add(server, new, loader, following)
    server.ask(
        # All of them are numbers, and an INSERT of VALUES takes no parameters in older versions.
        f"INSERT INTO loads ({LOADER}, {LOAD}, segment, place) SETTINGS async_insert = 0"  # noqa: S608
        f" VALUES ({loader:d}, {following:d}, {position[0]:d}, {position[1]:d})"
    )
    return Loaded(len(new), len(events) - len(new))


def _new(server: ClickHouseHttp, events: Sequence[Event]) -> list[Event]:
    by_id: dict[int, Event] = {}
    for event in events:
        by_id.setdefault(event.event_id, event)
    if by_id:
        times = [event.timestamp for event in by_id.values()]
        for event_id in known(server.ask, by_id, (min(times), max(times))):
            del by_id[event_id]
    return list(by_id.values())


def erase(server: ClickHouseHttp, recipients: Collection[str], stop: threading.Event) -> int:
    """Delete their events, and have the parts that held them written anew without them; how many there were.

    The server removes the former parts within a minute. Its list of such statements names nobody: it has hashes.
    StoreUnavailableError when `stop` is set meanwhile, StoreError when the server cannot do it; it goes on trying.
    """
    names = sorted({recipient.lower() for recipient in recipients})
    erased = 0
    for start in range(0, len(names), _AT_ONCE):
        condition = _of(names[start : start + _AT_ONCE])
        erased += (found := number(server.ask, f"SELECT count() FROM events FINAL WHERE {condition}"))  # noqa: S608
        if found:
            server.ask(f"ALTER TABLE events DELETE WHERE {condition}", settings={"mutations_sync": 0, "log_queries": 0})
            _wait_until_rewritten(server, stop)
    return erased


def _wait_until_rewritten(server: ClickHouseHttp, stop: threading.Event) -> None:
    pause = 0.01
    while unfinished := values_of(server.ask(f"SELECT latest_fail_reason FROM {UNFINISHED}")):  # noqa: S608
        for (reason,) in unfinished:
            if reason:
                raise StoreError(f"ClickHouse cannot erase yet, and goes on trying: {reason[:300]}")
        if stop.wait(pause):
            raise StoreUnavailableError("the store is closed; ClickHouse erases on")
        pause = min(2 * pause, _LONGEST_PAUSE)


def _of(names: Sequence[str]) -> str:
    # The text of the statement is kept by the server for a while, so nothing of the person stands in it.
    keys = ", ".join(str(key_of(name)) for name in names)
    hashes = ", ".join(f"unhex('{hashlib.sha256(name.encode()).hexdigest()}')" for name in names)
    return f"recipient_key IN ({keys}) AND SHA256(rcpt_to) IN ({hashes})"


def forget_before(server: ClickHouseHttp, time_ms: int) -> int:
    """Delete events of before this time: whole months at once, and what is left by marking rows."""
    forgotten = number(server.ask, "SELECT count() FROM events FINAL WHERE timestamp < ?::BIGINT", [time_ms])
    if not forgotten:
        return 0
    month = datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y%m")
    partitions = server.ask(
        "SELECT DISTINCT partition_id FROM system.parts WHERE database = currentDatabase() AND table = 'events'"
        " AND active AND length(partition_id) = 6 AND partition_id < ?::VARCHAR",
        [month],
    )
    for partition in partitions.decode().split():
        server.ask(f"ALTER TABLE events DROP PARTITION ID '{partition.strip('[]').strip(chr(34))}'")
    server.ask(
        f"DELETE FROM events WHERE timestamp < {time_ms:d}",  # noqa: S608  (a number)
        settings={"lightweight_deletes_sync": 2},
        seconds=LONG_SECONDS,
    )
    return forgotten
