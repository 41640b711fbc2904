"""One POST, whatever the target does: it ends in time, reads little, and says what happened."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.listener.certificates import make_certificate
from tests.webhooks.conftest import LOOPBACK, Target, endless, hang, lookup, raw, reply

from mailwake.clock import SystemClock
from mailwake.config.networks import parse_network
from mailwake.errors import StartupError
from mailwake.webhooks.address_rules import AddressRules
from mailwake.webhooks.connections import LookupFailedError, SystemLookup
from mailwake.webhooks.posting import FAILURES, MAX_ANSWER, Answer, HttpPoster
from mailwake.webhooks.target_url import UrlRules


def poster(**options: Any) -> HttpPoster:
    given: dict[str, Any] = {
        "timeout": 5,
        "urls": UrlRules(allow_http=True),
        "addresses": AddressRules([LOOPBACK]),
        "clock": SystemClock(),
        "lookup": lookup,
        **options,
    }
    return HttpPoster(**given)


async def post(target: Target, body: bytes = b"[]", **options: Any) -> Answer:
    return await poster(**options).post(target.url, {}, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(target: Target, status: int) -> None:
    target.always = reply(status, b"" if status == 204 else b"thanks")
    answer = await post(target)
    assert (answer.ok, answer.status, answer.code, answer.trouble) == (True, status, "", "")
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_that_says_where_it_led(target: Target, status: int) -> None:
    target.always = reply(status, b"", [f"Location: http://127.0.0.1:{target.port}/admin?token=secret"])
    answer = await post(target)
    assert (answer.ok, answer.code) == (False, "redirect")
    assert answer.trouble == f"it answered {status} to http://127.0.0.1:{target.port}: not followed"
    assert len(target.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 429, 500, 503])
async def test_any_other_answer_is_a_failure(target: Target, status: int) -> None:
    target.always = reply(status, headers=["Retry-After: 7"])
    answer = await post(target)
    assert (answer.ok, answer.status, answer.code) == (False, status, "status")
    assert answer.trouble == f"it answered {status}"
    assert answer.header("retry-after") == "7"


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("behaviour", "code", "said"),
    [
        (hang, "timeout", "did not answer within 0.3 seconds"),
        (endless(HEAD, b"X-Loris: 1\r\n" * 1000), "protocol", "no HTTP/1.1"),
        (endless(HEAD, b"X" * 10_000), "protocol", "no HTTP/1.1"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout", "did not answer"),
        (raw(b""), "cut_off", "without an answer"),
        (raw(HEAD), "cut_off", "without an answer"),
        (raw(HEAD + b"Content-Length: 10\r\n\r\nabc"), "cut_off", "answered 200, and closed in the middle"),
        (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), "cut_off", "closed in the middle"),
        (raw(b"220 mail.example ESMTP\r\n\r\n"), "protocol", "no HTTP/1.1"),
        (raw(b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n"), "protocol", "no HTTP/1.1"),
        (raw(HEAD + b"Content-Length: x\r\n\r\n"), "protocol", "no HTTP/1.1"),
        (raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "protocol", "no HTTP/1.1"),
    ],
    ids=[
        *("hangs", "endless-headers", "endless-header", "endless-100", "closes", "closes-in-head", "closes-in-body"),
        *("closes-in-chunk", "smtp", "tls", "bad-length", "upgrade"),
    ],
)
async def test_what_is_no_whole_answer_in_time_is_a_failure(
    target: Target, behaviour: Any, code: str, said: str
) -> None:
    target.always = behaviour
    answer = await post(target, timeout=0.3)
    assert (answer.ok, answer.code) == (False, code)
    assert code in FAILURES
    assert said in answer.trouble


async def test_an_answer_that_drips_is_too_late(target: Target) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    target.always = drip
    assert (await post(target, timeout=0.2)).code == "timeout"


async def test_of_a_huge_answer_only_the_beginning_is_read(target: Target) -> None:
    target.always = endless(HEAD + b"Content-Length: 100000000000\r\n\r\n", b"x" * 10_000)
    answer = await post(target)
    assert answer.ok
    assert len(answer.body) == MAX_ANSWER


async def test_an_answer_without_a_length_ends_with_the_connection(target: Target) -> None:
    target.always = raw(b"HTTP/1.0 200 OK\r\n\r\nthanks")
    answer = await post(target)
    assert (answer.ok, answer.body) == (True, b"thanks")


async def test_an_answer_before_the_body_was_read_counts(start_target: Callable[..., Awaitable[Target]]) -> None:
    """A server that refuses a large body says so and closes; we are still sending."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read(1 << 20)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await poster().post(f"http://target.example:{port}/", {}, bytes(8 << 20))
    server.close()
    assert answer.code in ("status", "cut_off")  # what has come by then is a matter of the two kernels
    assert not answer.ok


async def test_a_port_where_nobody_listens(target: Target) -> None:
    await target.stop()
    answer = await post(target) if target._server and target._server.sockets else None
    url = "http://target.example:1/"
    answer = answer or await poster(urls=UrlRules(allow_http=True, ports=(1,))).post(url, {}, b"")
    assert (answer.code, answer.status) == ("connect", 0)


# --- TLS


