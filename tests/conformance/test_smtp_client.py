"""What the SMTP standards ask of a client: a table of what the server says and the client then writes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mailwake.smtp.client_events import Closed, Event, Finished, Lost, Ready, StartTls
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction

CONTENT = b"Subject: x\r\n\r\n.hello\r\n"
STUFFED = b"Subject: x\r\n\r\n..hello\r\n.\r\n"
MAIL, RCPT = b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<b@b.example>\r\n"
PLAIN = b"250 hop\r\n"
PIPELINING = b"250-hop\r\n250 PIPELINING\r\n"
CHUNKING = b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
SEND, TLS, QUIT, GONE = "send", "tls", "quit", "gone"
"""What is done to the client instead of giving it bytes."""

Step = tuple[bytes | str, bytes]
"""What the server says, or what is done; and exactly what the client writes then."""


@dataclass(frozen=True)
class Case:
    section: str
    says: str
    steps: tuple[Step, ...]
    ends: str
    """The last event: ready, tls, closed, lost, or the reply that a transaction finished with."""

    options: dict[str, str] = field(default_factory=dict)


def _opened(ehlo: bytes, *steps: Step) -> tuple[Step, ...]:
    return ((b"220 hop\r\n", b"EHLO me.example\r\n"), (ehlo, b""), *steps)


CASES = [
    Case("RFC 5321 §3.1", "nothing is said before the greeting", ((b"220-wait\r\n", b""),), ""),
    Case("RFC 5321 §3.1", "554 is no welcome", ((b"554 no\r\n", b""),), "closed"),
    Case("RFC 5321 §3.2", "EHLO comes first", _opened(PLAIN), "ready"),
    Case(
        "RFC 5321 §3.2",
        "HELO follows a refused EHLO",
        ((b"220 hop\r\n", b"EHLO me.example\r\n"), (b"500 ?\r\n", b"HELO me.example\r\n"), (b"250 hop\r\n", b"")),
        "ready",
    ),
    Case(
        "RFC 5321 §3.3",
        "MAIL, RCPT, DATA in this order, each after the reply to the one before",
        _opened(PLAIN, (SEND, MAIL), (b"250 ok\r\n", RCPT), (b"250 ok\r\n", b"DATA\r\n"), (b"354 go\r\n", STUFFED)),
        "ready",
    ),
    Case(
        "RFC 5321 §4.5.2",
        "a line that starts with a dot gets another one; a lone dot ends the content",
        _opened(PIPELINING, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250 a\r\n250 b\r\n354 go\r\n", STUFFED)),
        "ready",
    ),
    Case(
        "RFC 5321 §4.2",
        "only the code decides: text may be absent, or say the opposite",
        _opened(
            PIPELINING, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250\r\n250 failed\r\n354\r\n", STUFFED), (b"250\r\n", b"")
        ),
        "250",
    ),
    Case(
        "RFC 5321 §4.2.1",
        "replies may have several lines",
        _opened(
            PIPELINING,
            (SEND, MAIL + RCPT + b"DATA\r\n"),
            (b"250-a\r\n250 b\r\n250-c\r\n250 d\r\n354-e\r\n354 f\r\n", STUFFED),
            (b"250-2.0.0 a\r\n250 2.0.0 b\r\n", b""),
        ),
        "250 2.0.0 a b",
    ),
    Case("RFC 5321 §4.2.1", "all lines have one code", ((b"220-a\r\n221 b\r\n", b""),), "closed"),
    Case("RFC 5321 §3.8", "421 may come at any time", _opened(PLAIN, (b"421 bye\r\n", b"")), "closed"),
    Case(
        "RFC 5321 §4.1.1.10",
        "QUIT waits for its reply",
        _opened(PLAIN, (QUIT, b"QUIT\r\n"), (b"221 bye\r\n", b"")),
        "closed",
    ),
    Case(
        "RFC 5321 §4.1.1.4",
        "content is not delivered until its reply has come",
        _opened(PIPELINING, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250 a\r\n250 b\r\n354 go\r\n", STUFFED), (GONE, b"")),
        "closed",
    ),
    Case(
        "RFC 5321 §4.1.1.5",
        "after a refused transaction its envelope is reset",
        _opened(
            PIPELINING,
            (SEND, MAIL + RCPT + b"DATA\r\n"),
            (b"250 a\r\n550 5.1.1 no\r\n503 c\r\n", b""),
            (SEND, b"RSET\r\n" + MAIL + RCPT + b"DATA\r\n"),
            (b"250 r\r\n250 a\r\n250 b\r\n354 go\r\n", STUFFED),
            (b"250 ok\r\n", b""),
        ),
        "250 ok",
    ),
    Case(
        "RFC 2920 §3.1",
        "DATA is the last command of a group, and content waits for 354",
        _opened(PIPELINING, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250 a\r\n250 b\r\n", b"")),
        "ready",
    ),
    Case(
        "RFC 2920 §3.1",
        "354 though no recipient was taken is answered by a lone dot",
        _opened(
            PIPELINING,
            (SEND, MAIL + RCPT + b"DATA\r\n"),
            (b"250 a\r\n550 5.1.1 no\r\n354 go\r\n", b".\r\n"),
            (b"554 5.5.1 nobody\r\n", b""),
        ),
        "550 5.1.1 no",
    ),
    Case(
        "RFC 3030 §2",
        "BDAT announces the octets and sends them as they are",
        _opened(
            CHUNKING,
            (SEND, MAIL + RCPT + b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT),
            (b"250 a\r\n250 b\r\n250 2.6.0 c\r\n", b""),
        ),
        "250 2.6.0 c",
    ),
    Case(
        "RFC 3207 §4.2",
        "what was learnt before TLS is forgotten, EHLO is said again",
        (
            (b"220 hop\r\n", b"EHLO me.example\r\n"),
            (b"250-hop\r\n250-PIPELINING\r\n250 STARTTLS\r\n", b"STARTTLS\r\n"),
            (b"220 go\r\n", b""),
            (TLS, b"EHLO me.example\r\n"),
            (PLAIN, b""),
            (SEND, MAIL),
        ),
        "ready",
    ),
    Case(
        "RFC 3207 §4",
        "replies in the clear behind STARTTLS are not believed",
        (
            (b"220 hop\r\n", b"EHLO me.example\r\n"),
            (b"250-hop\r\n250 STARTTLS\r\n", b"STARTTLS\r\n"),
            (b"220 go\r\n250-hop\r\n250 AUTH PLAIN\r\n", b""),
        ),
        "closed",
    ),
    Case(
        "RFC 4954 §4",
        "AUTH PLAIN with its initial response",
        (
            (b"220 hop\r\n", b"EHLO me.example\r\n"),
            (b"250-hop\r\n250 AUTH PLAIN\r\n", b"AUTH PLAIN AHUAcA==\r\n"),
            (b"235 2.7.0 ok\r\n", b""),
        ),
        "ready",
        {"username": "u", "password": "p"},
    ),
    Case(
        "RFC 1870 §6.1, RFC 6152 §2",
        "SIZE is declared when offered",
        _opened(
            b"250-hop\r\n250-PIPELINING\r\n250 SIZE 100\r\n",
            (SEND, b"MAIL FROM:<a@a.example> SIZE=%d\r\n" % len(CONTENT) + RCPT + b"DATA\r\n"),
        ),
        "ready",
    ),
    Case(
        "RFC 1870 §6.2",
        "a message larger than the limit is not offered",
        _opened(b"250-hop\r\n250-PIPELINING\r\n250 SIZE 10\r\n", (SEND, b"")),
        "552 5.3.4 Message size exceeds the next hop's limit of 10 octets",
    ),
]


def _name(event: Event | None) -> str:
    if isinstance(event, Finished):
        return str(event.reply)
    names = {Ready: "ready", StartTls: "tls", Closed: "closed", Lost: "lost"}
    return names[type(event)] if event is not None else ""


@pytest.mark.parametrize("one_by_one", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section}: {case.says}")
def test_client(case: Case, one_by_one: bool) -> None:
    protocol = ClientProtocol(ClientOptions("me.example", **case.options), max_reply_octets=4096)  # type: ignore[arg-type]
    last: Event | None = None
    for given, expected in case.steps:
        if given == SEND:
            protocol.send(Transaction("a@a.example", "b@b.example", (CONTENT[:20], CONTENT[20:])))
        elif given == TLS:
            protocol.tls_established()
        elif given == QUIT:
            protocol.quit()
        elif given == GONE:
            protocol.connection_lost("gone")
        else:
            assert isinstance(given, bytes)
            for octets in [given[n : n + 1] for n in range(len(given))] if one_by_one else [given]:
                protocol.receive_data(octets)
        assert b"".join(protocol.data_to_send()) == expected, given
        while (event := protocol.next_event()) is not None:
            last = event
    assert _name(last) == case.ends
