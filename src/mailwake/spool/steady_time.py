"""The time of a spool: what its entries' times count in, and what it is on the wall.

A step of the wall clock (NTP, an operator, a machine that woke up with a wrong one) must neither let everything expire
at once nor make it wait for hours. So the wall clock is read once, when the spool is first opened after the machine's
start; from then on the monotonic clock counts, which all processes of the machine share.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from mailwake.clock import Clock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SEEN_EVERY = 60.0
"""Seconds between two notes of how late it is, from which the time goes on after a reboot."""


class Moment(NamedTuple):
    """One moment, in a spool's time and on the wall."""

    steady: float
    wall: float

    def on_the_wall(self, steady: float) -> float:
        """A time of the spool as Unix seconds, as far as one can tell by now."""
        return self.wall + (steady - self.steady)


class SteadyTime:
    """The time of the spool in `database`, read and kept there; call all of it inside a transaction."""

    def __init__(self, database: sqlite3.Connection, clock: Clock, boot_id: str | None = None) -> None:
        self._clock = clock
        boot = read_boot_id() if boot_id is None else boot_id
        row = database.execute("SELECT boot, base, seen FROM timeline").fetchone()
        known, base, seen = row or ("", 0.0, 0.0)
        if not boot or boot != known:  # the monotonic clock counts from elsewhere now
            base = max(clock.now(), seen) - clock.monotonic()
            database.execute("DELETE FROM timeline")
            database.execute("INSERT INTO timeline (boot, base, seen) VALUES (?, ?, ?)", (boot, base, seen))
        self._base = float(base)
        self._seen = float(seen)

    def now(self) -> float:
        """The time of the spool."""
        return self._base + self._clock.monotonic()

    def note(self, database: sqlite3.Connection) -> None:
        """Note how late it is, now and then."""
        now = self.now()
        if now - self._seen >= _SEEN_EVERY:
            database.execute("UPDATE timeline SET seen = max(seen, ?)", (now,))
            self._seen = now


def time_of(database: sqlite3.Connection, clock: Clock) -> float:
    """The time of a spool that others use, without a write; by the wall clock before anybody has opened it."""
    boot, base = database.execute("SELECT boot, base FROM timeline").fetchone() or ("", 0.0)
    return float(base) + clock.monotonic() if boot and boot == read_boot_id() else clock.now()


def read_boot_id() -> str:
    """What tells this start of the machine from all others; "" where the system has no such thing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
