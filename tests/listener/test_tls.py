"""TLS with clients: what is offered, what is refused, and certificates that cannot be used."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import ssl
import struct
import warnings
from pathlib import Path

import pytest

from mailwake.errors import StartupError
from mailwake.transport.tls import certificate_cautions, server_context

from .certificates import make_certificate
from .conftest import Client, Running, Start, until

Certificate = tuple[Path, Path]
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 465)


def _trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def _connect(running: Running, context: ssl.SSLContext) -> Client:
    return Client(
        *await asyncio.open_connection("127.0.0.1", running.port, ssl=context, server_hostname="mx.test.example")
    )


# --- implicit TLS


async def test_tls_comes_first(start: Start, certificate: Certificate) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True)
    client = await _connect(running, _trusting(certificate))
    assert await client.reply() == "220 mx.test.example ESMTP mailwake"
    hello = await client.say("EHLO c.example")
    assert "STARTTLS" not in hello
    assert "AUTH PLAIN LOGIN" in hello
    assert (await client.say("STARTTLS")).startswith("503 5.5.1")
    await _send(client)
    session = running.receiver.messages[0][0]
    assert (session.protocol, session.tls) == ("ESMTPS", True)
    assert running.metrics.counter("smtp_tls_handshakes_total", "completed").value == 1
    client.writer.close()


async def _send(client: Client) -> None:
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
    assert (await client.say("RCPT TO:<r@c.example>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    assert (await client.say(b"hello\r\n.\r\n")).startswith("250")


class _Handshaker:
    """A TLS client over a plain connection, whose octets can be held back, cut and put together at will."""

    def __init__(self, client: Client, context: ssl.SSLContext) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="mx.test.example")

    def first_octets(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    async def go_on(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange()
            else:
                break

    async def _exchange(self) -> None:
        self.client.writer.write(self._outgoing.read())
        self._incoming.write(await asyncio.wait_for(self.client.reader.read(65536), 30))

    def encrypt(self, data: bytes) -> bytes:
        """The end of the handshake, if it was not sent yet, and `data`."""
        self.tls.write(data)
        return self._outgoing.read()

    async def line(self) -> bytes:
        read = b""
        while not read.endswith(b"\n"):
            try:
                read += self.tls.read(1)
            except ssl.SSLWantReadError:
                self._incoming.write(await asyncio.wait_for(self.client.reader.read(65536), 30))
        return read


@pytest.mark.parametrize("proxied", [False, True])
async def test_octet_by_octet(start: Start, certificate: Certificate, proxied: bool) -> None:
    running = await _implicit(start, certificate, proxied=proxied)
    shaking = _Handshaker(await running.connect(), _trusting(certificate))
    for octet in (V2 if proxied else b"") + shaking.first_octets():
        shaking.client.writer.write(bytes([octet]))
        await asyncio.sleep(0)
    await shaking.go_on()
    for octet in shaking.encrypt(b"QUIT\r\n"):
        shaking.client.writer.write(bytes([octet]))
        await asyncio.sleep(0)
    assert (await shaking.line()).startswith(b"220 ")
    assert (await shaking.line()).startswith(b"221 ")


@pytest.mark.parametrize("proxied", [False, True])
async def test_all_at_once(start: Start, certificate: Certificate, proxied: bool) -> None:
    """The PROXY header and the ClientHello in one segment, and commands in one with the end of the handshake."""
    running = await _implicit(start, certificate, proxied=proxied)
    shaking = _Handshaker(await running.connect(), _trusting(certificate))
    shaking.client.writer.write((V2 if proxied else b"") + shaking.first_octets())
    await shaking.go_on()
    shaking.client.writer.write(shaking.encrypt(b"NOOP\r\nQUIT\r\n"))
    assert [(await shaking.line())[:3] for _ in range(3)] == [b"220", b"250", b"221"]


async def _implicit(start: Start, certificate: Certificate, *, proxied: bool) -> Running:
    proxies = "127.0.0.0/8" if proxied else ""
    return await start(tls=server_context(*certificate), implicit_tls=True, proxies=proxies)


async def test_the_proxy_header_comes_in_the_clear_before_tls(start: Start, certificate: Certificate) -> None:
    running = await start(
        tls=server_context(*certificate), implicit_tls=True, proxies="127.0.0.0/8", networks="192.0.2.7"
    )
    client = await running.connect()
    client.writer.write(V2)
    await client.writer.start_tls(_trusting(certificate), server_hostname="mx.test.example")
    assert (await client.reply()).startswith("220 ")
    assert "AUTH" in await client.say("EHLO c.example")
    await _send(client)
    session = running.receiver.messages[0][0]
    assert (session.peer_address, session.peer_port, session.protocol) == ("192.0.2.7", 4711, "ESMTPS")


async def test_a_proxy_header_inside_tls_is_none(start: Start, certificate: Certificate) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True, proxies="127.0.0.0/8")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _connect(running, _trusting(certificate))
    await until(lambda: running.metrics.counter("smtp_connections_refused_total", "no PROXY header").value)


async def test_what_is_no_handshake_is_closed_and_counted(
    start: Start, certificate: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True, log_level="info")
    client = await running.connect()
    client.writer.write(b"EHLO c.example\r\n")
    assert b"220" not in await asyncio.wait_for(client.reader.read(), 30)
    await until(lambda: running.metrics.counter("smtp_tls_handshakes_total", "failed").value)
    assert running.metrics.counter("smtp_connections_total").value == 0
    assert re.search('"detail":"(WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL)"', capsys.readouterr().err)
    await asyncio.wait_for(running.listener.drain(), 30)  # nothing is left of it


@pytest.mark.parametrize("implicit", [True, False])
async def test_a_slow_handshake_is_ended_and_counted(start: Start, certificate: Certificate, implicit: bool) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=implicit)
    client = await running.connect()
    if not implicit:
        await client.reply()
        await client.say("EHLO c.example")
        assert (await client.say("STARTTLS")).startswith("220")
    client.writer.write(b"\x16\x03\x01")
    await until(lambda: running.waiting_for_tls)
    running.clock.advance(61)
    assert await asyncio.wait_for(_end_of(client), 30)
    await until(lambda: running.metrics.counter("smtp_tls_handshakes_total", "timed out").value)
    assert running.metrics.counter("smtp_tls_handshakes_total", "failed").value == 0
    await asyncio.wait_for(running.listener.drain(), 30)
    assert running.metrics.counter("smtp_connections_open").value == 0


async def _end_of(client: Client) -> bool:
    try:
        return await client.reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("implicit", [True, False])
async def test_a_client_that_leaves_in_its_handshake_is_forgotten(
    start: Start, certificate: Certificate, implicit: bool
) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=implicit)
    client = await running.connect()
    if not implicit:
        await client.reply()
        await client.say("EHLO c.example")
        assert (await client.say("STARTTLS")).startswith("220")
    client.writer.write(b"\x16\x03\x01")
    await until(lambda: running.waiting_for_tls)
    client.writer.transport.abort()
    await until(lambda: running.metrics.counter("smtp_tls_handshakes_total", "failed").value)
    await asyncio.wait_for(running.listener.drain(), 30)
    assert running.metrics.counter("smtp_connections_open").value == 0


async def test_handshakes_count_as_connections(start: Start, certificate: Certificate) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True, connections=1)
    first = await running.connect()
    await until(lambda: running.waiting_for_tls)
    second = await running.connect()
    assert await second.at_end()  # without a word: its client waits for a handshake
    assert running.metrics.counter("smtp_connections_refused_total", "too many").value == 1
    first.writer.transport.abort()
    await until(lambda: not running.waiting_for_tls)
    third = await _connect(running, _trusting(certificate))
    assert (await third.reply()).startswith("220 ")
    third.writer.close()


async def test_stopping_ends_handshakes(start: Start, certificate: Certificate) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True)
    client = await running.connect()
    await until(lambda: running.waiting_for_tls)
    await asyncio.wait_for(running.listener.stop(grace=30), 30)
    assert await _end_of(client)


# --- versions and ciphers


def _limited(certificate: Certificate, *, newest: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext:
    context = _trusting(certificate)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the old versions are the point
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    return context


async def _negotiated(start: Start, served: ssl.SSLContext, context: ssl.SSLContext) -> tuple[str, str]:
    """Version and cipher that the two agree on; SSLError or ConnectionError when they do not."""
    running = await start(tls=served, implicit_tls=True)
    client = await _connect(running, context)
    try:
        assert (await client.reply()).startswith("220 ")
        cipher, *_ = client.writer.get_extra_info("cipher")
        return client.writer.get_extra_info("ssl_object").version(), cipher
    finally:
        client.writer.close()


def _lax(certificate: Certificate) -> ssl.SSLContext:
    """A server that takes everything: what is refused elsewhere is refused by our settings, not by the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*certificate)
    return context


