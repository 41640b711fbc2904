"""docs/recipes/exim-next-hop.md with Debian's Exim: as next hop, with AUTH over TLS, with mailwake as smart host."""

from __future__ import annotations

import re
import shutil
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .exim import Exim
from .newsletters import STORIES, assert_tracked, newsletter, tracked_links
from .page import Recipe

pytestmark = pytest.mark.scenario

PAGE = "exim-next-hop.md"
RECIPIENTS = ["ann@example.org", "bob@example.org", "cid@example.net"]


@pytest.fixture(scope="module")
def plain(address: str) -> Recipe:
    return Recipe(PAGE, "mailwake before Exim", {"127.0.0.1": address})


@pytest.fixture(scope="module")
def secured(address: str) -> Recipe:
    # There is no mail.example.com that leads here; the certificate is for both.
    return Recipe(PAGE, "mailwake before Exim, with AUTH, over TLS", {"mail.example.com:25": f"{address}:25"})


@pytest.fixture(scope="module")
def exim(address: str, world: World, plain: Recipe, secured: Recipe) -> Iterator[Exim]:
    server = Exim(address, world.address)
    try:
        for recipe, path in (
            (plain, "/etc/exim4/update-exim4.conf.conf"),
            (plain, "/etc/exim4/conf.d/main/00_local_mailwake"),
            (secured, "/etc/exim4/conf.d/main/00_local_tls"),
            (secured, "/etc/exim4/conf.d/auth/40_local_mailwake"),
            (secured, "/etc/exim4/passwd"),
        ):
            server.write(path, recipe.file(path))
        shutil.copy(server.certificate, server / "etc/exim4/mail.example.com.crt")
        shutil.copy(server.certificate.with_name("key.pem"), server / "etc/exim4/mail.example.com.key")
        server.begin(25)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def mailwake(wire: Callable[..., WiredMailwake], exim: Exim, plain: Recipe) -> WiredMailwake:
    service = wire(plain.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    assert plain.all_used()
    return service


def test_each_recipient_gets_a_tracked_copy_through_exim(mailwake: WiredMailwake, exim: Exim, world: World) -> None:
    sent = newsletter("exim")
    assert mailwake.send("news@example.com", RECIPIENTS, sent) == {}
    copies = world.copies("exim", 3)
    assert sorted(copies) == RECIPIENTS
    for copy in copies.values():
        assert_tracked(copy, sent)
    assert len(set.union(*map(tracked_links, copies.values()))) == 3 * 2 * STORIES
    told = [(event["type"], event["rcpt_to"]) for event in mailwake.events_of("exim")]
    assert sorted(told) == sorted([(kind, to) for kind in ("injection", "delivery") for to in RECIPIENTS])
    # Exim marks with K what came with BDAT, and with esmtps what came under TLS.
    assert len(re.findall(r"<= news@example\.com .* P=esmtps X=TLS1\.3\S* .*\bK\b", exim.log)) == 3


def test_a_refused_recipient_is_refused_in_exim_own_words(mailwake: WiredMailwake, world: World) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        mailwake.send("news@example.com", ["odd!name@example.org"], newsletter("exim-odd"))
    assert refusal.value.smtp_code == 550
    assert b"restricted characters in address" in refusal.value.smtp_error
    recipients = ["odd!name@example.org", "dan@example.org"]
    assert mailwake.send("editor@example.net", recipients, newsletter("exim-odd-too")) == {}
    assert list(world.copies("exim-odd-too")) == ["dan@example.org"]
    report = wait_until(lambda: dict(world.messages()).get("editor@example.net"), "the sender gets the bounce")
    assert b"Final-Recipient: rfc822; odd!name@example.org" in report
    assert b"restricted characters in address" in report


def test_exim_returns_what_it_took_and_cannot_deliver(mailwake: WiredMailwake, world: World) -> None:
    assert mailwake.send("author@example.net", ["stranger@mail.example.com"], newsletter("exim-stranger")) == {}
    report = wait_until(lambda: dict(world.messages()).get("author@example.net"), "the sender gets the bounce")
    assert b"Remote-MTA" not in report, "it is Exim's own"
    assert b"stranger@mail.example.com" in report
    assert [event["type"] for event in mailwake.events_of("exim-stranger")] == ["injection", "delivery"]


def test_exim_delivers_more_than_ten_messages_of_a_connection(
    mailwake: WiredMailwake, exim: Exim, world: World
) -> None:
    """It would leave those after the tenth to its next queue run."""
    with mailwake.client() as client:
        for number in range(25):
            sent = newsletter(f"exim-series-{number}")
            assert client.sendmail("news@example.com", ["ann@example.org"], sent) == {}
    for number in range(25):
        assert list(world.copies(f"exim-series-{number}")) == ["ann@example.org"]
    assert "no immediate delivery" not in exim.log


def test_a_line_that_tracking_makes_too_long_for_exim(mailwake: WiredMailwake, world: World) -> None:
    long = "<p>" + "x" * 900 + ' <a href="https://news.example.org/long">weiter</a></p>\r\n'
    assert mailwake.send("news@example.com", ["ann@example.org"], newsletter("exim-long-line", extra=long)) == {}
    copy = world.copies("exim-long-line")["ann@example.org"]
    assert b"quoted-printable" in copy
    assert max(map(len, copy.splitlines())) <= 998


def test_auth_over_a_verified_connection(
    wire: Callable[..., WiredMailwake], exim: Exim, secured: Recipe, world: World, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(secured.file("/etc/mailwake/relay-password"))
    configuration = secured.file("/etc/mailwake/mailwake.toml").replace("/etc/mailwake/relay-password", str(password))
    assert secured.all_used()
    service = wire(configuration, "--smtp", "127.0.0.1:0", trusted=exim.certificate)
    sent = newsletter("exim-auth")
    assert service.send("news@example.com", ["ann@example.org"], sent) == {}
    assert_tracked(world.copies("exim-auth")["ann@example.org"], sent)
    assert re.search(r"P=esmtpsa X=\S+ .*A=mailwake_plain:mailwake", exim.log)
    service.stop()


def test_a_wrong_password_is_a_failure_for_now(
    wire: Callable[..., WiredMailwake], exim: Exim, secured: Recipe, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    configuration = secured.file("/etc/mailwake/mailwake.toml").replace("/etc/mailwake/relay-password", str(password))
    service = wire(configuration, "--smtp", "127.0.0.1:0", trusted=exim.certificate)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        service.send("news@example.com", ["ann@example.org"], newsletter("exim-wrong"))
    assert 400 <= refusal.value.smtp_code < 500
    service.stop()


def test_mailwake_as_the_smart_host(wire: Callable[..., WiredMailwake], address: str, world: World) -> None:
    page = Recipe(PAGE, "mailwake as the smart host", {"smtp.relay.example:25": world.address})
    service = wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
    # mailwake stays on 127.0.0.1, so that Exim may see that its smart host is its own machine.
    page.substitutions.update({"127.0.0.1::2525": f"127.0.0.1::{service.smtp[1]}", "='127.0.0.1'": f"='{address}'"})
    server = Exim(address, world.address, domains=())
    try:
        path = "/etc/exim4/update-exim4.conf.conf"
        server.write(path, page.file(path).replace(f"'{address}'", f"'{address}.2500'"))
        assert page.all_used()
        server.begin(2500)
        sent = newsletter("exim-smart-host")
        with smtplib.SMTP(address, 2500) as client:
            assert client.sendmail("news@example.com", RECIPIENTS, sent) == {}
        copies = world.copies("exim-smart-host", 3)
        for copy in copies.values():
            assert_tracked(copy, sent)
        assert len(service.events_of("exim-smart-host")) == 6
        wait_until(lambda: "Completed" in server.log, "Exim has nothing left to do")
    finally:
        server.remove()
