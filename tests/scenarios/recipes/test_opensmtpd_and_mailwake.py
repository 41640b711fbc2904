"""docs/recipes/opensmtpd-next-hop.md with Debian's OpenSMTPD: as next hop, as a client, and as both at once."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Callable, Iterator

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .newsletters import STORIES, assert_tracked, newsletter, times_received, tracked_links
from .opensmtpd import OpenSmtpd
from .page import Recipe
from .root import loopback_address

pytestmark = pytest.mark.scenario

PAGE = "opensmtpd-next-hop.md"
RECIPIENTS = ["ann@example.org", "bob@example.org", "cid@example.net"]
CONFIGURATION = "/etc/smtpd.conf"


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str, str], OpenSmtpd]]:
    with contextlib.ExitStack() as ends:

        def start(address: str, configuration: str, *ports: int) -> OpenSmtpd:
            server = OpenSmtpd(address)
            ends.callback(server.remove)
            server.write(CONFIGURATION, configuration)
            server.begin(25, *ports)
            return server

        yield start


@pytest.fixture(scope="module")
def outbound(world: World) -> dict[str, str]:
    """The world has no MX records here: `relay` gets the host that the test's mail is for."""
    return {'action "outbound" relay': f'action "outbound" relay host smtp+notls://{world.address}'}


@pytest.fixture(scope="module")
def next_hop(address: str, outbound: dict[str, str]) -> Recipe:
    return Recipe(PAGE, "mailwake before OpenSMTPD", {"127.0.0.1": address, **outbound})


@pytest.fixture(scope="module")
def mailwake(
    address: str, next_hop: Recipe, wire: Callable[..., WiredMailwake], servers: Callable[..., OpenSmtpd]
) -> WiredMailwake:
    servers(address, next_hop.file(CONFIGURATION))
    service = wire(next_hop.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    assert next_hop.all_used()
    return service


def assert_each_has_a_tracked_copy(service: WiredMailwake, world: World, subject: str, sent: bytes) -> list[bytes]:
    copies = world.copies(subject, len(RECIPIENTS))
    assert sorted(copies) == RECIPIENTS
    for copy in copies.values():
        assert_tracked(copy, sent)
    assert len(set.union(*map(tracked_links, copies.values()))) == 3 * 2 * STORIES
    told = [(event["type"], event["rcpt_to"]) for event in service.events_of(subject)]
    assert sorted(told) == sorted([(kind, to) for kind in ("injection", "delivery") for to in RECIPIENTS])
    return list(copies.values())


def test_each_recipient_gets_a_tracked_copy_through_opensmtpd(mailwake: WiredMailwake, world: World) -> None:
    sent = newsletter("opensmtpd")
    assert mailwake.send("news@example.com", RECIPIENTS, sent) == {}
    assert_each_has_a_tracked_copy(mailwake, world, "opensmtpd", sent)


def test_a_refused_recipient_is_refused_in_opensmtpd_own_words(mailwake: WiredMailwake, world: World) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        mailwake.send("news@example.com", ["stranger@mail.example.com"], newsletter("opensmtpd-stranger"))
    assert refusal.value.smtp_code == 550
    assert b"Invalid recipient" in refusal.value.smtp_error
    recipients = ["stranger@mail.example.com", "dan@example.org"]
    assert mailwake.send("author@example.net", recipients, newsletter("opensmtpd-stranger-too")) == {}
    assert list(world.copies("opensmtpd-stranger-too")) == ["dan@example.org"]
    report = wait_until(lambda: dict(world.messages()).get("author@example.net"), "the sender gets the bounce")
    assert b"Final-Recipient: rfc822; stranger@mail.example.com" in report
    assert b"Invalid recipient" in report


def test_more_messages_than_opensmtpd_takes_of_a_session(mailwake: WiredMailwake, world: World) -> None:
    """It takes a hundred; mailwake goes on with another connection."""
    with mailwake.client() as client:
        for number in range(110):
            sent = newsletter(f"opensmtpd-series-{number}")
            assert client.sendmail("news@example.com", ["ann@example.org"], sent) == {}
    for number in range(110):
        assert list(world.copies(f"opensmtpd-series-{number}")) == ["ann@example.org"]


def test_addresses_in_utf8_are_returned(mailwake: WiredMailwake) -> None:
    with mailwake.client() as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail("a@example.com", ["jürgen@example.org"], newsletter("opensmtpd-utf8"), ["SMTPUTF8"])
    assert refusal.value.smtp_code == 550
    assert b"5.6.7" in refusal.value.smtp_error


def test_mailwake_as_the_smart_host(
    wire: Callable[..., WiredMailwake], servers: Callable[..., OpenSmtpd], world: World
) -> None:
    here = loopback_address()
    page = Recipe(PAGE, "mailwake as the smart host", {"smtp.relay.example:25": world.address})
    service = wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    page.substitutions.update(
        {"127.0.0.1:2525": f"127.0.0.1:{service.smtp[1]}", "listen on 127.0.0.1": f"listen on {here}"}
    )
    servers(here, page.file(CONFIGURATION))
    assert page.all_used()
    sent = newsletter("opensmtpd-smart-host")
    with smtplib.SMTP(here, 25) as client:
        assert client.sendmail("news@example.com", RECIPIENTS, sent) == {}
    assert_each_has_a_tracked_copy(service, world, "opensmtpd-smart-host", sent)


def test_there_and_back(
    wire: Callable[..., WiredMailwake], servers: Callable[..., OpenSmtpd], world: World, outbound: dict[str, str]
) -> None:
    here = loopback_address()
    page = Recipe(PAGE, "There and back", {"127.0.0.1:10026": f"{here}:10026", **outbound})
    service = wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    page.substitutions.update(
        {"127.0.0.1:2525": f"127.0.0.1:{service.smtp[1]}", "listen on 127.0.0.1": f"listen on {here}"}
    )
    servers(here, page.file(CONFIGURATION), 10026)
    assert page.all_used()
    sent = newsletter("there-and-back")
    with smtplib.SMTP(here, 25) as client:
        assert client.sendmail("news@example.com", RECIPIENTS, sent) == {}
    for copy in assert_each_has_a_tracked_copy(service, world, "there-and-back", sent):
        assert times_received(copy, "mail.example.com") == 2, "OpenSMTPD and OpenSMTPD again"