@pytest.fixture
async def tls(tmp_path: Path, start_target: Callable[..., Awaitable[Target]]) -> Callable[..., Awaitable[Target]]:
    async def start(name: str = "target.example", **options: Any) -> Target:
        certificate, key = make_certificate(name, **options).write(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return await start_target(ssl=context)

    return start


def https(target: Target, host: str = "target.example") -> str:
    return f"https://{host}:{target.port}/events"


async def test_a_certificate_of_an_authority_that_the_operator_names(
    tls: Callable[..., Awaitable[Target]], tmp_path: Path
) -> None:
    target = await tls()
    ca_file = tmp_path / "certificate.pem"
    answer = await poster(ca_file=ca_file).post(https(target), {}, b"[]")
    assert answer.ok
    assert target.requests[0].headers["host"] == f"target.example:{target.port}"


async def test_certificates_that_are_not_good(tls: Callable[..., Awaitable[Target]], tmp_path: Path) -> None:
    target = await tls()
    ca_file = tmp_path / "certificate.pem"
    stranger = await poster().post(https(target), {}, b"[]")
    assert (stranger.code, stranger.trouble) == ("tls", "its certificate is not good: self-signed certificate")
    other_name = await poster(ca_file=ca_file).post(https(target, "other.example"), {}, b"[]")
    assert other_name.code == "tls"
    assert "Hostname mismatch" in other_name.trouble
    expired = await tls(days=(-3, -1))
    late = await poster(ca_file=ca_file).post(https(expired), {}, b"[]")
    assert (late.code, late.trouble) == ("tls", "its certificate is not good: certificate has expired")
    assert target.requests + expired.requests == []


async def test_a_target_that_speaks_no_tls(target: Target) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 this is http\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"https://target.example:{server.sockets[0].getsockname()[1]}/"
    answer = await poster().post(url, {}, b"[]")
    server.close()
    assert (answer.ok, answer.code) == (False, "tls")


async def test_a_handshake_that_hangs_is_ended_and_leaves_no_connection_open(target: Target) -> None:
    answer = await poster(timeout=0.2).post(https(target), {}, b"[]")  # it waits for the end of a request's head
    assert (answer.ok, answer.code) == (False, "timeout")
    await target.until(lambda: not target._tasks)


def test_a_file_of_authorities_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(StartupError, match=rf"tls_ca_file: cannot use .*{name}.*; name a PEM file"):
            poster(ca_file=tmp_path / name)


# --- who may be connected to


async def test_the_address_is_checked_that_is_connected_to(target: Target) -> None:
    """DNS rebinding: the name had an address that is allowed when the webhook was made, and has another one now."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    rebound = poster(addresses=AddressRules([parse_network("127.0.0.2")]), lookup=rebinding)
    assert (await rebound.post(target.url, {}, b"[]")).code == "connect"
    answer = await rebound.post(target.url, {}, b"[]")
    assert asked == ["target.example", "target.example"]
    assert (answer.code, answer.status) == ("refused", 0)
    assert "target.example leads to 127.0.0.1 (this machine), where no target may be" in answer.trouble
    assert target.connections == 0


async def test_of_several_addresses_only_those_are_tried_that_may_be(target: Target) -> None:
    async def several(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "169.254.169.254", "127.0.0.1"]

    answer = await post(target, lookup=several)
    assert answer.ok
    assert answer.seconds < 2


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "0"])
async def test_other_spellings_of_this_machine_are_this_machine(target: Target, host: str) -> None:
    url = f"http://{host}:{target.port}/"
    answer = await poster(addresses=AddressRules(), lookup=SystemLookup()).post(url, {}, b"[]")
    assert answer.code == "refused"
    assert target.connections == 0


async def test_an_ipv6_address_in_brackets(target: Target) -> None:
    for host, kind in (("[::1]", "this machine"), ("[::ffff:10.0.0.1]", "a private network")):
        url = f"http://{host}:{target.port}/"
        answer = await poster(addresses=AddressRules(), lookup=SystemLookup()).post(url, {}, b"[]")
        assert (answer.code, kind in answer.trouble) == ("refused", True)


async def test_rules_about_urls_hold_at_each_post(target: Target) -> None:
    answer = await poster(urls=UrlRules()).post(target.url, {}, b"[]")
    assert answer.code == "refused"
    assert "must begin with https://, or set allow_http" in answer.trouble
    assert target.connections == 0


async def test_a_name_that_does_not_exist() -> None:
    answer = await poster(lookup=SystemLookup()).post("http://nowhere.invalid/", {}, b"[]")
    assert answer.code == "lookup"
    assert answer.trouble.startswith("nowhere.invalid cannot be looked up: ")


async def test_a_name_server_that_hangs_holds_up_its_own_targets_only(target: Target) -> None:
    never = asyncio.Event()

    async def slow(host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            await never.wait()
        return ["127.0.0.1"]

    one = poster(lookup=slow, timeout=0.5)
    hanging = [asyncio.create_task(one.post(f"http://slow{number}.example/", {}, b"[]")) for number in range(100)]
    assert (await one.post(target.url, {}, b"[]")).ok
    assert [answer.code for answer in await asyncio.gather(*hanging)] == ["timeout"] * 100


async def test_a_host_is_looked_up_once_at_a_time() -> None:
    system = SystemLookup()
    found = await asyncio.gather(*(system("localhost", 80) for _ in range(10)))
    assert all("127.0.0.1" in each or "::1" in each for each in found)
    assert system._running == {}
    with pytest.raises(LookupFailedError):
        await system("nowhere.invalid", 80)
    assert system._running == {}


async def test_proxies_of_the_environment_are_not_asked(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await post(target)).ok
