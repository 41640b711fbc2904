"""A file that its owner may replace at any time: read anew when it is another one, kept when the new one is bad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
_Mark = tuple[int, int, int, int] | None


class _Never:
    pass


_NEVER = _Never()


class WatchedFile(Generic[T]):
    """What `read` makes of a file; `read` raises MailwakeError for a file that cannot be used.

    `refresh` reads it for the first time too; until then, `value` is what was given.
    """

    def __init__(self, path: Path, read: Callable[[Path], T], value: T) -> None:
        self._path = path
        self._read = read
        self._seen: _Mark | _Never = _NEVER
        self.value = value
        """What was read last and could be used."""

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether `value` is new.

        Raises MailwakeError, once for each bad version; `value` stays as it was then.
        """
        mark = self._mark()  # before reading: what changes meanwhile is read once more
        if mark == self._seen:
            return False
        self._seen = mark
        self.value = self._read(self._path)
        return True

    def _mark(self) -> _Mark:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
