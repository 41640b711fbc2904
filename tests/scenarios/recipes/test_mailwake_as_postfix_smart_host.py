"""docs/recipes/postfix-smart-host.md, the other sections: Postfix relays by mailwake, and Exim is the cloud."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .exim import Exim
from .newsletters import LONG_FIELD, assert_tracked, assert_untracked, newsletter
from .page import Recipe
from .postfix import Postfix
from .root import loopback_address

pytestmark = pytest.mark.scenario

PAGE = "postfix-smart-host.md"
RECIPIENTS = ["ann@example.org", "bob@example.org", "cid@example.net"]
PASSWORD = "correct horse battery staple"
# A provider that wants TLS and AUTH LOGIN, takes what the world takes, and knows a recipient who is no more.
PROVIDER = """
primary_hostname = smtp.relay.example
daemon_smtp_ports = 587
local_interfaces = {address}
tls_advertise_hosts = *
tls_certificate = /etc/ssl/private/certificate.pem
tls_privatekey = /etc/ssl/private/key.pem
auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}}}
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
begin acl
check_rcpt:
  deny !authenticated = *
       message = log in first
  deny recipients = gone@example.org
       message = 5.1.1 nobody of that name since May
  accept
begin routers
world:
  driver = manualroute
  route_list = * {host}::{port}
  transport = world
begin transports
world:
  driver = smtp
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if and {{{{eq{{$auth1}}{{example-com}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""


@pytest.fixture(scope="module")
def provider(address: str, world: World) -> Iterator[Exim]:
    server = Exim(address, world.address, domains=())
    host, port = world.address.split(":")
    server.write("/etc/exim4/exim4.conf", PROVIDER.format(address=address, host=host, port=port, password=PASSWORD))
    try:
        server.begin(587)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def mailwake(
    address: str, provider: Exim, wire: Callable[..., WiredMailwake], tmp_path_factory: pytest.TempPathFactory
) -> WiredMailwake:
    password: Path = tmp_path_factory.mktemp("password") / "password"
    password.write_text(PASSWORD + "\n")
    changes = {"smtp.relay.example": address, "/etc/mailwake/relay-password": str(password)}
    page = Recipe(PAGE, "mailwake as the smart host", changes)
    return wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0", trusted=provider.certificate)


@pytest.fixture(scope="module")
def postfix(address: str, world: World, mailwake: WiredMailwake) -> Iterator[Postfix]:
    page = Recipe(PAGE, "mailwake as the smart host", {"[127.0.0.1]:2525": f"[127.0.0.1]:{mailwake.smtp[1]}"})
    server = Postfix(address, world.address)
    server.main = re.sub(r"^default_transport.*\n", "", server.main, flags=re.MULTILINE)
    server.add_to_main(page.file("/etc/postfix/main.cf"))
    try:
        server.begin(25)
        yield server
    finally:
        server.remove()


def send(postfix: Postfix, sender: str, recipients: list[str], content: bytes) -> bytes:
    with smtplib.SMTP(postfix.address, 25) as client:
        assert client.sendmail(sender, recipients, content) == {}
    return content


def test_everything_leaves_by_mailwake_and_the_provider(
    postfix: Postfix, mailwake: WiredMailwake, provider: Exim, world: World
) -> None:
    sent = send(postfix, "news@example.com", RECIPIENTS, newsletter("by-smart-host"))
    copies = world.copies("by-smart-host", 3)
    for copy in copies.values():
        assert_tracked(copy, sent)
    told = [(event["type"], event["rcpt_to"]) for event in mailwake.events_of("by-smart-host")]
    assert sorted(told) == sorted([(kind, to) for kind in ("injection", "delivery") for to in RECIPIENTS])
    assert len(re.findall(r"P=esmtpsa X=TLS\S+ .*A=login:example-com", provider.log)) == 3
    wait_until(lambda: not postfix.queue(), "Postfix has nothing left to do")


def test_a_long_field_of_the_header_survives_postfix(postfix: Postfix, mailwake: WiredMailwake, world: World) -> None:
    sent = send(postfix, "news@example.com", ["ann@example.org"], newsletter("long-field", field=LONG_FIELD))
    assert_tracked(world.copies("long-field")["ann@example.org"], sent)
    injection = next(e for e in mailwake.events_of("long-field") if e["type"] == "injection")
    assert (injection["campaign_id"], injection["rcpt_meta"]) == ("spring", {"k": "v" * 150})


def test_the_providers_refusal_comes_back_in_its_own_words(
    postfix: Postfix, mailwake: WiredMailwake, provider: Exim, world: World
) -> None:
    recipients = ["gone@example.org", "dan@example.org"]
    send(postfix, "editor@example.net", recipients, newsletter("to-one-who-is-gone"))
    assert list(world.copies("to-one-who-is-gone")) == ["dan@example.org"]
    report = wait_until(lambda: dict(world.messages()).get("editor@example.net"), "the sender gets the bounce")
    assert b"Final-Recipient: rfc822; gone@example.org" in report
    assert b"Diagnostic-Code: smtp; 550 5.1.1 nobody of that name since May" in report
    assert b"Reporting-MTA: dns; mail.example.com" in report, "it is Postfix that reports"


def test_while_the_provider_is_away_mail_waits_in_postfix(
    postfix: Postfix, mailwake: WiredMailwake, provider: Exim, world: World
) -> None:
    provider.stop()
    sent = send(postfix, "news@example.com", ["eve@example.org"], newsletter("patience"))
    wait_until(lambda: "to=<eve@example.org>" in postfix.log, "Postfix has tried")
    assert re.search(
        r"to=<eve@example\.org>.* dsn=4\.\d\.\d, status=deferred \(host 127\.0\.0\.1\S* said: 451 ", postfix.log
    )
    provider.begin(587)
    postfix.run("/usr/sbin/postqueue", "-f")
    assert_tracked(world.copies("patience")["eve@example.org"], sent)


def test_only_some_senders(world: World, mailwake: WiredMailwake) -> None:
    page = Recipe(PAGE, "Only some senders", {"[127.0.0.1]:2525": f"[127.0.0.1]:{mailwake.smtp[1]}"})
    server = Postfix(loopback_address(), world.address)
    server.main = re.sub(r"^default_transport.*\n", "", server.main, flags=re.MULTILINE)
    server.add_to_main("relayhost = [{}]:{}\n".format(*world.address.split(":")))
    server.add_to_main(page.file("/etc/postfix/main.cf"))
    server.write("/etc/postfix/tracked_senders", page.file("/etc/postfix/tracked_senders"))
    assert page.all_used()
    try:
        server.begin(25)
        for number, sender in enumerate(["news@example.com", "any@shop.example", "anna@example.com"]):
            subject = f"some-senders-{number}"
            sent = send(server, sender, ["ann@example.org"], newsletter(subject))
            copy = world.copies(subject)["ann@example.org"]
            (assert_untracked if sender == "anna@example.com" else assert_tracked)(copy, sent)
    finally:
        server.remove()
