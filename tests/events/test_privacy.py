"""Recipients' hashes and IP addresses that say less."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from mailwake.events.from_record import completed
from mailwake.events.model import Event, EventType
from mailwake.events.privacy import NO_PRIVACY, EventPrivacy, RecipientHash, truncated
from mailwake.events.record import MessageFacts

SECRET = bytes(range(32))
HASH = RecipientHash(SECRET)
ANN = HASH.hashed("ann@example.org")


def test_a_hash_is_an_hmac_of_the_lower_case_address_and_keeps_the_domain() -> None:
    expected = hmac.new(SECRET, b"mailwake recipient\0ann@example.org", hashlib.sha256).hexdigest()[:32]
    assert f"hashed-{expected}@example.org" == ANN
    assert HASH.hashed("Ann@Example.ORG") == ANN
    assert HASH.digest("ANN@example.org") == HASH.digest(ANN) == expected


def test_what_is_hashed_stays_and_other_people_and_other_secrets_differ() -> None:
    assert HASH.hashed(ANN) == HASH.hashed(ANN.upper()) == ANN
    assert HASH.hashed("bob@example.org") != ANN
    assert RecipientHash(bytes(32)).hashed("ann@example.org") != ANN
    assert HASH.hashed("") == ""


@pytest.mark.parametrize("address", ["postmaster", "é@exämple.org", "a\udce4b@example.org", '"a b"@example.org'])
def test_every_recipient_can_be_hashed(address: str) -> None:
    assert HASH.hashed(address).startswith("hashed-")
    assert address.rpartition("@")[0] not in HASH.hashed(address) or "@" not in address


@pytest.mark.parametrize("octets", [0, 16, 33])
def test_a_secret_of_another_length_is_refused(octets: int) -> None:
    with pytest.raises(ValueError, match="octets"):
        RecipientHash(bytes(octets))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("550 5.1.1 <ann@example.org>: user unknown", f"550 5.1.1 <{ANN}>: user unknown"),
        ("no ann@example.org.", f"no {ANN}."),
        ("(Ann@example.org,bob)", f"({ANN},bob)"),
        ("mailbox full", "mailbox full"),
        ("@ sign alone", "@ sign alone"),
    ],
)
def test_addresses_in_replies(text: str, hidden: str) -> None:
    assert HASH.without_addresses(text) == hidden


@pytest.mark.parametrize(
    ("sender", "hidden"),
    [
        ("bounces+ann=example.org@list.example", f"bounces+{ANN.replace('@', '=')}@list.example"),
        ("ann=example.org@list.example", f"{ANN.replace('@', '=')}@list.example"),
        ("news@shop.example", "news@shop.example"),
        ("", ""),
    ],
)
def test_recipients_in_senders(sender: str, hidden: str) -> None:
    assert HASH.without_verp(sender) == hidden


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("::1", "::"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_truncated(address: str, network: str) -> None:
    assert truncated(address) == network


def test_what_a_site_chooses() -> None:
    assert NO_PRIVACY.ip_address("192.0.2.77") == "192.0.2.77"
    assert NO_PRIVACY.recipient("Ann@example.org") == "Ann@example.org"
    assert EventPrivacy("truncated").ip_address("192.0.2.77") == "192.0.2.0"
    assert EventPrivacy("none").ip_address("192.0.2.77") == ""
    assert EventPrivacy(recipients=HASH).recipient("Ann@example.org") == ANN


@pytest.mark.parametrize(("recipient", "sender"), [("ann@example.org", "bounces@list.example"), ("", "")])
def test_an_anonymous_click_is_not_given_the_envelope_sender_of_somebody_elses_copy(
    recipient: str, sender: str
) -> None:
    facts = MessageFacts(7, 1000, 1, msg_from="bounces@list.example", subject="News")
    click = Event(
        type=EventType.CLICK, event_id=1, timestamp=1, message_id="x", transmission_id=7, raw_rcpt_to=recipient
    )
    told = completed(click, facts)
    assert (told.msg_from, told.subject) == (sender, "News")
