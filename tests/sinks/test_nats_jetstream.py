"""NATS JetStream, against the real server: killed, frozen, without a stream; stored once, in order, nothing lost."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.listener.certificates import make_certificate
from tests.sinks.conftest import Node, event, event_id, outgoing, running, until
from tests.sinks.nats_server import NatsServer

from mailwake.config.sink_settings import Sink
from mailwake.errors import StartupError
from mailwake.events.model import EventType
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.nats_jetstream import JetStream, connection_options


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path)
    await server.start()
    yield server
    await server.end(signal.SIGKILL)


def settings(server: NatsServer, **others: Any) -> Sink:
    return Sink(kind="nats", servers=(server.url,), start="beginning", **others)


async def ids_in(server: NatsServer) -> list[int]:
    return [event_id(content) for _, _, content in await server.stored()]


async def test_a_message_is_all_that_it_should_be(node: Node, server: NatsServer) -> None:
    await server.make_stream()
    node.add([event(7, kind=EventType.OPEN, customer="a.b *>"), event(8)])
    async with running(*node.sinks({"n": settings(server, subject="mailwake.{customer}.{type}", stream="MAIL")})):
        await until(lambda: node.has_all("n"))
    first, second = await server.stored()
    assert (first[0], second[0]) == ("mailwake.a_b___.open", "mailwake._.click")
    assert first[1] == {"Nats-Msg-Id": "7", "Nats-Expected-Stream": "MAIL"}
    assert first[2].startswith(b'{"msys":{"track_event":{')


@pytest.mark.parametrize("max_in_flight", [1, 256])
async def test_all_of_them_in_order(node: Node, server: NatsServer, max_in_flight: int) -> None:
    await server.make_stream()
    node.add_numbers(range(600))
    async with running(*node.sinks({"n": settings(server, max_in_flight=max_in_flight)})):
        await until(lambda: node.has_all("n"))
    assert await ids_in(server) == list(range(600))


async def test_a_server_killed_in_the_middle_has_each_event_once_and_in_order(node: Node, server: NatsServer) -> None:
    await server.make_stream()
    async with running(*node.sinks({"n": settings(server, max_in_flight=50)})):
        for start in (0, 1000, 2000):
            node.add_numbers(range(start, start + 500))
            await until(partial(node.has_all, "n"))
            server.freeze()  # so that some are on their way for certain
            node.add_numbers(range(start + 500, start + 1000))
            server.thaw()
            await server.end(signal.SIGKILL)
            await until(lambda: not node.counted("sink_up", "n"))
            await server.start()
            await until(partial(node.has_all, "n"))
    assert await ids_in(server) == list(range(3000))
    assert node.logged == ["a sink fails, its events wait", "a sink is back"] * 3


async def test_a_repeated_page_is_stored_once(server: NatsServer) -> None:
    await server.make_stream()
    for _ in range(2):
        jetstream = JetStream(settings(server))
        await jetstream.write(outgoing(range(20)))
        await jetstream.close()
    assert await ids_in(server) == list(range(20))


async def test_a_server_that_stands_still_is_given_up_and_tried_again(node: Node, server: NatsServer) -> None:
    await server.make_stream()
    async with running(*node.sinks({"n": settings(server, timeout=0.3)})):
        node.add_numbers(range(10))
        await until(lambda: node.has_all("n"))
        server.freeze()
        node.add_numbers(range(10, 20))
        await until(lambda: "a sink fails, its events wait" in node.logged)
        assert not node.has_all("n")
        server.thaw()
        await until(lambda: node.has_all("n"))
    assert node.said("a sink fails, its events wait") == "NATS: the server acknowledges nothing for 0.3 seconds"
    assert await ids_in(server) == list(range(20))


async def test_without_a_stream_it_waits_for_one(node: Node, server: NatsServer) -> None:
    node.add_numbers(range(10))
    async with running(*node.sinks({"n": settings(server)})):
        await until(lambda: "a sink fails, its events wait" in node.logged)
        await server.make_stream()
        await until(lambda: node.has_all("n"))
    assert node.said("a sink fails, its events wait") == (
        "NATS: event 0 is refused: no stream takes its subject; make one, or mend `subject`"
    )
    assert await ids_in(server) == list(range(10))


async def test_a_stream_that_is_full_or_another_one_refuses(server: NatsServer) -> None:
    from nats.js.api import DiscardPolicy

    await server.make_stream(max_msgs=5, discard=DiscardPolicy.NEW)
    for expected, others in (
        ("event 5 is refused: maximum messages exceeded", {}),
        ("event 0 is refused: expected stream does not match", {"stream": "OTHER"}),
    ):
        jetstream = JetStream(settings(server, max_in_flight=1, **others))
        with pytest.raises(DestinationError, match=expected):
            await jetstream.write(outgoing(range(10)))
        await jetstream.close()
    assert await ids_in(server) == list(range(5))


async def test_any_of_its_servers_will_do(server: NatsServer) -> None:
    await server.make_stream()
    jetstream = JetStream(Sink(kind="nats", servers=("nats://127.0.0.1:1", server.url, "nats://127.0.0.1:2")))
    await jetstream.write(outgoing(range(3)))
    await jetstream.close()
    assert await ids_in(server) == [0, 1, 2]


async def test_nobody_there_is_said() -> None:
    jetstream = JetStream(Sink(kind="nats", servers=("nats://127.0.0.1:1",)))
    with pytest.raises(DestinationError, match=r"NATS: cannot connect to nats://127.0.0.1:1: .*[Cc]onnect"):
        await jetstream.write(outgoing([1]))
    await jetstream.close()


async def test_a_user_and_a_wrong_password(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, authorization={"user": "mailwake", "password": "right"})
    await server.start()
    (tmp_path / "password").write_text("right\n")
    try:
        jetstream = JetStream(settings(server, username="mailwake", password="wrong"))
        with pytest.raises(DestinationError, match="Authorization Violation"):
            await jetstream.write(outgoing([1]))
        jetstream = JetStream(settings(server, username="mailwake", password_file=tmp_path / "password"))
        with pytest.raises(DestinationError, match="no stream takes its subject"):
            await jetstream.write(outgoing([1]))
    finally:
        await server.end()


async def test_tls_is_insisted_on_before_anything_is_said(server: NatsServer) -> None:
    jetstream = JetStream(
        Sink(kind="nats", servers=(server.url.replace("nats://", "tls://"),), username="u", password="p")
    )
    with pytest.raises(DestinationError, match="the server offers no TLS, and its URL says tls://"):
        await jetstream.write(outgoing([1]))
    await jetstream.close()


async def test_tls_with_a_certificate_on_both_sides(tmp_path: Path) -> None:
    authority = make_certificate("authority.test.example")
    trusted, _ = authority.write(tmp_path, "authority-")
    theirs, their_key = make_certificate("localhost", issuer=authority).write(tmp_path, "server-")
    ours, our_key = make_certificate("mailwake", issuer=authority).write(tmp_path, "client-")
    tls = {"cert_file": str(theirs), "key_file": str(their_key), "ca_file": str(trusted), "verify": True}
    server = NatsServer(tmp_path, tls=tls)
    await server.start()
    try:
        for others, problem in (
            ({"tls_ca_file": trusted, "tls_certificate": ours, "tls_key": our_key}, "no stream takes its subject"),
            ({"tls_certificate": ours, "tls_key": our_key}, "certificate verify failed"),
            ({"tls_ca_file": trusted}, "cannot connect to tls://localhost"),
        ):
            url = server.url.replace("nats://127.0.0.1", "tls://localhost")
            jetstream = JetStream(Sink(kind="nats", servers=(url,), **others))  # type: ignore[arg-type]
            with pytest.raises(DestinationError, match=problem):
                await jetstream.write(outgoing([1]))
            await jetstream.close()
    finally:
        await server.end()


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "text").write_text("no certificate")
    for others, problem in (
        ({"username": "u", "password_file": tmp_path / "missing"}, "missing: cannot be read: No such file"),
        ({"username": "u", "password_file": tmp_path / "empty"}, "empty: its first line is empty"),
        ({"credentials_file": tmp_path / "missing"}, "missing: cannot be read: No such file"),
        ({"tls_ca_file": tmp_path / "missing"}, "missing: cannot be used: No such file or directory; give a PEM file"),
        ({"tls_ca_file": tmp_path / "text"}, "text: cannot be used: .*; give a PEM file"),
        ({"tls_certificate": tmp_path / "text"}, "text: cannot be used: .*; give a PEM file"),
    ):
        with pytest.raises(StartupError, match=problem):
            connection_options(Sink(kind="nats", servers=("nats://n:4222",), **others))


def test_on_the_loop_of_the_service_too(tmp_path: Path) -> None:
    async def there_and_back() -> list[int]:
        server = NatsServer(tmp_path)
        await server.start()
        await server.make_stream()
        jetstream = JetStream(settings(server))
        await jetstream.write(outgoing(range(300)))
        await server.end(signal.SIGKILL)
        with pytest.raises(DestinationError):
            await jetstream.write(outgoing(range(300, 310)))
        await server.start()
        await jetstream.write(outgoing(range(300, 310)))
        await jetstream.close()
        found = await ids_in(server)
        await server.end()
        return found

    assert uvloop.run(there_and_back()) == list(range(310))
