"""Ten thousand clients that never finish their requests, and one that asks."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario

CLIENTS = 10_000
SPARE = 500


@pytest.fixture
def clients() -> Iterator[int]:
    """As many as this process may have sockets; the limit is raised for the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1] if before[1] != resource.RLIM_INFINITY else CLIENTS + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CLIENTS + SPARE), before[1]))
    yield min(hard - SPARE, CLIENTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_slow_clients_keep_nobody_out(tmp_path: Path, clients: int) -> None:
    if clients < 1000:
        pytest.skip(f"THE LIMIT OF OPEN FILES IS TOO LOW: {clients + SPARE}")
    options = {"max_connections": clients, "header_timeout": 600, "idle_timeout": 600}
    settings = [f"--set=tracker.{name}={value}" for name, value in options.items()]
    service = Mailwake(tmp_path, "--role", "tracker", "--workers", "1", *settings)
    service.addresses = ["--tracker", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    service.start()
    try:
        with contextlib.ExitStack() as slow:
            for number in range(clients):
                client = slow.enter_context(socket.create_connection(service.tracker, timeout=60))
                if number % 2:
                    client.sendall(b"GET /f/a/")
            wait_until(
                lambda: service.metric("mailwake_tracker_connections_open") == clients, "all of them are connected"
            )
            assert service.get("/robots.txt")[0] == 200
            wait_until(lambda: service.metric("mailwake_tracker_connections_dropped_total") == 1, "one had to go")
            assert service.metric("mailwake_worker_restarts_total") == 0
    finally:
        service.stop()
