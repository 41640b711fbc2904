"""Every worker is killed in mid-load several times; the long form is `benchmarks/kill`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.kill_run import Load, balance, kill

from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.spool.sqlite_spool import SqliteSpool

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario


def _message(number: str) -> bytes:
    return (
        f"Subject: {number}\r\n"
        'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'
        "Content-Type: text/html\r\n\r\n"
        '<html><body><a href="https://www.example.org/">x</a></body></html>\r\n'
    ).encode()


def _work_and_be_killed(service: Mailwake, load: Load, enough: int) -> None:
    wait_until(lambda: len(load.ledger.accepted) > enough, "messages are accepted")
    wait_until(lambda: len(load.ledger.redirected) > enough, "clicks are redirected")
    pids = set(service.worker_pids())
    assert len(pids) == 5
    kill(sorted(pids))
    wait_until(lambda: len(set(service.worker_pids()) - pids) == 5, "all workers are back")
    wait_until(lambda: service.get("/healthz", server="admin")[0] == 200, "the service is healthy again")


def test_every_250_has_its_copies_once_and_every_302_its_event(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--workers", "2")
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())
    load = Load(service.smtp, service.tracker, codec, _message)
    load.start()
    try:
        for round_number in range(1, 5):
            _work_and_be_killed(service, load, 40 * round_number)
    finally:
        load.stop()
    spool = SqliteSpool(service.data / "spool.sqlite3")
    waiting = [entry.recipient for entry in spool.list()]
    spool.close()
    at_sink = [recipient for recipient, _ in sink.messages()]
    targets = [event["target_link_url"] for event in service.events() if event["type"] == "click"]
    books = balance(load, at_sink, waiting, targets)
    assert books.clean, books
    assert service.metric("mailwake_worker_restarts_total") >= 16
