"""What one address may do to a worker: connections at once, new ones in a minute, wrong passwords.

An IPv6 client counts by its /64, which is what one customer gets. Each worker counts for itself: the kernel spreads
connections over the workers, so that an address may reach each limit as many times as there are workers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from mailwake.config.networks import parse_client

if TYPE_CHECKING:
    from mailwake.clock import Clock

ADDRESSES = 50_000
"""Addresses of which is remembered what they did; of more, those longest unheard of are forgotten."""

MINUTE = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds that the reply to a wrong password is held back, doubled by each further one."""

TOO_MANY, TOO_FAST = "too many from address", "too fast from address"
"""Why a connection is refused, as it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLimitSettings:
    """The limits; 0 means none."""

    connections: int = 0
    new_connections_a_minute: int = 0
    auth_failures: int = 0
    auth_failure_window: float = 600.0
    """Seconds that failures are counted, from the first one of an address."""


class _Counted(NamedTuple):
    since: float
    number: int


class WindowCounts:
    """Counts what addresses do within a time that begins with the first of it; `add` and `count` cost a look-up."""

    def __init__(self, seconds: float, entries: int = ADDRESSES) -> None:
        self._seconds = seconds
        self._entries = entries
        self._counts: OrderedDict[str, _Counted] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: str, now: float) -> int:
        """How often it happened."""
        found = self._counts.get(key)
        return 0 if found is None or now - found.since >= self._seconds else found.number

    def add(self, key: str, now: float) -> int:
        """It happened again; how often it has by now."""
        number = self.count(key, now) + 1
        self._counts[key] = _Counted(now, 1) if number == 1 else _Counted(self._counts[key].since, number)
        self._counts.move_to_end(key)
        if len(self._counts) > self._entries:
            self._counts.popitem(last=False)
        return number


async def _sleep(seconds: float, ending: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ending.wait(), seconds)


class AddressLimits:
    """Everything that one worker remembers of addresses; a key, as `key_of` gives it, is "" where nothing counts."""

    def __init__(
        self,
        settings: AddressLimitSettings,
        clock: Clock,
        *,
        pause: Callable[[float, asyncio.Event], Awaitable[None]] = _sleep,
    ) -> None:
        """`pause` waits so many seconds, or until the event is set."""
        self._settings = settings
        self._clock = clock
        self._pause = pause
        self._open: dict[str, int] = {}
        self._new = WindowCounts(MINUTE)
        self._failures = WindowCounts(settings.auth_failure_window)
        self._ending = asyncio.Event()

    @staticmethod
    def key_of(address: str, *, exempt: bool = False) -> str:
        """What a client at this address counts as."""
        found = None if exempt else parse_client(address)
        if isinstance(found, IPv6Address):
            return f"{IPv6Address(int(found) >> 64 << 64)}/64"
        return "" if found is None else str(found)

    # --- connections

    def open(self, key: str) -> str:
        """Count a new connection; the reason if it is one too many, "" if it is not: then `close` it one day."""
        if not key:
            return ""
        settings = self._settings
        # One that is refused counts as new, too: who keeps on trying is not let in for it.
        rate = self._new.add(key, self._clock.monotonic()) if settings.new_connections_a_minute else 0
        if rate > settings.new_connections_a_minute:
            return TOO_FAST
        now_open = self._open.get(key, 0)
        if settings.connections and now_open >= settings.connections:
            return TOO_MANY
        self._open[key] = now_open + 1
        return ""

    def close(self, key: str) -> None:
        """A connection that was counted has ended."""
        if not key:
            return
        left = self._open[key] - 1
        if left:
            self._open[key] = left
        else:
            del self._open[key]

    # --- passwords

    def may_try(self, key: str) -> bool:
        """Whether a password from there is looked at."""
        most = self._settings.auth_failures
        return not (key and most) or self._failures.count(key, self._clock.monotonic()) < most

    async def failed(self, key: str, on_connection: int) -> None:
        """Count a wrong password, the so many-th `on_connection`, and hold its reply back for a while."""
        from_there = self._failures.add(key, self._clock.monotonic()) if key else 0
        failures = max(from_there, on_connection)
        await self._pause(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10)), self._ending)

    def end(self) -> None:
        """Hold nothing back any more: the worker is about to stop."""
        self._ending.set()
