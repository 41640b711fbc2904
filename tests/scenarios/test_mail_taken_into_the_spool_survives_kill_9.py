"""`acceptance = "spool"`: every worker is killed in mid-load; every 250 has its copy and its events, nothing is left.

The long form, with full disks, jumping clocks and a next hop that dies, is `benchmarks/chaos --acceptance spool`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from benchmarks.kill_run import Load, kill

from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.spool.sqlite_spool import SqliteSpool

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

ROUNDS = 4


def _message(number: str) -> bytes:
    return (
        f"Subject: {number}\r\n"
        'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'
        "Content-Type: text/html\r\n\r\n"
        '<html><body><a href="https://www.example.org/">x</a></body></html>\r\n'
    ).encode()


def _be_killed(service: Mailwake, load: Load, enough: int) -> None:
    wait_until(lambda: len(load.ledger.accepted) > enough, "messages are accepted")
    pids = set(service.worker_pids())
    kill(sorted(pids))
    wait_until(lambda: len(set(service.worker_pids()) - pids) == len(pids), "all workers are back")
    wait_until(lambda: service.get("/healthz", server="admin")[0] == 200, "the service is healthy again")


def test_every_250_has_its_copy_its_injection_and_its_delivery(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake(
        "--next-hop", sink.address, "--workers", "2", "--role", "smtp", "--set", "spool.acceptance=spool"
    )
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())
    load = Load(service.smtp, ("", 0), codec, _message, clickers=0)
    load.start()
    try:
        for number in range(1, ROUNDS + 1):
            _be_killed(service, load, 60 * number)
    finally:
        load.stop()
    spool = SqliteSpool(service.data / "spool.sqlite3")
    try:
        wait_until(lambda: spool.count() == 0, "everything has been relayed")
        kept = "SELECT count(*) FROM outbox"
        wait_until(lambda: spool._database.execute(kept).fetchone() == (0,), "all events are in the journal")
    finally:
        spool.close()
    accepted = set(load.ledger.accepted)
    copies = Counter(recipient for recipient, _ in sink.messages())
    assert not accepted - copies.keys()
    events = {event["event_id"]: event for event in service.events()}.values()
    seen = Counter((event["type"], event["raw_rcpt_to"]) for event in events)
    for kind in ("injection", "delivery"):
        assert not [recipient for recipient in accepted if not seen[kind, recipient]], kind
    assert not [recipient for recipient in copies if seen["injection", recipient] != 1]
    # A copy may come twice where its worker died between the next hop's reply and its own note of it.
    doubled = [recipient for recipient, number in copies.items() if number > 1]
    assert len(doubled) <= ROUNDS * 2 * 20, doubled
