from __future__ import annotations

import os
from dataclasses import replace

import pytest
from benchmarks.newsletter import newsletter

from mailwake.clock import ManualClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.events.unique_ids import EPOCH, UniqueIds
from mailwake.flows.preparation import Preparation
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.parts import preparation_settings
from mailwake.smtp.envelope import Envelope

KEYRING = Keyring.new(os.urandom, 0)
OPTIONS = {"open_tracking_enabled": "true", "click_tracking_enabled": "true", "trace_header": "false"}


class Maker:
    """Prepares messages with or without a memory; ids and keys are the same, so equal copies are equal bytes."""

    def __init__(self, entries: int, **overrides: str) -> None:
        configuration = load(None, OPTIONS | overrides, host_name="test.example")
        scopes = ScopedOptions(configuration)
        options = scopes.resolve("127.0.0.1:2525", "127.0.0.1")
        self.session = Session("127.0.0.1:2525", "127.0.0.1", 1, options, trusted_network=True)
        clock = ManualClock(EPOCH + 1000.0)
        self.preparation = Preparation(
            replace(preparation_settings(configuration.settings), plan_cache_entries=entries),
            ids=UniqueIds(0, 0, clock.now, lambda mark: None),
            codec=TokenCodec(KEYRING),
            admit_tags=list,
            clock=clock,
            log=make_logger("json", "error"),
            metrics=Metrics(),
        )

    def copy(self, content: bytes) -> bytes:
        message = self.preparation.prepare(self.session, Envelope("a@b.example", ["r@c.example"]), content)
        return b"".join(self.preparation.copy(message, 0).pieces)

    @property
    def kept(self) -> int:
        return len(self.preparation._planner._plans._plans)


def _with_header(number: int, content: bytes) -> bytes:
    return b"To: r%d@c.example\r\nX-Number: %d\r\n" % (number, number) + content


MESSAGES = {
    "8bit": newsletter(size=3000, links=3),
    "quoted-printable": newsletter(size=3000, links=3, encoding="quoted-printable"),
    "folded type": newsletter(size=3000, links=3).replace(
        b"multipart/alternative; boundary", b"\r\n\tmultipart/alternative;\r\n boundary"
    ),
    "single part": b'Content-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n',
    "long lines": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n'
    b'<a href="https://www.example.org/">x</a>' + b"x" * 990 + b"\r\n--b--\r\nepilogue\r\n",
    "attachment": b'Content-Disposition: attachment\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b'--b\r\nContent-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n--b--\r\n',
    "no body": b'Content-Type: multipart/mixed; boundary="b"\r\n',
    "two types": b'Content-Type: multipart/mixed; boundary="b"\r\nContent-Type: text/html\r\n\r\n'
    b"--b\r\n\r\nhttps://www.example.org/\r\n--b--\r\n",
    "signed": b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n\r\nhttps://www.example.org/\r\n--b--\r\n',
}


@pytest.mark.parametrize("content", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_copy_from_memory_is_the_copy_without_memory(content: bytes) -> None:
    remembering, forgetting = Maker(16), Maker(0)
    for number in range(4):
        message = _with_header(number, content)
        assert remembering.copy(message) == forgetting.copy(message)
    assert forgetting.kept == 0


DKIM = b"DKIM-Signature: d=sender.example; b=x=\r\n"


@pytest.mark.parametrize("on_signed", ["skip", "track"])
def test_a_signature_is_the_messages_own_whatever_is_remembered_of_its_body(on_signed: str) -> None:
    remembering, forgetting = Maker(16, on_signed=on_signed), Maker(0, on_signed=on_signed)
    for number in range(6):
        message = _with_header(number, DKIM * (number % 2) + MESSAGES["8bit"])
        copy = remembering.copy(message)
        assert copy == forgetting.copy(message)
        assert (b"http://localhost:8080/" in copy) == (number % 2 == 0 or on_signed == "track")


def test_a_body_is_kept_from_the_second_time_on() -> None:
    maker = Maker(16)
    kept = []
    for number in range(3):
        maker.copy(_with_header(number, MESSAGES["8bit"]))
        kept.append(maker.kept)
    assert kept == [0, 1, 1]


def test_bodies_that_differ_are_never_kept() -> None:
    maker = Maker(16)
    for number in range(20):
        maker.copy(MESSAGES["8bit"].replace(b"Newsletter 47</title>", b"Newsletter %d</title>" % number))
    assert maker.kept == 0


def test_no_more_than_the_configured_number_is_kept() -> None:
    maker = Maker(2)
    for _ in range(2):
        for number in range(5):
            maker.copy(MESSAGES["8bit"].replace(b"Newsletter 47</title>", b"Newsletter %d</title>" % number))
    assert maker.kept == 2


def test_other_settings_are_other_plans() -> None:
    maker, plain = Maker(16), Maker(0)
    for number in range(4):
        for each in (maker, plain):
            each.session.context.set("smtpapi_tracking_domain", f"t{number % 2}.example.com")
        assert maker.copy(MESSAGES["8bit"]) == plain.copy(MESSAGES["8bit"])
