"""docs/recipes/postfix-content-filter.md: Debian's Postfix hands mail to mailwake and takes the tracked copies back."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake, World
from .newsletters import (
    LONG_FIELD,
    STORIES,
    assert_tracked,
    assert_untracked,
    newsletter,
    times_received,
    tracked_links,
)
from .page import Recipe
from .postfix import Postfix
from .root import loopback_address
from .signing_milter import SigningMilter

pytestmark = pytest.mark.scenario

PAGE = "postfix-content-filter.md"
RECIPIENTS = ["ann@example.org", "bob@example.org", "cid@example.net"]
MAIN, MASTER, TOML = "/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/mailwake/mailwake.toml"


@dataclass
class Wiring:
    """One section of the page, running."""

    mailwake: WiredMailwake
    postfix: Postfix
    world: World

    def send(self, subject: str, sender: str, recipients: list[str], port: int = 25, **options: str) -> bytes:
        content = newsletter(subject, **options)
        with smtplib.SMTP(self.postfix.address, port) as client:
            assert client.sendmail(sender, recipients, content) == {}
        return content

    def assert_each_has_a_tracked_copy(self, subject: str, sent: bytes) -> None:
        copies = self.world.copies(subject, len(RECIPIENTS))
        assert sorted(copies) == RECIPIENTS
        for copy in copies.values():
            assert_tracked(copy, sent)
            assert times_received(copy, "mail.example.com") == 3, "Postfix, mailwake and Postfix again"
        assert len(set.union(*map(tracked_links, copies.values()))) == 3 * 2 * STORIES
        told = [(event["type"], event["rcpt_to"]) for event in self.mailwake.events_of(subject)]
        assert sorted(told) == sorted([(kind, to) for kind in ("injection", "delivery") for to in RECIPIENTS])
        wait_until(lambda: not self.postfix.queue(), "Postfix has nothing left to do")


@pytest.fixture(scope="module")
def milter() -> Iterator[SigningMilter]:
    server = SigningMilter(
        "127.0.0.1", {"gone@example.org": "550 5.7.1 No news for him", "full@example.org": "451 4.3.0 Not now"}
    )
    yield server
    server.close()


@pytest.fixture(scope="module")
def wired(wire: Callable[..., WiredMailwake], world: World, milter: SigningMilter) -> Iterator[Callable[..., Wiring]]:
    """Runs a section of the page; Postfix has a milter that signs, and the name that mailwake has."""
    with contextlib.ExitStack() as ends:

        def start(section: str, *ports: int, toml: str) -> Wiring:
            address = loopback_address()
            back = Recipe(PAGE, toml, {"127.0.0.1:10026": f"{address}:10026"})
            mailwake = wire(
                back.file(TOML), "--smtp", "127.0.0.1:0", "--set", "esmtp_listener.hostname=mail.example.com"
            )
            page = Recipe(PAGE, section, {"127.0.0.1:10026": f"{address}:10026", "2525": str(mailwake.smtp[1])})
            postfix = Postfix(address, world.address)
            ends.callback(postfix.remove)
            milters = f"smtpd_milters = inet:127.0.0.1:{milter.port}\nnon_smtpd_milters = $smtpd_milters\n"
            postfix.add_to_main(milters + page.file(MAIN))
            postfix.add_to_master(page.file(MASTER))
            postfix.begin(10026, *ports)
            return Wiring(mailwake, postfix, world)

        yield start


@pytest.fixture(scope="module")
def after_queue(wired: Callable[..., Wiring]) -> Wiring:
    section = "After the queue, by SMTP"
    return wired(section, 25, toml=section)


def socket_of_systemd(postfix: Postfix, unit: str) -> socket.socket:
    """The socket that systemd would make; Postfix's group is known in its root directory only."""
    settings = configparser.ConfigParser()
    settings.read_string(unit)
    file = postfix / settings["Socket"]["ListenStream"]
    file.parent.mkdir()
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(file))
    os.chown(file, 0, postfix.ids[settings["Socket"]["SocketGroup"]])
    file.chmod(int(settings["Socket"]["SocketMode"], 8))
    made.listen()
    return made


