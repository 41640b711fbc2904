"""Who is let in where load balancers connect, and over TLS; what the PROXY header says is what counts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.listener.certificates import make_certificate

from mailwake.config.networks import network_set
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.tracker.arrivals import Front
from mailwake.tracker.certificates import DEFAULT, CertificateFiles, Certificates
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.http_server import HttpServer
from mailwake.tracker.messages import Request, Response, make_response

from .conftest import PATIENCE, RunningTracker, listening_socket

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 443)
V2_TLV = V2.replace(b"\x00\x0c", b"\x00\x12", 1) + b"\x04\x00\x03abc"
V2_LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
GET = b"GET /who HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
HERE = network_set([ip_network("127.0.0.0/8")])
ELSEWHERE = network_set([ip_network("192.0.2.0/24")])


class Who:
    """Answers with the client's address."""

    def takes_body(self, request: Request) -> bool:
        return False

    def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        respond(make_response(200, [], f"[{request.client}]".encode()))


@contextlib.asynccontextmanager
async def serving(
    front: Front, limits: HttpLimits | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RunningTracker]:
    metrics = Metrics()
    server = HttpServer(Who(), limits or HttpLimits(header_timeout=0.3), metrics)
    with listening_socket(host) as listening:
        await server.start(listening, front)
        name = listening.getsockname()
        tracker = RunningTracker(name if isinstance(name, str) else name[:2], server, metrics)
        try:
            yield tracker
        finally:
            async with asyncio.timeout(PATIENCE):
                await server.stop()
                await tracker.disconnect()
        assert tracker.count("tracker_connections_open") == 0


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (V1, "192.0.2.7"),
        (V1_6, "2001:db8::7"),
        (V2, "192.0.2.7"),
        (V2_TLV, "192.0.2.7"),
        (V2_LOCAL, "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7"),
    ],
)
async def test_a_listed_load_balancer_names_the_client(header: bytes, client: str) -> None:
    async with serving(Front(proxies=HERE)) as tracker:
        assert (await tracker.ask(header + GET)).endswith(f"[{client}]".encode())


@pytest.mark.parametrize("header", [V1, V2_TLV])
async def test_the_header_comes_octet_by_octet(header: bytes) -> None:
    async with serving(Front(proxies=HERE), HttpLimits()) as tracker, asyncio.timeout(PATIENCE):
        reader, writer = await tracker.connect()
        for octet in header + GET:
            writer.write(bytes([octet]))
            await asyncio.sleep(0)
        assert (await reader.read()).endswith(b"[192.0.2.7]")


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"PROXY TCP4 192.0.2.300 198.51.100.1 4711 443\r\n" + GET,
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n" + GET,
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12) + GET,
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
        b"\x16\x03\x01\x00\xa5",
        b"",
        b"PROXY TCP4 192.0",
    ],
)
async def test_without_a_right_header_nothing_is_answered(sent: bytes) -> None:
    async with serving(Front(proxies=HERE)) as tracker:
        with contextlib.suppress(ConnectionError):
            assert await tracker.ask(sent) == b""
        late = sent in (b"", b"PROXY TCP4 192.0")
        reason = "request too slow" if late else "no PROXY header"
        assert tracker.count("tracker_connections_dropped_total", reason) == 1


@pytest.mark.parametrize("sent", [V1 + GET, GET])
async def test_nobody_else_can_claim_to_be_a_load_balancer(sent: bytes) -> None:
    async with serving(Front(proxies=ELSEWHERE)) as tracker:
        with contextlib.suppress(ConnectionError):
            assert await tracker.ask(sent) == b""
        assert tracker.count("tracker_connections_dropped_total", "not a listed proxy") == 1


async def test_a_header_where_none_is_expected_is_no_request() -> None:
    async with serving(Front()) as tracker:
        assert (await tracker.ask(V1 + GET)).startswith(b"HTTP/1.1 400 ")


