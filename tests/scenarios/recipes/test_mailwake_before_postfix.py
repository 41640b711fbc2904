"""docs/recipes/postfix-smart-host.md, first section: senders talk to mailwake, and Debian's Postfix is its next hop."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .newsletters import assert_tracked, newsletter, times_received, tracked_links
from .page import Recipe
from .postfix import Postfix

pytestmark = pytest.mark.scenario

# Domains to which Postfix delivers by itself; smtp-sink, for one thing, takes no addresses in UTF-8.
DOMAINS = "transport_maps = inline:{{utf8.example=discard:},{final.example=discard:}}\n"


@pytest.fixture(scope="module")
def recipe(address: str) -> Recipe:
    return Recipe("postfix-smart-host.md", "mailwake before Postfix", {"127.0.0.1": address})


@pytest.fixture(scope="module")
def postfix(address: str, world: World, recipe: Recipe) -> Iterator[Postfix]:
    server = Postfix(address, world.address)
    server.add_to_main(DOMAINS + recipe.file("/etc/postfix/main.cf"))
    try:
        server.begin(25)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def mailwake(
    address: str, wire: Callable[..., WiredMailwake], postfix: Postfix, recipe: Recipe
) -> Iterator[WiredMailwake]:
    service = wire(recipe.file("/etc/mailwake/mailwake.toml"), "--smtp", f"{address}:2525")
    assert recipe.all_used()
    yield service
    service.stop()
    # What Postfix says when a connection has ended: that CHUNKING and STARTTLS were used, and no command refused
    # but those that the tests meant to be.
    ended = [line for line in postfix.log.splitlines() if "disconnect from" in line and "bdat=" in line]
    assert ended
    assert all("starttls=1" in line and " data=" not in line for line in ended), ended


def test_each_recipient_gets_a_tracked_copy_through_postfix(mailwake: WiredMailwake, world: World) -> None:
    sent = newsletter("three-readers")
    recipients = ["ann@example.org", "bob@example.org", "cid@example.net"]
    assert mailwake.send("news@example.com", recipients, sent) == {}
    copies = world.copies("three-readers", 3)
    assert sorted(copies) == recipients
    for copy in copies.values():
        assert_tracked(copy, sent)
        assert times_received(copy, "mail.example.com") == 1
    assert len(set.union(*map(tracked_links, copies.values()))) == 30
    told = [(event["type"], event["rcpt_to"]) for event in mailwake.events_of("three-readers")]
    assert sorted(told) == sorted([(kind, to) for kind in ("injection", "delivery") for to in recipients])


def test_a_refused_recipient_is_refused_in_postfix_own_words(mailwake: WiredMailwake) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refusal, mailwake.client() as client:
        client.sendmail("news@example.com", ["stranger@mail.example.com"], newsletter("to-a-stranger"))
    assert refusal.value.smtp_code == 550
    assert b"5.1.1 <stranger@mail.example.com>: Recipient address rejected: User unknown" in refusal.value.smtp_error
    assert mailwake.events_of("to-a-stranger") == [], "it was never taken"


def test_of_two_recipients_one_is_taken_and_the_other_one_bounces(mailwake: WiredMailwake, world: World) -> None:
    sent = newsletter("to-a-stranger-too")
    assert mailwake.send("news@example.com", ["stranger@mail.example.com", "dan@example.org"], sent) == {}
    (copy,) = world.copies("to-a-stranger-too").values()
    assert_tracked(copy, sent)
    (report,) = [wait_until(lambda: returned_to(world, "news@example.com"), "the sender gets the bounce")]
    assert b"Final-Recipient: rfc822; stranger@mail.example.com" in report
    assert b"550" in report
    assert b"User unknown" in report


def returned_to(world: World, sender: str) -> bytes | None:
    return dict(world.messages()).get(sender)


def test_a_message_larger_than_postfix_took_before(mailwake: WiredMailwake, world: World) -> None:
    sent = newsletter("twelve-megabytes", extra=("<p>" + "x" * 900 + "</p>\r\n") * 13_300)
    assert len(sent) > 12_000_000
    assert mailwake.send("news@example.com", ["ann@example.org"], sent) == {}
    assert_tracked(world.copies("twelve-megabytes")["ann@example.org"], sent)


def test_addresses_in_utf8(mailwake: WiredMailwake, postfix: Postfix) -> None:
    with mailwake.client() as client:
        client.ehlo()
        sent = newsletter("smtputf8")
        assert client.sendmail("größe@example.com", ["jürgen@utf8.example"], sent, ["SMTPUTF8", "BODY=8BITMIME"]) == {}
    pattern = re.compile(r"to=<jürgen@utf8\.example>.*status=sent")
    wait_until(lambda: pattern.search(postfix.log), "Postfix has delivered it")


def test_reports_that_the_sender_asked_for_come_from_postfix(mailwake: WiredMailwake, world: World) -> None:
    """RFC 3461: mailwake passes the parameters on, and Postfix, which knows them, acts on them."""
    sent = newsletter("success-wanted")
    asked = (["RET=HDRS", "ENVID=QQ314159"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Ann+2BBob@example.org"])
    with mailwake.client() as client:
        client.ehlo()
        # The one is delivered by Postfix itself, the other one relayed to a server that offers DSN, too.
        assert client.sendmail("author@example.net", ["ann@final.example", "bob@example.org"], sent, *asked) == {}
    report = wait_until(lambda: dict(world.messages()).get("author@example.net"), "the sender gets a report")
    assert b"Original-Envelope-Id: QQ314159" in report
    assert b"Original-Recipient: rfc822;Ann+Bob@example.org" in report
    assert b"Final-Recipient: rfc822; ann@final.example" in report
    assert b"Action: delivered" in report
    assert b"https://" not in report, "RET=HDRS"
    assert_tracked(world.copies("success-wanted")["bob@example.org"], sent)
    to_the_world = world.envelope("success-wanted", "bob@example.org")
    assert b"ENVID=QQ314159" in to_the_world
    assert b"RET=HDRS" in to_the_world
    assert b"NOTIFY=SUCCESS,FAILURE" in to_the_world
    assert b"ORCPT=rfc822;Ann+2BBob@example.org" in to_the_world


def test_binary_mail_is_made_fit_for_postfix(mailwake: WiredMailwake, world: World) -> None:
    """Postfix offers CHUNKING but not BINARYMIME."""
    picture = bytes(range(256)) * 8 + b"\n\r\0\r\n.\r\n"
    head = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    text = newsletter("binary")
    end = b"\r\n--=_newsletter--"
    sent = text.replace(end, b"\r\n--=_newsletter\r\n" + head + picture + end)
    with mailwake.client() as client:
        client.ehlo()
        assert client.mail("news@example.com", ["BODY=BINARYMIME"])[0] == 250
        assert client.rcpt("ann@example.org")[0] == 250
        client.send(b"BDAT %d LAST\r\n" % len(sent) + sent)
        assert client.getreply()[0] == 250
    copy = world.copies("binary")["ann@example.org"]
    part = next(part for part in message_from_bytes(copy).walk() if part.get_content_type() == "image/png")
    assert part.get_payload(decode=True) == picture
    assert len(tracked_links(copy)) == 10


def test_many_messages_at_once(mailwake: WiredMailwake, world: World) -> None:
    """Several connections, on each of which mailwake has several messages on their way to Postfix."""
    sent = {f"many-{number}": newsletter(f"many-{number}") for number in range(60)}

    def send(subject: str) -> bool:
        return mailwake.send("news@example.com", [f"{subject}@example.org", "ann@example.net"], sent[subject]) == {}

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(send, sent))
    for subject, content in sent.items():
        for copy in world.copies(subject, 2).values():
            assert_tracked(copy, content)


def test_must_and_verify_with_postfix_certificate(
    address: str, recipe: Recipe, wire: Callable[..., WiredMailwake], postfix: Postfix, world: World
) -> None:
    for tls, trusted in (("must", None), ("verify", postfix.certificate)):
        service = wire(
            recipe.file("/etc/mailwake/mailwake.toml"),
            "--smtp",
            f"{address}:0",
            "--set",
            f"relay.tls={tls}",
            trusted=trusted,
        )
        sent = newsletter(f"tls-{tls}")
        assert service.send("news@example.com", ["ann@example.org"], sent) == {}
        copy = world.copies(f"tls-{tls}")["ann@example.org"]
        assert_tracked(copy, sent)
        assert b"with ESMTPS" in copy
        service.stop()


def test_verify_refuses_a_certificate_that_nobody_vouches_for(
    address: str, recipe: Recipe, wire: Callable[..., WiredMailwake], postfix: Postfix
) -> None:
    service = wire(recipe.file("/etc/mailwake/mailwake.toml"), "--smtp", f"{address}:0", "--set", "relay.tls=verify")
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        service.send("news@example.com", ["ann@example.org"], newsletter("not-verified"))
    assert refusal.value.smtp_code == 451
    service.stop()
