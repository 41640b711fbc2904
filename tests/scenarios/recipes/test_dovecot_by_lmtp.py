"""docs/recipes/dovecot-lmtp.md: Debian's Dovecot takes the copies by LMTP, on its Unix socket and over TCP."""

from __future__ import annotations

import contextlib
import smtplib
import stat
from collections.abc import Callable, Iterator

import pytest
from tests.scenarios.conftest import wait_until

from .conftest import WiredMailwake
from .dovecot import Dovecot
from .newsletters import assert_tracked, newsletter, tracked_links
from .page import Recipe

pytestmark = pytest.mark.scenario

PAGE = "dovecot-lmtp.md"
BOTH = ["ann@example.org", "bob@example.org"]


@pytest.fixture(scope="module", params=["Over its Unix socket", "Over TCP"])
def wired(
    request: pytest.FixtureRequest, address: str, wire: Callable[..., WiredMailwake]
) -> Iterator[tuple[WiredMailwake, Dovecot]]:
    server = Dovecot(address)
    by_unix = request.param == "Over its Unix socket"
    # mailwake is outside of Dovecot's root directory.
    changes = {"unix:/run/": f"unix:{server.path}/run/"} if by_unix else {"127.0.0.1": address}
    page = Recipe(PAGE, request.param, changes)
    with contextlib.ExitStack() as ends:
        ends.callback(server.remove)
        for path in ("/etc/dovecot/local.conf", "/etc/dovecot/users"):
            server.write(path, page.file(path))
        server.begin(*([] if by_unix else [24]))
        if by_unix:
            file = server / "run/dovecot/lmtp"
            wait_until(file.exists, "Dovecot has its socket")
            wait_until(lambda: file.stat().st_gid == server.ids["mailwake"], "it belongs to mailwake's group")
            assert stat.S_IMODE(file.stat().st_mode) == 0o660
        service = wire(page.file("/etc/mailwake/mailwake.toml"), "--smtp", "127.0.0.1:0")
        assert page.all_used()
        yield service, server


def test_each_mailbox_gets_a_tracked_copy(wired: tuple[WiredMailwake, Dovecot]) -> None:
    mailwake, dovecot = wired
    sent = newsletter("to-mailboxes")
    assert mailwake.send("news@example.com", BOTH, sent) == {}
    copies = [dovecot.delivered(mailbox, "to-mailboxes") for mailbox in BOTH]
    for copy in copies:
        assert_tracked(copy, sent)
        assert b"with LMTP" in copy
        assert copy.startswith(b"Return-Path: <news@example.com>\n")
    assert len(set.union(*map(tracked_links, copies))) == 20
    deliveries = [event for event in mailwake.events_of("to-mailboxes") if event["type"] == "delivery"]
    assert sorted(event["rcpt_to"] for event in deliveries) == BOTH


def test_who_has_no_mailbox_is_refused_in_dovecot_own_words(wired: tuple[WiredMailwake, Dovecot]) -> None:
    mailwake, dovecot = wired
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        mailwake.send("news@example.com", ["stranger@example.org"], newsletter("no-mailbox"))
    assert refusal.value.smtp_code == 550
    assert b"5.1.1 <stranger@example.org> User doesn't exist: stranger@example.org" in refusal.value.smtp_error
    # Of two, one has a mailbox: he gets his copy, and the sender, who has one too, a bounce.
    assert (
        mailwake.send("ann@example.org", ["stranger@example.org", "bob@example.org"], newsletter("one-mailbox")) == {}
    )
    assert dovecot.delivered("bob@example.org", "one-mailbox")

    def bounces() -> list[bytes]:
        return [message for message in dovecot.mailbox("ann@example.org") if b"Final-Recipient:" in message]

    (bounce,) = wait_until(bounces, "the sender gets the bounce")
    assert b"Final-Recipient: rfc822; stranger@example.org" in bounce
    assert b"User doesn't exist" in bounce


def test_many_messages_to_mailboxes(wired: tuple[WiredMailwake, Dovecot]) -> None:
    mailwake, dovecot = wired
    with mailwake.client() as client:
        for number in range(20):
            assert client.sendmail("news@example.com", BOTH, newsletter(f"series-{number}")) == {}
    for number in range(20):
        for mailbox in BOTH:
            assert_tracked(dovecot.delivered(mailbox, f"series-{number}"), newsletter(f"series-{number}"))
