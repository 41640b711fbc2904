"""`mailwake.track`: the service's own copy without the service, and what it says of links and of what it left alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.newsletter import newsletter

import mailwake
from mailwake.clock import ManualClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.events.unique_ids import EPOCH, UniqueIds
from mailwake.flows.preparation import Preparation
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.links.tracked_url import parse_url
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.parts import preparation_settings
from mailwake.smtp.envelope import Envelope

KEYS = mailwake.Keyring.of([mailwake.Key(1, os.urandom(64))])
SETTINGS = mailwake.TrackSettings(tracking_domain="links.example.com")
MESSAGE = (
    b"From: a@shop.example\r\nDate: Thu, 26 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n"
    b'<a href="https://e.com/?a=1&amp;b=2" data-msys-linkname="one">x</a>\r\n'
    b'<a href="mailto:x@e.com">m</a> <a href="https://e.com/out" data-msys-unsubscribe="1">e.com</a></body></html>\r\n'
)
SENT = 1795683600


def link_of(url: str) -> object:
    path = parse_url(url)
    assert path is not None
    return TokenCodec(KEYS).decode(path.token, path.family)


def test_the_copy_its_links_and_what_they_carry() -> None:
    settings = replace(SETTINGS, campaign_id="spring", tags=["a", "b"], metadata={"k": "ü"}, customer_id="42")
    tracked = mailwake.track(MESSAGE, "Ann@Example.org", settings, KEYS)
    first, mail, last = tracked.links
    assert (first.part, first.line, first.target, first.name) == ("html", 2, "https://e.com/?a=1&b=2", "one")
    assert (first.tracked, first.reason, first.unsubscribe) == (True, "", False)
    assert first.url.startswith("https://links.example.com/f/a/")
    assert (mail.tracked, mail.reason, mail.url) == (False, "scheme mailto", "")
    assert (last.unsubscribe, last.text_is_url, last.line) == (True, True, 3)
    assert tracked.skipped == ()
    assert bytes(tracked) == tracked.content
    images = tracked.content.count(b'<img src="https://links.example.com/')
    assert images == 2
    expected = MESSAGE.replace(b"https://e.com/?a=1&amp;b=2", first.url.encode())
    expected = expected.replace(b"https://e.com/out", last.url.encode())
    expected = expected.replace(b' data-msys-linkname="one"', b"").replace(b' data-msys-unsubscribe="1"', b"")
    for place in (b"<body>", b"</body>"):
        start = tracked.content.index(b"<img", tracked.content.index(place) - 300 if place == b"</body>" else 0)
        image = tracked.content[start : tracked.content.index(b">", start) + 1]
        expected = expected.replace(place, place + image if place == b"<body>" else image + place)
    assert tracked.content == expected
    context = link_of(first.url).context  # type: ignore[attr-defined]
    assert (context.recipient, context.campaign_id, context.tags, context.customer_id) == (
        *("Ann@Example.org", "spring", ("a", "b")),
        "42",
    )
    assert (context.metadata, context.sent, context.expires) == ('{"k":"ü"}', SENT, 31_536_000)
    assert (context.transmission_id, context.message_id) == (tracked.transmission_id, tracked.message_id)


def test_the_same_call_gives_the_same_bytes_and_another_recipient_other_links() -> None:
    once, again = (mailwake.track(MESSAGE, "a@example.org", SETTINGS, KEYS) for _ in range(2))
    assert once == again
    other = mailwake.track(MESSAGE, "b@example.org", SETTINGS, KEYS)
    assert other.transmission_id != once.transmission_id
    assert not {link.url for link in once.links if link.url} & {link.url for link in other.links}


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable"])
def test_the_copy_is_the_one_that_the_service_makes(encoding: str) -> None:
    content = newsletter(encoding=encoding)
    configuration = load(
        None,
        {"tracking_domain": "links.example.com", "click_tracking_scheme": "https", "trace_header": "false"},
        host_name="test.example",
    )
    clock = ManualClock(EPOCH + 1000.0)
    preparation = Preparation(
        preparation_settings(configuration.settings),
        ids=UniqueIds(0, 0, clock.now, lambda mark: None),
        codec=TokenCodec(KEYS),
        admit_tags=list,
        clock=clock,
        log=make_logger("json", "error"),
        metrics=Metrics(),
    )
    options = ScopedOptions(configuration).resolve("127.0.0.1:2525", "127.0.0.1")
    session = Session("127.0.0.1:2525", "127.0.0.1", 1, options, trusted_network=True)
    prepared = preparation.prepare(session, Envelope("s@b.example", ["a@c.example", "b@c.example"]), content)
    for index, recipient in enumerate(("a@c.example", "b@c.example")):
        settings = replace(
            SETTINGS,
            open_tracking_scheme="http",
            open_tracking=False,  # the message's own header says otherwise, as it does to the service
            sent=int(prepared.sent),
            transmission_id=prepared.transmission_id,
            recipient_index=index,
        )
        tracked = mailwake.track(content, recipient, settings, KEYS)
        assert tracked.content == b"".join(preparation.copy(prepared, index).pieces)
        assert tracked.message_id == prepared.message_id(index)
        assert sum(link.tracked for link in tracked.links) == 20


def test_the_header_wins_over_the_settings_and_never_leaves() -> None:
    header = b'x-msys-api: {"campaign_id": "header", "options": {"open_tracking": false}}\r\n'
    settings = replace(SETTINGS, campaign_id="settings", tags=["kept"])
    tracked = mailwake.track(header + MESSAGE, "a@example.org", settings, KEYS)
    assert b"x-msys-api" not in tracked.content
    assert b"<img" not in tracked.content
    context = link_of(tracked.links[0].url).context  # type: ignore[attr-defined]
    assert (context.campaign_id, context.tags) == ("header", ("kept",))


def test_with_nothing_on_the_message_is_as_it_was() -> None:
    settings = replace(SETTINGS, open_tracking=False, click_tracking=False)
    tracked = mailwake.track(b"X-MSYS-API: {}\r\n" + MESSAGE, "a@example.org", settings, KEYS)
    assert tracked.content == MESSAGE
    assert [link.reason for link in tracked.links] == [
        "click tracking is off",
        "scheme mailto",
        "click tracking is off",
    ]


def test_line_feeds_alone_stay() -> None:
    tracked = mailwake.track(MESSAGE.replace(b"\r\n", b"\n"), "a@example.org", SETTINGS, KEYS)
    assert b"\r" not in tracked.content
    assert sum(link.tracked for link in tracked.links) == 2


def test_what_is_left_alone_is_named() -> None:
    signed = b"DKIM-Signature: d=shop.example; b=x\r\n" + MESSAGE
    tracked = mailwake.track(signed, "a@example.org", SETTINGS, KEYS)
    assert tracked.content == signed
    assert tracked.skipped == (
        mailwake.SkippedPart("message with DKIM-Signature of shop.example", "signed on arrival"),
    )
    settings = replace(SETTINGS, rewriting=mailwake.RewriteSettings(on_signed="track"))
    assert mailwake.track(signed, "a@example.org", settings, KEYS).skipped == ()
    too_long = replace(SETTINGS, tags=["x" * 250 for _ in range(10)], customer_id="x" * 40_000)
    tracked = mailwake.track(MESSAGE, "a@example.org", too_long, KEYS)
    assert tracked.content == MESSAGE
    assert [part.reason for part in tracked.skipped] == ["context too long for links"]
    assert {link.tracked for link in tracked.links} == {False}


@pytest.mark.parametrize(
    ("message", "recipient", "settings", "said"),
    [
        (b'X-MSYS-API: {"tags": 1}\r\n' + MESSAGE, "a@b.c", SETTINGS, "X-MSYS-API 'tags' must be of type 'json array'"),
        (MESSAGE, "a@b.c", replace(SETTINGS, campaign_id="x" * 65), "limited to 64 bytes"),
        (MESSAGE, "a@b.c", replace(SETTINGS, metadata={"k": float("nan")}), "metadata"),
        (MESSAGE, "a@b.c", replace(SETTINGS, metadata={"k": {1, 2}}), "metadata"),
        (MESSAGE, "a@b.c", replace(SETTINGS, tags=["a", 1]), "tags"),  # type: ignore[list-item]
        (MESSAGE.replace(b"Date:", b"X-Date:"), "a@b.c", SETTINGS, "no Date that can be read"),
        (MESSAGE.replace(b"Thu, 26", b"Never 99"), "a@b.c", SETTINGS, "no Date that can be read"),
        (MESSAGE, "", SETTINGS, "must be an address"),
        (MESSAGE, "a@b.c\r\nBcc: d@e.f", SETTINGS, "must be an address"),
    ],
)
def test_what_cannot_be_tracked_is_one_line(
    message: bytes, recipient: str, settings: mailwake.TrackSettings, said: str
) -> None:
    with pytest.raises(mailwake.TrackError, match=said) as caught:
        mailwake.track(message, recipient, settings, KEYS)
    assert "\n" not in str(caught.value)


def test_text_instead_of_bytes_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="as_bytes"):
        mailwake.track("Subject: x\n\ny", "a@b.c", SETTINGS, KEYS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="recipient must be str"):
        mailwake.track(MESSAGE, ["a@b.c"], SETTINGS, KEYS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("tracking_domain", "https://x.example"),
            ("tracking_domain", ""),
            ("sent", -1),
            ("transmission_id", 1 << 63),
        ),
        *(("recipient_index", 65_536), ("tracking_link_expiry", -1), ("open_tracking_scheme", "ftp"), ("sent", 1.5)),
        *(("max_metadata_len", 5000), ("tracking_link_expiry", True)),
    ],
)
def test_settings_that_cannot_be_used_name_themselves(name: str, value: object) -> None:
    with pytest.raises(mailwake.TrackError, match=name):
        replace(SETTINGS, **{name: value})  # type: ignore[arg-type]


def test_keys_are_read_from_a_services_file(tmp_path: Path) -> None:
    made = KeyringFile(tmp_path / "keys.json").load_or_create()
    assert mailwake.read_keys(tmp_path / "keys.json") == made
    with pytest.raises(mailwake.KeyringError, match="no keys yet"):
        mailwake.read_keys(str(tmp_path / "absent.json"))