async def test_tls_1_1_is_refused(start: Start, certificate: Certificate) -> None:
    client = _limited(certificate, newest=ssl.TLSVersion.TLSv1_1)
    assert (await _negotiated(start, _lax(certificate), client))[0] == "TLSv1.1"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _negotiated(start, server_context(*certificate), client)


async def test_tls_1_2_is_taken_and_can_be_refused(start: Start, certificate: Certificate) -> None:
    client = _limited(certificate, newest=ssl.TLSVersion.TLSv1_2)
    version, cipher = await _negotiated(start, server_context(*certificate), client)
    assert version == "TLSv1.2"
    assert re.fullmatch(r"ECDHE-ECDSA-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)", cipher)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _negotiated(start, server_context(*certificate, minimum_version="1.3"), client)


async def test_tls_1_3_is_what_clients_get_that_can(start: Start, certificate: Certificate) -> None:
    version, _ = await _negotiated(start, server_context(*certificate), _trusting(certificate))
    assert version == "TLSv1.3"


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-CCM8"])
async def test_old_ciphers_are_refused(start: Start, certificate: Certificate, cipher: str) -> None:
    client = _limited(certificate, newest=ssl.TLSVersion.TLSv1_2, ciphers=f"{cipher}:@SECLEVEL=0")
    assert (await _negotiated(start, _lax(certificate), client))[1] == cipher
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _negotiated(start, server_context(*certificate), client)


