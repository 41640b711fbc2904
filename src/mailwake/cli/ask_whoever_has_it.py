"""The store, asked through the service that runs and has it, or else by opening it: one process at a time may."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from mailwake.cli.ask_service import ask_service, service_runs
from mailwake.cli.ask_store import ask_store
from mailwake.control.api_keys import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.cli.ask_service import QueryValue
    from mailwake.config.schema import Settings
    from mailwake.service.data_directory import DataDirectory


class Source(Protocol):
    """Who answers: a running service, or the store itself."""

    def get(self, path: str, query: Mapping[str, QueryValue] | None = None) -> Any:
        """The JSON document at this path of the API."""
        ...


@contextmanager
def ask_whoever_has_it(directory: DataDirectory, settings: Settings) -> Iterator[Source]:
    """Whoever can read the store of this data directory; ServiceError, StoreError or StartupError when nobody can."""
    if service_runs(directory):
        with ask_service(directory, settings, Scope.READ) as running:
            yield running
    else:
        with ask_store(directory, settings) as own:
            yield own
