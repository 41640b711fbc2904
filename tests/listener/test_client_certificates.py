"""Client certificates: whoever presents a listed one is its account without AUTH."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailwake.listener.accounts import Account
from mailwake.transport.tls import server_context

from .certificates import Made, make_certificate
from .conftest import PASSWORD_HASH, Client, Running, Start
from .test_policy_phases import policies

PLAIN = "AUTH PLAIN AGFjbWUAc2VjcmV0"


@dataclass
class Setup:
    """A listener that asks for certificates, an authority, and clients with certificates of it."""

    running: Running
    directory: Path
    server: Path
    implicit: bool

    async def connect(self, presented: Made | None) -> Client:
        context = ssl.create_default_context(cafile=self.server)
        if presented is not None:
            context.load_cert_chain(*presented.write(self.directory, "client-"))
        if self.implicit:
            where = "127.0.0.1", self.running.port
            client = Client(*await asyncio.open_connection(*where, ssl=context, server_hostname="mx.test.example"))
            await client.reply()
            return client
        client = await self.running.ready()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(context, server_hostname="mx.test.example")
        return client


CA = make_certificate("Test CA")
LISTED = make_certificate("shop.example", issuer=CA)
UNLISTED = make_certificate("other.example", issuer=CA)
STRANGER = make_certificate("shop.example", issuer=make_certificate("Test CA"))

Begin = Callable[..., Any]


@pytest.fixture(params=["starttls", "implicit"])
def begin(request: pytest.FixtureRequest, start: Start, certificate: tuple[Path, Path], tmp_path: Path) -> Begin:
    async def made(authorities: tuple[Made, ...] = (CA,), **options: Any) -> Setup:
        bundle = tmp_path / "ca.pem"
        bundle.write_bytes(b"".join(each.write(tmp_path, "one-")[0].read_bytes() for each in authorities))
        options.setdefault("networks", "")
        running = await start(
            tls=server_context(*certificate, client_ca=bundle),
            implicit_tls=request.param == "implicit",
            accounts=[Account("acme", PASSWORD_HASH, "customer-42"), Account("shop", "", "7", (LISTED.fingerprint,))],
            **options,
        )
        return Setup(running, tmp_path, certificate[0], request.param == "implicit")

    return made


async def _send(client: Client) -> str:
    reply = await client.say("MAIL FROM:<a@b.example>")
    if reply.startswith("250"):
        reply = await client.say("RCPT TO:<r@c.example>")
    if reply.startswith("250"):
        assert (await client.say("DATA")).startswith("354")
        reply = await client.say(b"hello\r\n.\r\n")
    return reply


async def test_a_listed_certificate_is_its_account(begin: Begin) -> None:
    setup = await begin()
    client = await setup.connect(LISTED)
    hello = await client.say("EHLO c.example")
    assert hello.startswith("250")
    assert "AUTH" not in hello
    assert (await client.say(PLAIN)).startswith("503 5.5.1 Already authenticated")
    assert (await _send(client)).startswith("250")
    session = setup.running.receiver.messages[0][0]
    assert session.account == "shop"
    assert session.context.get("mo_customer_id") == "7"
    assert (session.context.get("auth_user"), session.context.get("auth_status")) == ("shop", "pass")
    assert session.protocol == "ESMTPS"  # RFC 3848: the A is for AUTH
    client.writer.close()


@pytest.mark.parametrize("presented", [UNLISTED, None], ids=["unlisted", "none"])
async def test_any_other_client_has_to_authenticate(begin: Begin, presented: Made | None) -> None:
    setup = await begin()
    client = await setup.connect(presented)
    assert "AUTH PLAIN LOGIN" in await client.say("EHLO c.example")
    assert (await _send(client)).startswith("550 5.7.1")
    await client.say("RSET")
    assert (await client.say(PLAIN)).startswith("235")
    assert (await _send(client)).startswith("250")
    session = setup.running.receiver.messages[0][0]
    assert (session.account, session.protocol) == ("acme", "ESMTPSA")
    client.writer.close()


async def test_a_certificate_of_a_strange_authority_ends_the_handshake(begin: Begin) -> None:
    setup = await begin()
    with contextlib.suppress(ssl.SSLError, ConnectionError):  # with TLS 1.3 the client learns it after its own part
        await setup.connect(STRANGER)
    for _ in range(3000):
        if setup.running.metrics.counter("smtp_tls_handshakes_total", "failed").value:
            break
        await asyncio.sleep(0.01)
    assert setup.running.metrics.counter("smtp_tls_handshakes_total", "failed").value == 1


async def test_a_self_signed_certificate_is_its_own_authority(begin: Begin) -> None:
    alone = make_certificate("alone.example")
    setup = await begin(authorities=(CA, alone))
    client = await setup.connect(alone)
    assert "AUTH PLAIN LOGIN" in await client.say("EHLO c.example")  # its fingerprint is that of no account
    client.writer.close()


@pytest.mark.parametrize("presented", [UNLISTED, None], ids=["unlisted", "none"])
async def test_where_one_is_required_nothing_goes_without(begin: Begin, presented: Made | None) -> None:
    setup = await begin(networks="127.0.0.0/8", certificate_required=True)
    client = await setup.connect(presented)
    assert ("AUTH" in await client.say("EHLO c.example")) == bool(presented)
    reply = await _send(client)
    assert reply.startswith("250" if presented else "530 5.7.0 A client certificate is needed")
    await client.say("RSET")
    assert (await client.say(PLAIN)).startswith("235" if presented else "502 5.5.1 AUTH is not offered")
    client.writer.close()


async def test_where_one_is_required_the_clear_is_not_enough(start: Start, certificate: tuple[Path, Path]) -> None:
    running = await start(tls=server_context(*certificate), auth_requires_tls="no", certificate_required=True)
    client = await running.connect()
    await client.reply()
    assert "AUTH" not in await client.say("EHLO c.example")
    assert (await client.say(PLAIN)).startswith("502 5.5.1")
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("530 5.7.0")


async def test_policy_is_asked_as_for_auth_and_once(begin: Begin, tmp_path: Path) -> None:
    source = (
        "def validate_auth(user, accept, context):\n"
        "    context.set('asked', f\"{context.get('asked') or ''}{user}/{context.get('mo_customer_id')} \")\n"
    )
    setup = await begin(policies=policies(tmp_path, source))
    client = await setup.connect(LISTED)
    for _ in range(2):
        assert "AUTH" not in await client.say("EHLO c.example")
    assert (await _send(client)).startswith("250")
    assert setup.running.receiver.messages[0][0].context.get("asked") == "shop/7 "
    client.writer.close()


async def test_policy_can_refuse_it(begin: Begin, tmp_path: Path) -> None:
    source = "def validate_auth(user, accept, context):\n    return refuse(550, '5.7.1 not today')\n"
    setup = await begin(policies=policies(tmp_path, source), networks="127.0.0.0/8")
    client = await setup.connect(LISTED)
    assert await client.say("EHLO c.example") == "550 5.7.1 not today"
    assert (await client.say("MAIL FROM:<a@b.example>")).startswith("503")
    client.writer.close()


async def test_it_is_not_that_of_the_clients_whom_its_owner_speaks_for(begin: Begin) -> None:
    setup = await begin(config='[esmtp_listener.peer."127.0.0.1"]\nsmtp_extensions = ["XCLIENT"]\n')
    client = await setup.connect(LISTED)
    await client.say("EHLO c.example")
    assert (await client.say("XCLIENT ADDR=192.0.2.7")).startswith("220")
    assert "AUTH PLAIN LOGIN" in await client.say("EHLO c.example")
    assert (await _send(client)).startswith("550 5.7.1")
    client.writer.close()
