"""The API beside which commands run: a collector's, as far as they can see, in a thread of this process."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import structlog

from mailwake.api.app import limits_of, make_app
from mailwake.api.parts import ApiParts
from mailwake.api.server import serve_api
from mailwake.api.store_routes import StoreFileParts
from mailwake.clock import SystemClock
from mailwake.config.api_settings import Api
from mailwake.control.api_keys import ApiKeys
from mailwake.feed.lock import open_lock
from mailwake.file_lock import try_lock
from mailwake.metrics import Metrics
from mailwake.service.api_address import api_address_kept
from mailwake.store.duckdb_store import open_store
from mailwake.store.file_requests import StoreFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.config.store_settings import Store
    from mailwake.service.data_directory import DataDirectory
    from mailwake.store.duckdb_store import DuckDbStore


@contextmanager
def running_api(data: DataDirectory, store_settings: Store | None = None) -> Iterator[ApiParts]:
    """Serve the API on this data directory, which is locked as by a service; with its store, if settings are given."""
    clock = SystemClock()
    with ExitStack() as opened:
        store: DuckDbStore | None = None
        files: StoreFiles | None = None
        if store_settings is not None:
            store = opened.enter_context(closing(open_store(data.store, store_settings)))
            files = StoreFiles(store, clock=clock, log=None)
        data.lock()
        opened.callback(data.unlock)
        descriptor = open_lock(data.feed)
        opened.callback(os.close, descriptor)
        assert try_lock(descriptor)
        parts = ApiParts(
            settings=Api(),
            keys=ApiKeys(data.api_keys, clock),
            clock=clock,
            metrics=Metrics(),
            log=structlog.wrap_logger(None, [structlog.testing.LogCapture()]),
            store=store,
            store_files=None if files is None else StoreFileParts(files),
        )
        listening = opened.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        opened.enter_context(api_address_kept(data.api_address, [listening]))
        opened.enter_context(_served(listening, parts, store))
        yield parts


@contextmanager
def _served(listening: socket.socket, parts: ApiParts, store: DuckDbStore | None) -> Iterator[None]:
    started, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        if store is not None:
            await store.open()
        loops.append(asyncio.get_running_loop())
        started.set()
        await serve_api([listening], make_app(parts), end, limits=limits_of(parts), clock=parts.clock)

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(end.set)
        thread.join()
