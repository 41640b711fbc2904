"""A gateway and a load balancer before mailwake say who the client is; nobody else can. With swaks and bare sockets."""

from __future__ import annotations

import contextlib
import re
import shutil
import smtplib
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

# What policy sees of the client becomes the campaign, so that events tell.
POLICY = "def validate_connect(accept, context):\n    context.set('smtpapi_campaign_id', context.get('remote_ip'))\n"
CONFIG = """
open_tracking_enabled = true
[[policy]]
file = "{policy}"
[esmtp_listener]
relay_networks = ["192.0.2.0/24"]
[esmtp_listener.listen."127.0.0.1:0"]
proxy_protocol = "{proxy_protocol}"
proxy_networks = ["127.0.0.0/8"]
[esmtp_listener.peer."{trusted}"]
smtp_extensions = ["XCLIENT", "XSETCONTEXT", "XDUMPCONTEXT"]
[esmtp_listener.peer."192.0.2.0/24"]
tracking_domain = "links.client.example"
[accounts.shop]
password = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$tHT7GLqp0uYbiB009MeIHnMuEMZ86kx0jgBpq5vxo84"
customer_id = "42"
"""
HTML = "Content-Type: text/html\r\n\r\n<body>hello</body>\r\n"
PROXY_V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
PROXY_V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 25)
)


