"""What a command asks where no service runs: the store itself, opened for it, by the functions that serve the API."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from mailwake.api.errors import ApiError
from mailwake.api.parameters import read_query
from mailwake.api.parts import ApiParts
from mailwake.api.route_table import ROUTES
from mailwake.api.routes import Call, Reply
from mailwake.api.store_routes import StoreFileParts
from mailwake.clock import SystemClock
from mailwake.control.api_keys import ApiKeys
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.event_privacy import recipient_hash
from mailwake.store.contract import FileMakingStore, StoreError
from mailwake.store.file_requests import StoreFiles
from mailwake.store.make import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.api.routes import Route
    from mailwake.cli.ask_service import QueryValue
    from mailwake.config.schema import Settings
    from mailwake.service.data_directory import DataDirectory


class OwnStore:
    """Answers as the running service would; StoreError when it cannot."""

    def __init__(self, parts: ApiParts, runner: asyncio.Runner) -> None:
        self._parts = parts
        self._runner = runner

    def get(self, path: str, query: Mapping[str, QueryValue] | None = None) -> Any:
        """The JSON document that the API has at this path."""
        return self._asked("GET", path, query)

    def post(self, path: str, *, query: Mapping[str, QueryValue] | None = None) -> Any:
        """Have something begun; the JSON document that says so."""
        return self._asked("POST", path, query)

    def delete(self, path: str) -> None:
        """Have something removed."""
        self._asked("DELETE", path, None)

    def _asked(self, method: str, path: str, query: Mapping[str, QueryValue] | None) -> Any:
        route, named = _route(method, path)
        try:
            values = read_query(route.query, urlencode(query or {}).encode(), route.unsupported)
            call = Call(parts=self._parts, key=None, customer=None, path=named, query=values, body=None)
            given = self._runner.run(_answered(route.answer(call)))
        except ApiError as error:
            raise StoreError(error.description) from None
        return msgspec.json.decode(given.body if isinstance(given, Reply) else msgspec.json.encode({"results": given}))


def _route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route, and the parameters of its path by name."""
    for route in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        if route.method == method and (found := re.fullmatch(pattern, path)):
            return route, found.groupdict()
    raise StoreError(f"there is nothing at {path}")


def _check_user(directory: DataDirectory) -> None:
    """StoreError for root beside a service of its own user: files that root makes would keep the service out."""
    owner = directory.path.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    raise StoreError(f"{directory.path} belongs to {name}: run this as that user, sudo -u '{name}' mailwake …")


async def _answered(answer: Any) -> Any:
    return await answer


@contextmanager
def ask_store(directory: DataDirectory, settings: Settings) -> Iterator[OwnStore]:
    """Open the store of this data directory; StartupError when another process has it, StoreError without one."""
    if not directory.store.is_dir():
        raise StoreError(f"{directory.path} has no store yet; start mailwake once, or say where it is with --data")
    _check_user(directory)
    directory.lock()  # keeps the service from starting meanwhile
    try:
        clock = SystemClock()
        reserve = settings.min_free_space
        with (
            closing(open_store(directory.store, settings.store, reserve=reserve)) as store,
            asyncio.Runner() as runner,
        ):
            runner.run(store.open())
            files: StoreFiles | None = None
            if isinstance(store, FileMakingStore):
                files = StoreFiles(store, clock=clock, log=None)  # the command says it
            parts = ApiParts(
                settings=settings.api,
                keys=ApiKeys(directory.api_keys, clock),
                clock=clock,
                metrics=Metrics(),
                log=make_logger("human", "error"),
                store=store,
                store_files=None if files is None else StoreFileParts(files),
                hashing=recipient_hash(settings.privacy, directory),
            )
            yield OwnStore(parts, runner)
    finally:
        directory.unlock()