@pytest.fixture(scope="module")
def by_lmtp(wire: Callable[..., WiredMailwake], world: World, milter: SigningMilter) -> Iterator[Wiring]:
    address = loopback_address()
    postfix = Postfix(address, world.address)
    try:
        # mailwake is outside of Postfix's root directory, its socket inside.
        page = Recipe(
            PAGE,
            "After the queue, by LMTP",
            {
                "127.0.0.1:10026": f"{address}:10026",
                'listen."unix:': f'listen."unix:{postfix.path}',
            },
        )
        given = socket_of_systemd(postfix, page.file("/etc/systemd/system/mailwake.socket.d/lmtp.conf"))
        mailwake = wire(page.file(TOML), "--set", "esmtp_listener.hostname=mail.example.com", given=given)
        given.close()
        postfix.add_to_main(f"smtpd_milters = inet:127.0.0.1:{milter.port}\n" + page.file(MAIN))
        postfix.add_to_master(page.file(MASTER))
        assert page.all_used()
        postfix.begin(25, 10026)
        yield Wiring(mailwake, postfix, world)
    finally:
        postfix.remove()


@pytest.fixture(scope="module")
def also_receives(wired: Callable[..., Wiring]) -> Wiring:
    return wired("A server that also receives mail", 25, 587, toml="After the queue, by SMTP")


@pytest.fixture(scope="module")
def before_queue(wired: Callable[..., Wiring]) -> Wiring:
    section = "Before the queue"
    return wired(section, 25, toml=section)


def test_after_the_queue(after_queue: Wiring) -> None:
    sent = after_queue.send("after-queue", "news@example.com", RECIPIENTS)
    after_queue.assert_each_has_a_tracked_copy("after-queue", sent)


def test_after_the_queue_milters_sign_the_tracked_copies(after_queue: Wiring) -> None:
    sent = after_queue.send("after-queue-signed", "news@example.com", ["ann@example.org"])
    copy = after_queue.world.copies("after-queue-signed")["ann@example.org"]
    assert_tracked(copy, sent)
    assert copy.count(b"\nDKIM-Signature:") == 1


def test_after_the_queue_what_a_sender_says_in_its_header_arrives(after_queue: Wiring) -> None:
    """Postfix would break a line of more than 998 octets."""
    sent = after_queue.send("after-queue-field", "news@example.com", ["ann@example.org"], field=LONG_FIELD)
    copy = after_queue.world.copies("after-queue-field")["ann@example.org"]
    assert_tracked(copy, sent)
    assert b"X-MSYS-API" not in copy
    injection = next(e for e in after_queue.mailwake.events_of("after-queue-field") if e["type"] == "injection")
    assert (injection["campaign_id"], injection["rcpt_meta"]) == ("spring", {"k": "v" * 150})


def test_after_the_queue_a_recipient_that_is_refused_comes_back(after_queue: Wiring) -> None:
    """It is mailwake that refuses the message's header; Postfix returns the message with mailwake's words."""
    after_queue.send("bad-field", "editor@example.net", ["ann@example.org"], field="X-MSYS-API: {nonsense\r\n")
    report = wait_until(
        lambda: dict(after_queue.world.messages()).get("editor@example.net"), "the sender gets a bounce"
    )
    assert b"Final-Recipient: rfc822; ann@example.org" in report
    assert b"X-MSYS-API" in report


def test_by_lmtp(by_lmtp: Wiring) -> None:
    sent = by_lmtp.send("by-lmtp", "news@example.com", RECIPIENTS)
    by_lmtp.assert_each_has_a_tracked_copy("by-lmtp", sent)
    copy = by_lmtp.world.copies("by-lmtp", 3)["ann@example.org"]
    assert copy.count(b"\nDKIM-Signature:") == 1
    assert b"with LMTP" in copy


def test_by_lmtp_a_long_field_of_the_header_survives(by_lmtp: Wiring) -> None:
    sent = by_lmtp.send("by-lmtp-field", "news@example.com", ["ann@example.org"], field=LONG_FIELD)
    assert_tracked(by_lmtp.world.copies("by-lmtp-field")["ann@example.org"], sent)
    assert by_lmtp.mailwake.events_of("by-lmtp-field")[0]["rcpt_meta"] == {"k": "v" * 150}


