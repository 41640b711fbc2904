"""Every worker is killed in mid-load several times; the long form is `benchmarks/kill`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.kill_load import all_events
from benchmarks.kill_run import Load, balance, kill
from benchmarks.webhook_receiver import Received, compare, running_receiver, webhook_settings

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


@pytest.fixture
def receiver() -> Iterator[tuple[int, Received]]:
    with running_receiver(refuse_every=7) as running:
        yield running


def test_every_250_has_its_copies_once_and_every_302_its_event_here_and_at_the_webhook(
    start_mailwake: Callable[..., Mailwake],
    start_sink: Callable[..., Sink],
    receiver: tuple[int, Received],
    tmp_path: Path,
) -> None:
    sink = start_sink()
    port, received = receiver
    (tmp_path / "mailwake.toml").write_text(webhook_settings(port))
    service = start_mailwake("--next-hop", sink.address, "--workers", "2", "--config", str(tmp_path / "mailwake.toml"))
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())
    load = Load(service.smtp, service.tracker, codec, _message)
    load.start()
    try:
        for round_number in range(1, 5):
            _work_and_be_killed(service, load, 40 * round_number)
    finally:
        load.stop()
    redirected = load.ledger.redirected
    wait_until(lambda: set(redirected) <= received.targets().keys(), "every answered click came to the webhook")
    spool = SqliteSpool(service.data / "spool.sqlite3")
    waiting = [entry.recipient for entry in spool.list()]
    spool.close()
    at_sink = [recipient for recipient, _ in sink.messages()]
    targets = [event["target_link_url"] for event in service.events() if event["type"] == "click"]
    books = balance(load, at_sink, waiting, targets)
    assert books.clean, books
    assert service.metric("mailwake_worker_restarts_total") >= 20
    ids = [str(event.event_id) for event in all_events(service.data / "feed")]
    last = received.events()[-1]["event_id"]
    delivered = compare(received, redirected, ids[: ids.index(last) + 1])
    assert delivered.clean, delivered
