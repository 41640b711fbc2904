"""Subject and author of a message as events carry them."""

from __future__ import annotations

import pytest

from mailwake.message.headers import fields
from mailwake.message.summary import Summary, domain_of, summarise


def summary(header: bytes) -> Summary:
    return summarise(header, fields(header, 0, len(header)))


def test_the_first_of_each_and_all_received_fields() -> None:
    header = (
        b"Received: x\r\nReceived: y\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <joerg@Example.com>\r\nSubject: one\r\n two\r\n"
        b"Subject: other\r\nFrom: other@example.org\r\n"
    )
    assert summary(header) == Summary("one two", "Jörg <joerg@Example.com>", "example.com", 2)
    assert summary(b"") == Summary("", "", "", 0)


@pytest.mark.parametrize(
    "subject",
    [
        b"=?utf-8?B?a?=",  # no base64
        b"=?utf-7?Q?+2AA-?=",  # half of a surrogate pair, which no event could carry
        b"=?raw_unicode_escape?Q?=5Cud800?=",
        b"=?idna?Q?a?=",
        b"=?x-nowhere?Q?a?=",
    ],
)
def test_a_subject_that_is_no_text_stays_as_it_is(subject: bytes) -> None:
    assert summary(b"Subject: " + subject + b"\r\n").subject == subject.decode()


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("a@Example.com", "example.com"),
        ("<a@example.com>", "example.com"),
        ("A <b@c.example> ", "c.example"),
        ('"x@y" <b@c.example>', "c.example"),
        ("nobody", ""),
    ],
)
def test_domain(address: str, domain: str) -> None:
    assert domain_of(address) == domain
