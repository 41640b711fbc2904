"""How long whoever asked waits for an answer of the engine: a time, or until they are gone."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_AGAIN_SECONDS = 0.1


class Patience:
    """For one answer; `seconds` from when its work begins, None: as long as it takes. Any thread may give it up."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._changed = threading.Event()
        self._answered = False

    def give_up(self) -> None:
        """Nobody waits any more: end it."""
        self._changed.set()

    @contextmanager
    def over(self, database: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt what this connection does when patience is over."""
        watch = threading.Thread(target=self._watch, args=(database,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._answered = True
            self._changed.set()
            watch.join()

    def _watch(self, database: duckdb.DuckDBPyConnection) -> None:
        self._changed.wait(self._seconds)
        self._changed.clear()
        while not self._answered:
            database.interrupt()  # and again: between two statements it has no effect
            self._changed.wait(_AGAIN_SECONDS)
