"""Whether the disk has room for more mail: asked before a message is begun, so that nothing is promised in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.disk_room import free_octets

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.logs import Logger

LOOK_SECONDS = 1.0
"""How old an answer may be."""


class FreeSpace:
    """The room on the file system of `directory`; with less than `minimum` octets no message is begun.

    The log is told when that begins and when it ends.
    """

    def __init__(self, directory: Path, minimum: int, clock: Clock, log: Logger) -> None:
        self._directory = directory
        self._minimum = minimum
        self._clock = clock
        self._log = log
        self._full = False
        self._looked = float("-inf")
        self._free = 0

    def lacks(self, octets: int) -> bool:
        """Whether a message of so many octets should not be begun; 0 where the size is unknown."""
        if not self._minimum:
            return False
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._free = self._look()
            self._tell(full=self._free < self._minimum)
        return self._free < self._minimum + octets

    def _tell(self, *, full: bool) -> None:
        if full and not self._full:
            self._log.error(
                "the disk is nearly full, no mail is taken",
                path=str(self._directory),
                free=self._free,
                min_free_space=self._minimum,
            )
        elif self._full and not full:
            self._log.info("the disk has room again, mail is taken", path=str(self._directory), free=self._free)
        self._full = full

    def _look(self) -> int:
        try:
            return free_octets(self._directory)
        except OSError:  # whoever writes there will say more
            return self._minimum
