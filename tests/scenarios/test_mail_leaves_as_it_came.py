"""smtplib → mailwake → smtp-sink: where nothing is tracked, or nothing can be, every byte leaves as it came."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.corpus import CorpusFile, encode_body

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

ODD = (
    b"Subject:  two  spaces \r\n\tand a fold\r\nX : y\r\nsubject: again\r\n\r\n.\r\n..dots\r\n\r\n \r\n\xff\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble https://e.com/\r\n--b\r\n\r\n--b\r\n\r\nno end\r\n",
    b"Subject: no body\r\n",
    b"\r\nno header\r\n",
    b"Content-Type: text/html; charset=x-nowhere\r\n\r\n<a href=https://e.com/>\r\n",
    b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
    b"<a href=https://e.com/>\r\n--b--\r\n",
    b'Content-Type: text/html\r\n\r\n<a href="mailto:x@e.com" DATA-MSYS-LINKNAME=y>x</a>' + b"x" * 900 + b"\r\n",
)
FIELD = b'X-MSYS-API: {"options" :\r\n   {"open_tracking" : %b, "click_tracking" : %b}}\r\n'
OFF, CLICKS = FIELD % (b"false", b"false"), FIELD % (b"false", b"true")


def as_dumped(message: bytes) -> bytes:
    """As smtp-sink writes a message: LF line ends, and it alone knows how many blank lines at the end."""
    return message.replace(b"\r\n", b"\n").rstrip(b"\n")


def relayed(service: Mailwake, sink: Sink, messages: list[bytes]) -> list[bytes]:
    """The messages as the sink took them, in the order in which they were sent; its lines end with LF alone."""
    with service.client() as client:
        for number, message in enumerate(messages):
            assert client.sendmail("a@sender.example", [f"r{number}@example.org"], message) == {}
    wait_until(lambda: len(sink.messages()) == len(messages), "every copy is at the sink")
    copies = dict(sink.messages())
    return [copies[f"r{number}@example.org"] for number in range(len(messages))]


def test_corpus_and_odd_messages_with_tracking_off(
    start_mailwake: Callable[..., Mailwake],
    start_sink: Callable[..., Sink],
    corpus: list[CorpusFile],
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--set", "trace_header=false")
    messages = list(ODD)
    for number, file in enumerate(corpus):
        text = b"\r\n".join(file.content.splitlines())  # a lone CR would be refused
        encoding = ("8bit", "quoted-printable", "base64")[number % 3] if file.charset != "utf-16" else "base64"
        head = f"Content-Type: text/html; charset={file.charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        messages.append(head.encode() + encode_body(text, encoding) + b"\r\n")
    copies = relayed(service, sink, [OFF + message for message in messages])
    assert len(copies) == len(ODD) + len(corpus)
    wrong = [number for number, copy in enumerate(copies) if copy.rstrip(b"\n") != as_dumped(messages[number])]
    assert wrong == []


def test_messages_in_which_nothing_can_be_tracked(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, "--set", "trace_header=false")
    copies = relayed(service, sink, [CLICKS + message for message in ODD])
    last = ODD[-1].replace(b" DATA-MSYS-LINKNAME=y", b"")
    assert [copy.rstrip(b"\n") for copy in copies[2:]] == [as_dumped(message) for message in (*ODD[2:-1], last)]
