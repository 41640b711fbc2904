"""The smart host over real loopback sockets: every way a delivery can go, and how connections are used."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.opening import _options, probe
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings
from mailwake.relay.tls import client_context

if TYPE_CHECKING:
    from mailwake.logs import Logger

CLOSE, HANG, RESET = b"<close>", b"<hang>", b"<reset>"
CONTENT = b"Subject: x\r\n\r\n.dots\r\n..\r\nend\r\n"
Hop = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode
Settings = Callable[..., RelaySettings]


def _copy(number: int = 0, content: bytes = CONTENT, **values: Any) -> Copy:
    middle = len(content) // 2
    return Copy("a@a.example", f"r{number}@b.example", (content[:middle], content[middle:]), **values)


@asynccontextmanager
async def _smart_host(settings: RelaySettings, log: Logger, metrics: Metrics | None = None) -> AsyncIterator[SmartHost]:
    host = SmartHost(settings, log=log, metrics=metrics)
    try:
        async with asyncio.timeout(60):
            yield host
            await host.close()
    finally:
        assert host._pool._connections == set()


async def _deliver_one(settings: RelaySettings, log: Logger, copy: Copy | None = None) -> Outcome:
    async with _smart_host(settings, log) as host:
        return await host.deliver(copy or _copy())


@pytest.fixture(params=["DATA", "BDAT", "DATA in steps", "BDAT in steps"])
def mode(request: pytest.FixtureRequest, hop: Hop) -> str:
    if "BDAT" in request.param:
        hop.extensions.append("CHUNKING")
    if "steps" in request.param:
        hop.extensions.remove("PIPELINING")
    return str(request.param)


async def test_a_copy_arrives_octet_for_octet(hop: Hop, settings_for: Settings, log: Logger, mode: str) -> None:
    outcome = await _deliver_one(settings_for(), log)
    assert outcome == Outcome(Status.DELIVERED, outcome.reply, f"127.0.0.1:{hop.port}", "content", dsn_passed=True)
    assert str(outcome.reply) == "250 2.0.0 queued"
    assert hop.messages == [("a@a.example", "r0@b.example", CONTENT)]
    assert ("BDAT" in mode) == (hop.stages["DATA"] == 0)
    assert hop.commands[-1] == "QUIT"


async def test_one_connection_is_reused_newest_first(hop: Hop, settings_for: Settings, log: Logger, mode: str) -> None:
    async with _smart_host(settings_for(), log) as host:
        for number in range(5):
            assert (await host.deliver(_copy(number))).status is Status.DELIVERED
    assert hop.stages["GREETING"] == 1
    assert [recipient for _, recipient, _ in hop.messages] == [f"r{n}@b.example" for n in range(5)]


async def test_many_copies_share_a_few_connections_and_none_is_mixed_up(
    hop: Hop, settings_for: Settings, log: Logger, mode: str
) -> None:
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=3), log, metrics) as host:
        copies = [_copy(n, b"N: %d\r\n\r\n%d\r\n" % (n, n)) for n in range(60)]
        outcomes = await asyncio.gather(*(host.deliver(copy) for copy in copies))
    assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
    assert hop.most_connections == 3
    assert sorted(hop.messages) == sorted((c.sender, c.recipient, b"".join(c.pieces)) for c in copies)
    assert metrics.counter("relay_attempts_total", f"127.0.0.1:{hop.port}", "delivered").value == 60


REFUSALS = [
    ("MAIL", b"550-5.7.1 no\r\n550 5.7.1 never\r\n", Status.REFUSED, "mail"),
    ("MAIL", b"451 4.7.1 later\r\n", Status.DEFERRED, "mail"),
    ("RCPT", b"550 5.1.1 who\r\n", Status.REFUSED, "rcpt"),
    ("RCPT", b"450 4.2.1 greylisted\r\n", Status.DEFERRED, "rcpt"),
    ("DATA", b"554 5.3.2 no data\r\n", Status.REFUSED, "data"),
    ("DATA", b"452 4.3.1 full\r\n", Status.DEFERRED, "data"),
    ("CONTENT", b"554 5.6.0 spam\r\n", Status.REFUSED, "content"),
    ("CONTENT", b"451 4.3.0 scanner down\r\n", Status.DEFERRED, "content"),
]


@pytest.mark.parametrize(("stage", "reply", "status", "at"), REFUSALS)
async def test_a_refusal_is_passed_on_and_the_next_copy_goes_through(
    hop: Hop, settings_for: Settings, log: Logger, mode: str, stage: str, reply: bytes, status: Status, at: str
) -> None:
    if stage == "DATA" and "BDAT" in mode:
        stage, at = "CONTENT", "content"  # BDAT has no reply between
    hop.script[stage] = [reply]
    async with _smart_host(settings_for(), log) as host:
        outcome = await host.deliver(_copy(0))
        assert outcome.status is status
        assert outcome.reply.encode() == reply
        assert outcome.stage == at
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
    assert [recipient for _, recipient, _ in hop.messages] == ["r1@b.example"]
    assert hop.stages["GREETING"] == 1
    assert hop.stages["RSET"] == 1


async def test_354_without_a_recipient_delivers_nothing(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.script = {"RCPT": [b"550 5.1.1 who\r\n"], "DATA": [b"354 go on then\r\n"]}
    async with _smart_host(settings_for(), log) as host:
        outcome = await host.deliver(_copy())
        assert (outcome.status, outcome.stage) == (Status.REFUSED, "rcpt")
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
    assert [recipient for _, recipient, _ in hop.messages] == ["r1@b.example"]


# Connections that cannot be had


async def test_a_hop_that_is_not_there(settings_for: Settings, log: Logger) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing else can answer there
        port = taken.getsockname()[1]
        outcome = await _deliver_one(settings_for(port=port), log)
    assert outcome.status is Status.UNREACHABLE
    assert str(outcome.reply) == f"451 4.4.1 Next hop 127.0.0.1:{port} cannot be reached"
    assert outcome.stage == "connect"
    assert "cannot connect" in outcome.reason


@pytest.mark.parametrize(
    ("stage", "reply", "reason"),
    [
        ("GREETING", b"554 5.7.1 go away\r\n", "greeted with 554 5.7.1 go away"),
        ("GREETING", b"421 4.3.2 busy\r\n", "greeted with 421 4.3.2 busy"),
        ("GREETING", CLOSE, "closed"),
        ("GREETING", RESET, ""),
        ("GREETING", b"SSH-2.0-OpenSSH_9.2\r\n", "not an SMTP reply"),
        ("EHLO", b"421 4.3.2 busy\r\n", "421 4.3.2 busy"),
        ("EHLO", CLOSE, "closed"),
    ],
)
async def test_a_hop_that_does_not_welcome(
    hop: Hop, settings_for: Settings, log: Logger, stage: str, reply: bytes, reason: str
) -> None:
    hop.always[stage] = reply
    outcome = await _deliver_one(settings_for(), log)
    assert (outcome.status, outcome.reply.code, outcome.reply.enhanced) == (Status.UNREACHABLE, 451, "4.4.1")
    assert reason in outcome.reason
    assert hop.messages == []


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("GREETING", "no reply in 0.2 s, awaited: greeting; where TLS comes first, as on port 465, set implicit_tls"),
        ("EHLO", "no reply in 0.2 s, awaited: hello"),
    ],
)
async def test_a_hop_that_hangs_before_it_is_ready(
    hop: Hop, settings_for: Settings, log: Logger, stage: str, said: str
) -> None:
    hop.always[stage] = HANG
    outcome = await _deliver_one(settings_for(greeting_timeout=0.2), log)
    assert outcome.status is Status.UNREACHABLE
    assert outcome.reason == said


async def test_a_hop_that_comes_back_is_used_again(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.script["GREETING"] = [b"421 4.3.2 starting\r\n"]
    async with _smart_host(settings_for(), log) as host:
        assert (await host.deliver(_copy())).status is Status.UNREACHABLE
        assert (await host.deliver(_copy())).status is Status.DELIVERED


async def test_when_the_hop_is_down_those_in_line_learn_it_at_once(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.always["GREETING"] = b"421 4.3.2 down\r\n"
    async with _smart_host(settings_for(max_connections=2, wait_timeout=3600), log) as host:
        outcomes = await asyncio.gather(*(host.deliver(_copy(n)) for n in range(50)))
    assert {outcome.status for outcome in outcomes} == {Status.UNREACHABLE}
    assert hop.stages["GREETING"] < 50


async def test_a_hop_that_takes_few_connections_is_used_with_those(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.max_connections = 2
    async with _smart_host(settings_for(max_connections=10), log) as host:
        outcomes = await asyncio.gather(*(host.deliver(_copy(n)) for n in range(40)))
    assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
    assert len(hop.messages) == 40


# Connections that are lost


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize(
    ("stage", "status"),
    [
        ("MAIL", Status.DEFERRED),
        ("RCPT", Status.DEFERRED),
        ("DATA", Status.DEFERRED),
        ("CONTENT", Status.UNCERTAIN),
    ],
)
async def test_a_connection_lost_with_data(
    hop: Hop, settings_for: Settings, log: Logger, stage: str, status: Status, end: bytes
) -> None:
    hop.script[stage] = [end]
    metrics = Metrics()
    async with _smart_host(settings_for(), log, metrics) as host:
        outcome = await host.deliver(_copy())
        assert outcome.status is status
        assert (outcome.reply.code, outcome.reply.enhanced, outcome.stage) == (451, "4.4.2", stage.lower())
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
    assert metrics.counter("relay_attempts_total", host.settings.address, status.value).value == 1
    assert [recipient for _, recipient, _ in hop.messages] == ["r1@b.example"]


async def test_a_connection_lost_with_bdat_is_uncertain_from_the_start(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.extensions.append("CHUNKING")
    hop.script["CONTENT"] = [CLOSE]
    outcome = await _deliver_one(settings_for(), log)
    assert (outcome.status, str(outcome.reply)[:9]) == (Status.UNCERTAIN, "451 4.4.2")


async def test_a_recipient_refused_with_bdat_stays_refused_when_the_connection_is_lost(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.extensions.append("CHUNKING")
    hop.script = {"RCPT": [b"550 5.1.1 who\r\n"], "CONTENT": [CLOSE]}
    outcome = await _deliver_one(settings_for(), log)
    assert (outcome.status, outcome.stage) == (Status.REFUSED, "rcpt")


@pytest.mark.parametrize(
    ("stage", "status"), [("MAIL", Status.DEFERRED), ("DATA", Status.DEFERRED), ("CONTENT", Status.UNCERTAIN)]
)
async def test_a_hop_that_hangs(hop: Hop, settings_for: Settings, log: Logger, stage: str, status: Status) -> None:
    hop.always[stage] = HANG
    outcome = await _deliver_one(settings_for(command_timeout=0.3, content_timeout=0.3), log)
    assert (outcome.status, outcome.reason) == (status, "no reply in time")


# Connections that were good once


async def test_a_connection_the_hop_dropped_while_unused_is_replaced_unseen(
    hop: Hop, settings_for: Settings, log: Logger, mode: str
) -> None:
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.drop_connections()
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
        hop.drop_connections()
        await hop.until(lambda: hop.open_connections == 0)
        assert (await host.deliver(_copy(2))).status is Status.DELIVERED
    assert [recipient for _, recipient, _ in hop.messages] == [f"r{n}@b.example" for n in range(3)]


@pytest.mark.parametrize("answer", [b"421 4.4.2 idle for too long\r\n", CLOSE, RESET])
async def test_a_reused_connection_that_ends_with_mail_is_replaced_unseen(
    hop: Hop, settings_for: Settings, log: Logger, mode: str, answer: bytes
) -> None:
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.script["MAIL"] = [answer]
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
    assert [recipient for _, recipient, _ in hop.messages] == ["r0@b.example", "r1@b.example"]
    assert hop.stages["GREETING"] == 2


async def test_a_hop_that_takes_so_many_messages_of_a_connection_gets_the_next_over_a_new_one(
    hop: Hop, settings_for: Settings, log: Logger, mode: str
) -> None:
    metrics = Metrics()
    async with _smart_host(settings_for(max_connections=1), log, metrics=metrics) as host:
        await host.deliver(_copy(0))
        hop.script["MAIL"] = [b"452 4.5.3 Too many messages sent\r\n"]
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED
        hop.always["MAIL"] = b"452 4.3.1 full\r\n"
        outcome = await host.deliver(_copy(2))
    assert (outcome.status, str(outcome.reply)) == (Status.DEFERRED, "452 4.3.1 full")
    assert [recipient for _, recipient, _ in hop.messages] == ["r0@b.example", "r1@b.example"]
    assert hop.stages["GREETING"] == 3
    assert metrics.counter("copies_resent_total", "452").value == 2


async def test_it_is_replaced_only_once(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.always["MAIL"] = b"421 4.3.2 closing\r\n"
        outcome = await host.deliver(_copy(1))
    assert (outcome.status, str(outcome.reply)) == (Status.DEFERRED, "421 4.3.2 closing")
    assert hop.stages["GREETING"] == 2


async def test_a_hop_that_went_down_while_a_connection_was_unused(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.always["GREETING"] = b"421 4.3.2 down\r\n"
        hop.drop_connections()
        assert (await host.deliver(_copy(1))).status is Status.UNREACHABLE
        del hop.always["GREETING"]
        assert (await host.deliver(_copy(2))).status is Status.DELIVERED


@pytest.mark.parametrize(("extension", "status"), [("", Status.UNREACHABLE), ("CHUNKING", Status.UNCERTAIN)])
async def test_a_hop_that_goes_down_with_mail_may_have_taken_what_it_was_sent(
    hop: Hop, settings_for: Settings, log: Logger, extension: str, status: Status
) -> None:
    hop.extensions.append(extension)
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.always["GREETING"] = b"421 4.3.2 down\r\n"
        hop.script["MAIL"] = [CLOSE]
        assert (await host.deliver(_copy(1))).status is status


@pytest.mark.parametrize(("extension", "status"), [("", Status.DEFERRED), ("CHUNKING", Status.UNCERTAIN)])
async def test_a_hop_that_answers_nonsense_lives_and_gets_nothing_twice(
    hop: Hop, settings_for: Settings, log: Logger, extension: str, status: Status
) -> None:
    hop.extensions.append(extension)
    async with _smart_host(settings_for(), log) as host:
        await host.deliver(_copy(0))
        hop.script["MAIL"] = [b"nonsense\r\n"]
        assert (await host.deliver(_copy(1))).status is status
    assert hop.stages["GREETING"] == 1


async def test_an_unused_connection_is_closed_after_a_while(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(idle_seconds=0.2), log) as host:
        await host.deliver(_copy())
        await hop.until(lambda: hop.open_connections == 0)
        assert hop.commands[-1] == "QUIT"
        assert (await host.deliver(_copy())).status is Status.DELIVERED


async def test_a_limit_of_messages_for_a_connection(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(max_messages_per_connection=2), log) as host:
        for number in range(5):
            assert (await host.deliver(_copy(number))).status is Status.DELIVERED
    assert hop.stages["GREETING"] == 3
    assert hop.stages["QUIT"] == 3


# Waiting


async def test_copies_wait_in_line_and_not_for_ever(hop: Hop, settings_for: Settings, log: Logger) -> None:
    go_on = asyncio.Event()
    hop.before_final_reply = go_on.wait
    async with _smart_host(settings_for(max_connections=1, wait_timeout=0.2), log) as host:
        first = asyncio.create_task(host.deliver(_copy(0)))
        await hop.until(lambda: hop.stages["DATA"] == 1)
        outcome = await host.deliver(_copy(1))
        assert (outcome.status, outcome.reply.enhanced) == (Status.UNREACHABLE, "4.4.1")
        assert "no connection became free in 0.2 s" in outcome.reason
        go_on.set()
        assert (await first).status is Status.DELIVERED
        assert (await host.deliver(_copy(2))).status is Status.DELIVERED


async def test_first_come_first_served(hop: Hop, settings_for: Settings, log: Logger) -> None:
    async with _smart_host(settings_for(max_connections=1), log) as host:
        await asyncio.gather(*(host.deliver(_copy(n)) for n in range(20)))
    assert [recipient for _, recipient, _ in hop.messages] == [f"r{n}@b.example" for n in range(20)]


async def test_a_cancelled_delivery_leaves_its_place_to_others(hop: Hop, settings_for: Settings, log: Logger) -> None:
    go_on = asyncio.Event()
    hop.before_final_reply = go_on.wait
    async with _smart_host(settings_for(max_connections=1), log) as host:
        tasks = [asyncio.create_task(host.deliver(_copy(n))) for n in range(3)]
        await hop.until(lambda: hop.stages["DATA"] == 1)
        tasks[1].cancel()
        tasks[0].cancel()
        go_on.set()
        assert (await tasks[2]).status is Status.DELIVERED
        assert (await host.deliver(_copy(3))).status is Status.DELIVERED
        assert "slots=1/1 in_flight=0 waiting=0" in repr(host)


async def test_cancelled_while_connecting(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.script["GREETING"] = [HANG]
    async with _smart_host(settings_for(max_connections=1), log) as host:
        task = asyncio.create_task(host.deliver(_copy(0)))
        await hop.until(lambda: hop.stages["GREETING"] == 1)
        task.cancel()
        assert (await host.deliver(_copy(1))).status is Status.DELIVERED


async def test_close_finishes_what_is_in_hand(hop: Hop, settings_for: Settings, log: Logger) -> None:
    go_on = asyncio.Event()
    hop.before_final_reply = go_on.wait
    host = SmartHost(settings_for(max_connections=1), log=log)
    tasks = [asyncio.create_task(host.deliver(_copy(n))) for n in range(3)]
    await hop.until(lambda: hop.stages["DATA"] == 1)
    closing = asyncio.create_task(host.close())
    go_on.set()
    assert [(await task).status for task in tasks] == [Status.DELIVERED] * 3
    await closing
    assert hop.commands[-1] == "QUIT"
    assert (await host.deliver(_copy(4))).status is Status.UNREACHABLE


async def test_nothing_is_being_opened_any_more_after_close(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.script["GREETING"] = [b"220 hop ESMTP\r\n", HANG]
    hop.script["CONTENT"] = [b"250 2.0.0 queued\r\n", CLOSE]
    host = SmartHost(settings_for(max_connections=2), log=log)
    outcomes = await asyncio.gather(host.deliver(_copy(0)), host.deliver(_copy(1)))
    assert [outcome.status for outcome in outcomes] == [Status.DELIVERED, Status.UNCERTAIN]
    await host.close()
    assert "connections=0 idle=0 slots=0/" in repr(host)


# Content


async def test_30_megabytes_to_a_hop_that_reads_slowly(
    hop: Hop, settings_for: Settings, log: Logger, mode: str
) -> None:
    content = b"Subject: big\r\n\r\n" + b".%s\r\n" % (b"x" * 60) * (30_000_000 // 63)
    hop.read_slowly.clear()
    async with _smart_host(settings_for(), log) as host:
        task = asyncio.create_task(host.deliver(_copy(0, content)))
        await hop.until(lambda: hop.stages["DATA"] == 1 or any("BDAT" in line for line in hop.commands))
        (connection,) = host._pool._connections
        while not connection.congested:  # noqa: ASYNC110 - nothing else tells when the transport has had enough
            await asyncio.sleep(0)
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() < 1 << 20
        hop.read_slowly.set()
        assert (await task).status is Status.DELIVERED
    assert hop.messages[0][2] == content


async def test_a_connection_lost_with_content_left_is_safe_to_repeat(
    hop: Hop, settings_for: Settings, log: Logger, mode: str
) -> None:
    hop.read_slowly.clear()
    async with _smart_host(settings_for(), log) as host:
        task = asyncio.create_task(host.deliver(_copy(0, b"x" * 30_000_000)))
        await hop.until(lambda: hop.stages["DATA"] == 1 or any("BDAT" in line for line in hop.commands))
        (connection,) = host._pool._connections
        while not connection.congested:  # noqa: ASYNC110 - nothing else tells when the transport has had enough
            await asyncio.sleep(0)
        hop.drop_connections()
        outcome = await task
    assert (outcome.status, outcome.stage) == (Status.DEFERRED, "content")


async def test_content_without_a_last_line_end(hop: Hop, settings_for: Settings, log: Logger) -> None:
    assert (await _deliver_one(settings_for(), log, _copy(0, b"S: x\r\n\r\nend"))).status is Status.DELIVERED
    assert hop.messages[0][2] == b"S: x\r\n\r\nend\r\n"


async def test_size_body_and_smtputf8(hop: Hop, settings_for: Settings, log: Logger) -> None:
    await _deliver_one(settings_for(), log, _copy(0, b"S: x\r\n\r\n", body="8BITMIME", smtputf8=True))
    assert "MAIL FROM:<a@a.example> SIZE=8 BODY=8BITMIME SMTPUTF8" in hop.commands


async def test_what_the_hop_cannot_take_is_refused_without_trying(
    hop: Hop, settings_for: Settings, log: Logger
) -> None:
    hop.extensions = ["PIPELINING", "SIZE 10"]
    async with _smart_host(settings_for(), log) as host:
        assert str((await host.deliver(_copy())).reply).startswith("552 5.3.4")
        outcome = await host.deliver(_copy(0, b"", smtputf8=True))
        assert outcome.status is Status.REFUSED
        assert str(outcome.reply).startswith("550 5.6.7")
    assert hop.stages["MAIL"] == 0


# TLS and AUTH


@pytest.mark.parametrize("tls", ["may", "must", "verify"])
async def test_starttls(hop: Hop, settings_for: Settings, log: Logger, tls: str, certificate: Any) -> None:
    hop.always["STARTTLS"] = b"220 go\r\n"
    settings = settings_for(tls=tls, ca_file=str(certificate[0]))
    async with _smart_host(settings, log) as host:
        for number in range(2):
            assert (await host.deliver(_copy(number))).status is Status.DELIVERED
        (connection,) = host._pool._connections
        assert connection.transport is not None
        assert connection.transport.get_extra_info("ssl_object") is not None
    assert hop.commands[:3] == ["EHLO me.example", "STARTTLS", "EHLO me.example"]


async def test_tls_none_does_not_ask(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.always["STARTTLS"] = b"220 go\r\n"
    assert (await _deliver_one(settings_for(tls="none"), log)).status is Status.DELIVERED
    assert hop.stages["STARTTLS"] == 0


async def test_verify_refuses_a_stranger(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.always["STARTTLS"] = b"220 go\r\n"
    outcome = await _deliver_one(settings_for(tls="verify"), log)
    assert outcome.status is Status.UNREACHABLE
    assert outcome.reason == "TLS handshake failed: self-signed certificate; see tls_ca_file and tls_name"
    assert hop.messages == []


@pytest.mark.parametrize("tls", ["must", "verify"])
async def test_tls_that_must_be_and_is_not(hop: Hop, settings_for: Settings, log: Logger, tls: str) -> None:
    outcome = await _deliver_one(settings_for(tls=tls), log)
    assert (outcome.status, outcome.reason) == (Status.UNREACHABLE, "STARTTLS is required and not offered")


async def test_a_broken_handshake_falls_back_with_may_only(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop._certificate = ("/nonexistent", "/nonexistent")
    hop.always["STARTTLS"] = b"220 go\r\n"
    hop._server_context = _broken_context
    assert (await _deliver_one(settings_for(tls="may"), log)).status is Status.DELIVERED
    outcome = await _deliver_one(settings_for(tls="must"), log)
    assert outcome.status is Status.UNREACHABLE
    hop.extensions.append("AUTH PLAIN")
    outcome = await _deliver_one(settings_for(tls="may", username="u", password="p"), log)
    assert outcome.status is Status.UNREACHABLE
    assert not any(line.startswith("AUTH") for line in hop.commands)
    assert len(hop.messages) == 1


@pytest.mark.parametrize("broken", ["the handshake", "STARTTLS"])
async def test_mail_waits_where_tls_fails_for_now_and_the_hop_takes_none_in_the_clear(
    hop: Hop, settings_for: Settings, log: Logger, broken: str
) -> None:
    hop.always |= {"STARTTLS": b"220 go\r\n", "MAIL": b"530 5.7.0 Must issue a STARTTLS command first\r\n"}
    whole = hop._server_context
    if broken == "the handshake":
        hop._server_context = _broken_context
    else:
        hop.script["STARTTLS"] = [b"454 4.7.0 TLS not available for now\r\n"]
    async with _smart_host(settings_for(tls="may"), log) as host:
        outcome = await host.deliver(_copy(1))
        assert (outcome.status, outcome.reply.code) == (Status.DEFERRED, 451)
        assert outcome.reason == "530 5.7.0 Must issue a STARTTLS command first"
        hop._server_context = whole
        del hop.always["MAIL"]
        assert (await host.deliver(_copy(2))).status is Status.DELIVERED
        (connection,) = [each for each in host._pool._connections if not each.closed and each.protocol.idle]
        assert connection.protocol.tls  # another one, as the one in the clear was of no use


async def test_530_of_a_hop_without_tls_is_its_answer(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.always["MAIL"] = b"530 5.7.0 authenticate first\r\n"
    assert (await _deliver_one(settings_for(tls="may"), log)).status is Status.REFUSED


def _broken_context() -> None:
    raise ConnectionError("this hop's TLS is broken")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_auth_inside_tls(hop: Hop, settings_for: Settings, log: Logger, mechanism: str) -> None:
    hop.extensions.append(f"AUTH {mechanism}")
    hop.always["STARTTLS"] = b"220 go\r\n"
    if mechanism == "LOGIN":
        hop.always |= {"AUTH": b"334 VXNlcm5hbWU6\r\n", "DXNLCG==": b"334 x\r\n", "CGFZCW==": b"235 2.7.0 ok\r\n"}
    else:
        hop.always |= {"AUTH": b"235 2.7.0 ok\r\n"}
    settings = settings_for(tls="must", username="user", password="pass")
    assert (await _deliver_one(settings, log)).status is Status.DELIVERED


@pytest.mark.parametrize(
    ("settings", "starttls"),
    [
        (RelaySettings("mail.example.com"), "offered"),
        (RelaySettings("mail.example.com", username="u"), "required"),
        (RelaySettings("192.0.2.1", username="u"), "required"),
        (RelaySettings("127.0.0.2", username="u"), "offered"),
        (RelaySettings("::1", username="u"), "offered"),
        (RelaySettings("localhost", username="u"), "offered"),
        (RelaySettings("mail.example.com", username="u", tls="none"), "never"),
        (RelaySettings("mail.example.com", tls="must"), "required"),
    ],
)
def test_a_password_goes_in_the_clear_to_this_machine_only(settings: RelaySettings, starttls: str) -> None:
    assert _options(settings, client_context(settings)).starttls == starttls


async def test_auth_that_fails(hop: Hop, settings_for: Settings, log: Logger) -> None:
    hop.extensions.append("AUTH PLAIN")
    hop.always["AUTH"] = b"535 5.7.8 wrong\r\n"
    outcome = await _deliver_one(settings_for(username="user", password="pass"), log)
    assert (outcome.status, outcome.reason) == (Status.UNREACHABLE, "AUTH answered with 535 5.7.8 wrong")


# The probe


async def test_probe(hop: Hop, settings_for: Settings) -> None:
    assert await probe(settings_for()) is None
    hop.always["GREETING"] = b"554 5.7.1 go away\r\n"
    assert await probe(settings_for()) == f"next hop 127.0.0.1:{hop.port}: greeted with 554 5.7.1 go away"


def test_addresses_as_people_write_them() -> None:
    assert RelaySettings("::1", 25).address == "[::1]:25"
    assert RelaySettings("mx.example", 587).address == "mx.example:587"
    assert RelaySettings("", unix_path="/run/lmtp").address == "unix:/run/lmtp"


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(RelaySettings("h", username="u", password="secret"))


async def test_probe_names_a_file_that_cannot_be_used(settings_for: Settings) -> None:
    answer = await probe(settings_for(tls="verify", ca_file="/nonexistent.pem"))
    assert answer is not None
    assert "/nonexistent.pem" in answer