@pytest.fixture
def start(
    tmp_path: Path, start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> Callable[..., tuple[Mailwake, Sink]]:
    def begin(*, trusted: str = "127.0.0.1", proxy_protocol: str = "off") -> tuple[Mailwake, Sink]:
        (tmp_path / "policy.py").write_text(POLICY)
        file = tmp_path / "mailwake.toml"
        policy = tmp_path / "policy.py"
        file.write_text(CONFIG.format(policy=policy, trusted=trusted, proxy_protocol=proxy_protocol))
        sink = start_sink()
        return start_mailwake("--config", str(file), "--workers", "1", "--next-hop", sink.address), sink

    return begin


def _swaks(service: Mailwake, *options: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("swaks") is None:
        pytest.skip("SWAKS IS ABSENT: install Debian's swaks")
    host, port = service.smtp
    command = ["swaks", "--server", f"{host}:{port}", "--ehlo", "gateway.example", "--from", "a@b.example"]
    command += ["--to", "c@d.example", "--header", "Content-Type: text/html", "--body", "<body>hello</body>"]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=PATIENCE)


def _only_copy(sink: Sink) -> str:
    wait_until(sink.messages, "the copy is at the sink")
    ((_, content),) = sink.messages()
    return content.decode()


def _injection(service: Mailwake) -> dict[str, object]:
    return wait_until(  # type: ignore[no-any-return]  # an event, as JSON has it
        lambda: next((event for event in service.events() if event["type"] == "injection"), None), "the injection event"
    )


def test_a_gateway_with_xclient(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, sink = start()
    attributes = ["--xclient-addr", "192.0.2.7", "--xclient-name", "mta.client.example"]
    attributes += ["--xclient-helo", "client.example", "--xclient-port", "4711", "--xclient-login", "shop"]
    done = _swaks(service, *attributes)
    assert done.returncode == 0, done.stdout
    assert "-> XCLIENT " in done.stdout
    copy = _only_copy(sink)
    assert re.search(
        r"Received: from client\.example \(mta\.client\.example \[192\.0\.2\.7\]\)\n\tby .* with ESMTPA", copy
    )
    assert 'src="http://links.client.example/' in copy
    event = _injection(service)
    assert (event["campaign_id"], event["customer_id"]) == ("192.0.2.7", "42")
    assert "192.0.2.7" in service.log


def test_the_real_client_still_needs_to_be_allowed(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, sink = start()
    done = _swaks(service, "--xclient", "ADDR=203.0.113.9")
    assert "<** 550 5.7.1 " in done.stdout
    assert "550 5.7.1" in _swaks(service).stdout, "the gateway itself is in no relay network"
    assert sink.messages() == []


def test_a_stranger_gets_nowhere(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, sink = start(trusted="203.0.113.1")
    done = _swaks(service, "--xclient-no-verify", "--xclient-addr", "192.0.2.7")
    assert "250-XCLIENT" not in done.stdout
    assert "250 XCLIENT" not in done.stdout
    with service.client() as client:
        assert client.ehlo("x")[0] == 250
        for command in ("XCLIENT ADDR=192.0.2.7", "XSETCONTEXT smtpapi_campaign_id=mine", "XREMOTEIP 192.0.2.7"):
            assert client.docmd(command)[1].startswith(b"5.7.0 ")
        assert client.docmd("XDUMPCONTEXT")[0] == 550
        assert client.mail("a@b.example")[0] == 250
        assert client.rcpt("c@d.example")[0] == 550
    assert sink.messages() == []


def test_a_gateway_that_sets_what_senders_of_x_msys_api_would(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, sink = start()
    with service.client() as client:
        client.ehlo("gateway.example")
        assert client.docmd("XCLIENT ADDR=192.0.2.7")[0] == 220
        client.ehlo("gateway.example")
        said = "XSETCONTEXT mo_customer_id=7 smtpapi_campaign_id=black+20friday smtpapi_open_tracking=0"
        assert client.docmd(said) == (250, b"2.0.0 3 context variables set")
        code, shown = client.docmd("XDUMPCONTEXT")
        assert code == 250
        assert b"[connection] smtpapi_campaign_id black+20friday" in shown.splitlines()
        client.sendmail("a@b.example", ["c@d.example"], HTML)
    copy = _only_copy(sink)
    assert "<img" not in copy
    event = _injection(service)
    assert (event["campaign_id"], event["customer_id"]) == ("black friday", "7")


@pytest.mark.parametrize("header", [PROXY_V1, PROXY_V2], ids=["version 1", "version 2"])
def test_a_load_balancer_with_proxy_headers(start: Callable[..., tuple[Mailwake, Sink]], header: bytes) -> None:
    service, sink = start(proxy_protocol="required")
    connection = socket.create_connection(service.smtp, timeout=PATIENCE)
    connection.sendall(header[:9])
    connection.sendall(header[9:])
    client = smtplib.SMTP()
    client.sock = connection
    assert client.getreply()[0] == 220
    client.sendmail("a@b.example", ["c@d.example"], HTML)
    client.quit()
    copy = _only_copy(sink)
    assert "([192.0.2.7])" in copy
    assert 'src="http://links.client.example/' in copy
    assert _injection(service)["campaign_id"] == "192.0.2.7"


def test_swaks_speaks_proxy_too(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, sink = start(proxy_protocol="required")
    addresses = ["--proxy-source", "192.0.2.7", "--proxy-source-port", "4711"]
    addresses += ["--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"]
    for family in (["--proxy-family", "TCP4"], ["--proxy-version", "2", "--proxy-family", "AF_INET"]):
        done = _swaks(service, *family, *addresses)
        assert done.returncode == 0, done.stdout
    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
    assert all(b"([192.0.2.7])" in content for _, content in sink.messages())


def test_whoever_has_no_header_hears_nothing(start: Callable[..., tuple[Mailwake, Sink]]) -> None:
    service, _ = start(proxy_protocol="required")
    for sent in (b"EHLO x\r\n", b"PROXY TCP4 here there 1 2\r\n", PROXY_V2[:12] + b"\x33" + PROXY_V2[13:]):
        with socket.create_connection(service.smtp, timeout=PATIENCE) as connection:
            connection.sendall(sent)
            with contextlib.suppress(ConnectionResetError):  # what was sent was not all read
                assert connection.recv(100) == b""
    wait_until(lambda: service.metric("mailwake_smtp_connections_refused_total") == 3, "they are counted")
    assert "no PROXY header" in service.log