def test_by_lmtp_each_recipient_has_its_own_reply(by_lmtp: Wiring) -> None:
    recipients = ["gone@example.org", "ann@example.org", "full@example.org"]
    by_lmtp.send("by-lmtp-replies", "author@example.net", recipients)
    assert list(by_lmtp.world.copies("by-lmtp-replies")) == ["ann@example.org"]
    report = wait_until(lambda: dict(by_lmtp.world.messages()).get("author@example.net"), "the sender gets a bounce")
    assert b"Diagnostic-Code: smtp; 550 5.7.1 No news for him" in report
    assert b"Reporting-MTA: dns; mail.example.com" in report
    assert b"Final-Recipient: rfc822; full@example.org" not in report
    deferred = r"to=<full@example\.org>.* dsn=4\.3\.0, status=deferred \(host \S*lmtp\.sock.* said: 451 4\.3\.0 Not now"
    wait_until(lambda: re.search(deferred, by_lmtp.postfix.log), "Postfix keeps the copy that was deferred")
    assert len(by_lmtp.postfix.queue()) == 1


def test_a_server_that_also_receives_mail(also_receives: Wiring) -> None:
    sent = also_receives.send("submitted", "news@example.com", RECIPIENTS, port=587)
    also_receives.assert_each_has_a_tracked_copy("submitted", sent)
    incoming = also_receives.send("incoming", "someone@elsewhere.example", ["ann@example.org"])
    copy = also_receives.world.copies("incoming")["ann@example.org"]
    assert_untracked(copy, incoming)
    assert also_receives.mailwake.events_of("incoming") == []


def test_what_sendmail_sends_is_tracked(also_receives: Wiring) -> None:
    content = newsletter("by-sendmail")
    also_receives.postfix.run("/usr/sbin/sendmail", "-f", "news@example.com", "ann@example.org", given=content)
    assert_tracked(also_receives.world.copies("by-sendmail")["ann@example.org"], content)


def test_before_the_queue(before_queue: Wiring) -> None:
    sent = before_queue.send("before-queue", "news@example.com", RECIPIENTS)
    before_queue.assert_each_has_a_tracked_copy("before-queue", sent)
    copy = before_queue.world.copies("before-queue", 3)["ann@example.org"]
    assert copy.count(b"\nDKIM-Signature:") == 1


def test_before_the_queue_refusals_reach_the_sender(before_queue: Wiring) -> None:
    with smtplib.SMTP(before_queue.postfix.address, 25) as client:
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail("a@example.com", ["ann@example.org"], newsletter("bad", field="X-MSYS-API: {nonsense\r\n"))
        assert refusal.value.smtp_code == 550
        assert b"X-MSYS-API" in refusal.value.smtp_error
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@example.com", ["stranger@mail.example.com"], newsletter("stranger"))
        assert b"User unknown" in refused.value.recipients["stranger@mail.example.com"][1]


def test_before_the_queue_postfix_offers_nothing_that_mailwake_would_refuse(before_queue: Wiring) -> None:
    """Postfix passes on to a filter whatever its client says, also what the filter has not offered."""
    with smtplib.SMTP(before_queue.postfix.address, 25) as client, before_queue.mailwake.client() as filtering:
        client.ehlo()
        filtering.ehlo()
        of_postfix_alone = {"etrn", "vrfy", "starttls"}
        assert set(client.esmtp_features) - of_postfix_alone <= set(filtering.esmtp_features)


def test_before_the_queue_what_a_client_asks_of_reports_reaches_postfix_again(before_queue: Wiring) -> None:
    with smtplib.SMTP(before_queue.postfix.address, 25) as client:
        client.ehlo()
        sent = newsletter("before-queue-dsn")
        options = ["BODY=8BITMIME", "RET=HDRS", "ENVID=abc"]
        assert client.sendmail("editor@example.net", ["ann@example.org"], sent, options, ["NOTIFY=SUCCESS"]) == {}
    assert_tracked(before_queue.world.copies("before-queue-dsn")["ann@example.org"], sent)
    to_the_world = before_queue.world.envelope("before-queue-dsn", "ann@example.org")
    assert b"ENVID=abc" in to_the_world
    assert b"NOTIFY=SUCCESS" in to_the_world
