"""kill -9 of one worker: connections wait meanwhile, a new one serves, and /metrics and /healthz say what happened."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from mailwake import __version__
from mailwake.metrics import METRICS
from mailwake.spool.contract import NewEntry
from mailwake.spool.sqlite_spool import SqliteSpool

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def _health(service: Mailwake) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(service.get("/healthz", server="admin")[2])
    return facts


def _samples(service: Mailwake) -> dict[tuple[str, tuple[str, ...]], float]:
    families: list[Metric] = list(parse(service.get("/metrics", server="admin")[2].decode()))
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


@pytest.mark.parametrize("role", ["smtp", "tracker"])
def test_a_killed_worker_comes_back_and_is_counted_for_its_role(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink], role: str
) -> None:
    service = start_mailwake("--workers", "1", "--next-hop", start_sink().address)
    former = _health(service)["workers"][f"{role}-0"]
    assert former["state"] == "serving"
    for deaths in (1, 2, 3):
        killed = _health(service)["workers"][f"{role}-0"]["pid"]
        os.kill(killed, signal.SIGKILL)
        # At once, while nobody accepts: the connection waits in the queue of the socket that the supervisor holds.
        if role == "smtp":
            assert service.send("a@b.example", [f"c{deaths}@d.example"], MESSAGE) == {}
        else:
            assert service.get("/robots.txt")[0] == 200
        counted = _samples(service)
        assert counted["mailwake_worker_restarts_total", (role,)] == deaths
        assert ("mailwake_worker_restarts_total", ("tracker" if role == "smtp" else "smtp",)) not in counted
        wait_until(lambda: _health(service)["status"] == "ok", "the service is healthy again")
        assert _health(service)["workers"][f"{role}-0"]["pid"] not in (killed, former["pid"])
    if role == "smtp":
        assert service.metric("mailwake_messages_total") <= 3  # what a killed worker had not reported yet dies with it
    assert service.log.count("worker died and is started again") == 3
    assert service.log.count("signal SIGKILL") == 3


def test_a_stranger_sees_what_runs_and_every_metric_parses(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--workers", "2", "--next-hop", sink.address)
    assert service.send("a@b.example", ["c@d.example"], MESSAGE) == {}
    wait_until(lambda: service.metric("mailwake_message_seconds_count") == 1, "the worker has reported")
    assert service.process is not None
    health = _health(service)
    assert (health["status"], health["version"], health["pid"]) == ("ok", __version__, service.process.pid)
    assert set(health["workers"]) == {"smtp-0", "smtp-1", "tracker-0", "tracker-1", "collector-0"}
    for worker in health["workers"].values():
        assert (worker["state"], worker["version"]) == ("serving", __version__)
        assert health["started"] <= worker["started"]  # both are ISO 8601 in UTC
    assert {worker["pid"] for worker in health["workers"].values()} == set(service.worker_pids())

    samples = _samples(service)
    shown = {name for name, _ in samples}
    assert {f"mailwake_{m.name}" + ("_count" if m.buckets else "") for m in METRICS if not m.labels} <= shown
    assert [__version__ in labels for name, labels in samples if name == "mailwake_build_info"] == [True]
    assert samples["mailwake_workers", ("smtp", "serving")] == 2
    assert samples["mailwake_workers", ("tracker", "serving")] == 2
    assert samples["mailwake_relay_connections_open", (sink.address,)] == 1
    assert samples["mailwake_relay_seconds_count", ()] == 1
    assert 0 < samples["mailwake_relay_seconds_sum", ()] <= samples["mailwake_message_seconds_sum", ()]
    assert samples["mailwake_spool_entries_waiting", ()] == samples["mailwake_spool_oldest_seconds", ()] == 0


def test_what_waits_in_the_spool_is_seen(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--workers", "1", "--demo")
    assert service.metric("mailwake_spool_entries_waiting") == 0
    spool = SqliteSpool(service.data / "spool.sqlite3")
    an_hour_ago = time.time() - 3600
    entry = NewEntry("a@b.example", "c@d.example", MESSAGE, False, "7BIT", 1, "m", "451 x", an_hour_ago, 1e11)
    spool.put([entry, replace(entry, queued_at=time.time())])
    spool.close()
    assert service.metric("mailwake_spool_entries_waiting") == 2
    assert 3600 <= service.metric("mailwake_spool_oldest_seconds") < 7200
