"""Ids for transmissions and events: 63-bit numbers, unique over all nodes, workers, restarts and clock jumps.

    41 bits milliseconds since 2025-01-01 | 8 bits node | 7 bits worker slot | 7 bits sequence

They sort by time within a worker. 41 bits last until 2094.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = 1_735_689_600
"""2025-01-01T00:00:00Z in Unix seconds."""

RESERVE_AHEAD_MS = 5_000
"""How far the durable mark runs ahead of the ids given out: a restart may skip so many milliseconds."""

MAX_NODE = 255
MAX_SLOT = 127
_MAX_SEQUENCE = 127
_MAX_MS = (1 << 41) - 1


class UniqueIdError(MailwakeError):
    """No id can be made: the mark that keeps ids unique could not be written, or the clock is absurd."""


class UniqueIds:
    """Gives ids one after the other; one object serves one thread, and one process alone uses a slot.

    `clock_now` gives Unix seconds. `reserve(ms)` must durably note that ids up to `ms` (milliseconds since EPOCH) may
    be used, and raise OSError or MailwakeError when it cannot; it is called every few seconds. `used_up_to` is the
    noted mark that was found at the start: ids begin above it, whatever the clock says.
    """

    def __init__(
        self,
        node: int,
        slot: int,
        clock_now: Callable[[], float],
        reserve: Callable[[int], None],
        *,
        used_up_to: int = -1,
    ) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node {node}: must be 0 to {MAX_NODE}")
        if not 0 <= slot <= MAX_SLOT:
            raise ValueError(f"slot {slot}: must be 0 to {MAX_SLOT}")
        self._where = node << 14 | slot << 7
        self._clock_now = clock_now
        self._reserve = reserve
        self._reserved = used_up_to
        self._ms = used_up_to
        self._sequence = _MAX_SEQUENCE

    @property
    def latest_ms(self) -> int:
        """The milliseconds since EPOCH of the latest id."""
        return self._ms

    def extend(self, ms: int) -> None:
        """Note that somebody else has reserved ids up to `ms`, durably."""
        self._reserved = max(self._reserved, ms)

    def next(self) -> int:
        """A new id; UniqueIdError when its uniqueness cannot be promised."""
        now = int((self._clock_now() - EPOCH) * 1000)
        ms, sequence = self._ms, self._sequence + 1
        if now > ms:
            ms, sequence = now, 0
        elif sequence > _MAX_SEQUENCE:  # more than 128 ids in this millisecond, or the clock went back: borrow
            ms, sequence = ms + 1, 0
        if ms > self._reserved:
            self._advance_mark(ms)
        self._ms, self._sequence = ms, sequence
        return ms << 22 | self._where | sequence

    def _advance_mark(self, ms: int) -> None:
        if ms + RESERVE_AHEAD_MS > _MAX_MS:
            raise UniqueIdError("no unique id can be made: the clock stands beyond the year 2094; set it right")
        try:
            self._reserve(ms + RESERVE_AHEAD_MS)
        except (OSError, MailwakeError) as error:
            raise UniqueIdError(f"no unique id can be made: {error}") from error
        self._reserved = ms + RESERVE_AHEAD_MS


def id_milliseconds(unique_id: int) -> int:
    """The Unix milliseconds at which an id was made, or for which it was borrowed."""
    return (unique_id >> 22) + EPOCH * 1000
