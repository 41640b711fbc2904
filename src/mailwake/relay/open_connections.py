"""The open connections of a pool, by how many transactions each has in hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.relay.connection import Connection
    from mailwake.relay.settings import RelaySettings

_Level = dict["Connection", None]


@dataclass(slots=True, eq=False)
class _Place:
    number: int
    most: int
    until: float
    level: _Level | None = None


class OpenConnections:
    """Finds the connection for the next transaction; whoever changes what one has in hand calls `moved`.

    One that takes no more, for now or for ever (closed, old, or its share is carried), is on no level.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self.last_number = 0
        self._limit = settings.max_messages_per_connection or math.inf
        self._age = settings.max_connection_age or math.inf
        self._places: dict[Connection, _Place] = {}
        self._levels: tuple[_Level, ...] = tuple({} for _ in range(settings.max_in_flight))

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._places

    @property
    def idle(self) -> tuple[Connection, ...]:
        """Those with nothing in hand, the newest last."""
        return tuple(self._levels[0])

    def add(self, connection: Connection, now: float) -> None:
        """A new one; it gets the next number."""
        self.last_number += 1
        most = len(self._levels) if connection.protocol.takes_several else 1
        self._places[connection] = _Place(self.last_number, most, connection.opened_at + self._age)
        self.moved(connection, now)

    def remove(self, connection: Connection) -> bool:
        """Forget it; whether it was here."""
        place = self._places.pop(connection, None)
        if place is not None and place.level is not None:
            del place.level[connection]
        return place is not None

    def moved(self, connection: Connection, now: float) -> None:
        """What it has in hand has changed."""
        place = self._places.get(connection)
        if place is None:
            return
        load = connection.load
        over = load >= place.most or connection.closed or now > place.until or connection.transactions >= self._limit
        level = None if over else self._levels[load]
        if level is not place.level:
            if place.level is not None:
                del place.level[connection]
            if level is not None:
                level[connection] = None
            place.level = level

    def spend(self, connection: Connection) -> None:
        """It gets no further transaction, and those under way end as ever."""
        if (place := self._places.get(connection)) is not None:
            place.until = -math.inf

    def is_usable(self, connection: Connection) -> bool:
        """Whether it takes another transaction, be it behind content that does not go out yet."""
        place = self._places.get(connection)
        return place is not None and place.level is not None

    def has_room(self, connection: Connection) -> bool:
        """Whether it takes another transaction at once."""
        return self.is_usable(connection) and not connection.congested

    def is_newer(self, connection: Connection, number: int) -> bool:
        """Whether it was opened after the one with this number."""
        return self._places[connection].number > number

    def is_old(self, connection: Connection, now: float) -> bool:
        """Whether it has reached the greatest age."""
        return now > self._places[connection].until

    def newest_idle(self) -> Connection | None:
        """The one that was used last of those with nothing in hand."""
        return next(reversed(self._levels[0]), None)

    def with_room(self) -> tuple[Connection, ...]:
        """Those that take another transaction now, the least loaded first."""
        return tuple(filter(self.has_room, itertools.chain.from_iterable(self._levels)))

    def least_loaded(self) -> Connection | None:
        """The one of `with_room` with the fewest in hand."""
        return next(filter(self.has_room, itertools.chain.from_iterable(self._levels)), None)