async def test_the_client_chooses_among_the_good_ones(start: Start, certificate: Certificate) -> None:
    ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"
    for order in (ciphers, ":".join(reversed(ciphers.split(":")))):
        client = _limited(certificate, newest=ssl.TLSVersion.TLSv1_2, ciphers=order)
        assert (await _negotiated(start, server_context(*certificate), client))[1] == order.split(":")[0]


# --- where AUTH is offered


@pytest.mark.parametrize(
    ("setting", "client", "offered"),
    [
        ("auto", "192.0.2.7", False),
        ("auto", "127.0.0.1", True),
        ("auto", "127.8.9.10", True),
        ("yes", "127.0.0.1", False),
        ("no", "192.0.2.7", True),
    ],
)
async def test_auth_in_the_clear(start: Start, setting: str, client: str, offered: bool) -> None:
    running = await start(auth_requires_tls=setting, proxies="127.0.0.0/8")
    connection = await running.connect()
    await connection.say(f"PROXY TCP4 {client} 198.51.100.1 4711 25\r\n".encode())
    assert ("AUTH PLAIN LOGIN" in await connection.say("EHLO c.example")) == offered
    reply = await connection.say("AUTH PLAIN AGFjbWUAc2VjcmV0")
    assert reply.startswith("235" if offered else "538 5.7.11")


# --- files


def test_each_file_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    good = make_certificate("mx.test.example")
    certificate, key = good.write(tmp_path)
    other = make_certificate("mx.test.example").write(tmp_path, "other-")
    nonsense, missing = tmp_path / "nonsense.pem", tmp_path / "missing.pem"
    nonsense.write_text("nothing of the kind\n")
    encrypted = good.write_encrypted_key(tmp_path / "encrypted.pem")
    for pair, said in (
        ((certificate, other[1]), "is not that of the first certificate in"),
        ((missing, key), "missing.pem: No such file"),
        ((certificate, missing), "missing.pem: No such file"),
        ((nonsense, key), "no matching PEM"),
        ((certificate, certificate), "name the file of the key as tls_key"),
        ((certificate, encrypted), "is encrypted"),
        ((tmp_path, key), "Is a directory"),
    ):
        with pytest.raises(StartupError, match=said) as error:
            server_context(*pair)
        assert "\n" not in str(error.value)


def test_a_certificate_out_of_its_time_is_told(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for days, said in (((-9, -2), "has expired, on "), ((2, 9), "is not valid before "), ((-1, 1), "")):
        certificate, key = make_certificate("mx.test.example", days=days).write(tmp_path)
        server_context(certificate, key)
        cautions = certificate_cautions(certificate, now)
        assert [said in each for each in cautions] == ([True] if said else [])
        day = now + datetime.timedelta(days=days[1] if days[1] < 0 else days[0])
        assert not said or f"{day:%Y-%m-%d}" in cautions[0]


async def test_after_a_proxy_header_a_reset_is_no_trouble(start: Start, certificate: Certificate) -> None:
    running = await start(tls=server_context(*certificate), implicit_tls=True, proxies="127.0.0.0/8")
    client = await running.connect()
    raw = client.writer.get_extra_info("socket")
    client.writer.write(V2 + b"\x16\x03\x01")
    await until(lambda: running.waiting_for_tls)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
    await until(lambda: running.metrics.counter("smtp_tls_handshakes_total", "failed").value)