async def test_whoever_may_connect_to_a_unix_socket_is_a_load_balancer(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with serving(Front(proxies=ELSEWHERE), host=path) as tracker:
        assert (await tracker.ask(V1 + GET)).endswith(b"[192.0.2.7]")
    async with serving(Front(), host=str(tmp_path / "t")) as tracker:
        assert (await tracker.ask(GET)).endswith(b"[]")


async def test_silent_arrivals_count_as_connections() -> None:
    limits = HttpLimits(header_timeout=60, connections=2)
    async with serving(Front(proxies=HERE), limits) as tracker, asyncio.timeout(PATIENCE):
        first, _ = await tracker.connect()
        await tracker.connect()
        reader, writer = await tracker.connect()
        assert await first.read() == b""
        writer.write(V1 + GET)
        assert (await reader.read()).endswith(b"[192.0.2.7]")


# --- TLS


def _files(directory: Path, name: str) -> CertificateFiles:
    made = make_certificate(name)
    made.write(directory, f"{name}-")
    return CertificateFiles(directory / f"{name}-certificate.pem", directory / f"{name}-key.pem", "tracker")


class Secured:
    """Certificates of two domains and of all others, and clients that trust them."""

    def __init__(self, directory: Path, *, default: bool = True, minimum: Any = "1.2") -> None:
        self.directory = directory
        self.files = {name: _files(directory, name) for name in ("a.example", "b.example")}
        if default:
            self.files[DEFAULT] = _files(directory, "default.example")
        self.metrics = Metrics()
        self.certificates = Certificates(self.files, minimum, make_logger("json", "error"), self.metrics)
        self.front = Front(tls=self.certificates.context)

    async def subject(self, tracker: RunningTracker, name: str | None, context: ssl.SSLContext | None = None) -> str:
        """Whose certificate a client gets that names `name`; it also gets its answer."""
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2", "http/1.1"])
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                *tracker.address, ssl=context, server_hostname=name if name is not None else ""
            )
            connection = writer.get_extra_info("ssl_object")
            assert connection.selected_alpn_protocol() == "http/1.1"
            writer.write(GET)
            assert (await reader.read()).endswith(b"[127.0.0.1]")
            writer.close()
            certificate = connection.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    return Secured(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.example", "a"), ("B.Example", "b"), ("other.example", "default"), (None, "default")],
)
async def test_the_named_domain_chooses_the_certificate(secured: Secured, name: str | None, expected: str) -> None:
    async with serving(secured.front, HttpLimits()) as tracker:
        assert await secured.subject(tracker, name) == f"CN={expected}.example"
        assert tracker.count("tracker_tls_handshakes_total", "completed") == 1


async def test_without_a_default_others_are_refused(tmp_path: Path) -> None:
    secured = Secured(tmp_path, default=False)
    async with serving(secured.front, HttpLimits()) as tracker:
        with pytest.raises((ssl.SSLError, ConnectionError)):  # the alert may be lost in a reset
            await secured.subject(tracker, "other.example")
        assert await secured.subject(tracker, "a.example") == "CN=a.example"
        assert tracker.count("tracker_tls_handshakes_total", "failed") == 1


async def test_old_versions_are_refused(tmp_path: Path) -> None:
    secured = Secured(tmp_path, minimum="1.3")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(secured.front, HttpLimits()) as tracker:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await secured.subject(tracker, "a.example", context)


async def test_tls_behind_a_proxy_header(secured: Secured) -> None:
    front = Front(proxies=HERE, tls=secured.certificates.context)
    context = ssl.create_default_context(cafile=secured.files["a.example"].certificate)
    async with serving(front, HttpLimits()) as tracker, asyncio.timeout(PATIENCE):
        reader, writer = await tracker.connect()
        writer.write(V2)
        await writer.start_tls(context, server_hostname="a.example")
        writer.write(GET)
        assert (await reader.read()).endswith(b"[192.0.2.7]")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", GET])
async def test_who_does_not_shake_hands_is_dropped(secured: Secured, sent: bytes) -> None:
    async with serving(secured.front, HttpLimits(header_timeout=0.3)) as tracker:
        with contextlib.suppress(ConnectionError):
            assert not (await tracker.ask(sent)).startswith(b"HTTP")
        result = "failed" if sent == GET else "timed out"
        assert tracker.count("tracker_tls_handshakes_total", result) == 1


async def test_a_renewed_certificate_is_served_and_a_bad_one_is_not(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    path = secured.files["a.example"].certificate

    def loaded(result: str) -> float:
        return secured.metrics.counter("tracker_certificates_loaded_total", result).value

    async with serving(secured.front, HttpLimits()) as tracker:
        make_certificate("renewed.example").write(tmp_path, "a.example-")
        await secured.certificates.look()
        assert await secured.subject(tracker, "a.example") == "CN=a.example", "a renewal may be under way"
        await secured.certificates.look()
        assert await secured.subject(tracker, "a.example") == "CN=renewed.example"
        assert await secured.subject(tracker, "b.example") == "CN=b.example"
        path.write_text("no certificate")
        for _ in range(4):
            await secured.certificates.look()
        assert await secured.subject(tracker, "a.example") == "CN=renewed.example"
        path.unlink()
        for _ in range(4):
            await secured.certificates.look()
        assert await secured.subject(tracker, "a.example") == "CN=renewed.example"
        make_certificate("again.example").write(tmp_path, "a.example-")
        for _ in range(2):
            await secured.certificates.look()
        assert await secured.subject(tracker, "a.example") == "CN=again.example"
    assert (loaded("accepted"), loaded("refused")) == (2, 2)
