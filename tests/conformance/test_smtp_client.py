"""What the SMTP standards ask of a client: a table of what the server says and the client then writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from mailwake.smtp.client_events import Closed, Event, Finished, Lost, Ready, StartTls
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction
from mailwake.smtp.dsn import DsnRequest

CONTENT = b"Subject: x\r\n\r\n.hello\r\n"
STUFFED = b"Subject: x\r\n\r\n..hello\r\n.\r\n"
MAIL, RCPT = b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<b@b.example>\r\n"
PLAIN = b"250 hop\r\n"
PIPELINING = b"250-hop\r\n250 PIPELINING\r\n"
CHUNKING = b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
LMTP = b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
BDAT = b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT
WHOLE = MAIL + RCPT + BDAT
OK = b"250 a\r\n250 b\r\n250 2.6.0 taken\r\n"
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

    options: dict[str, object] = field(default_factory=dict)


def _opened(ehlo: bytes, *steps: Step) -> tuple[Step, ...]:
    return ((b"220 hop\r\n", b"EHLO me.example\r\n"), (ehlo, b""), *steps)


def _lhlo(reply: bytes, *steps: Step) -> tuple[Step, ...]:
    return ((b"220 hop\r\n", b"LHLO me.example\r\n"), (reply, b""), *steps)


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
        "RFC 3030 §4.1, RFC 2920 §3.1",
        "the next transaction needs not wait, and begins with RSET, as the one before may fail",
        _opened(CHUNKING, (SEND, WHOLE), (SEND, b"RSET\r\n" + WHOLE), (SEND, b"RSET\r\n" + WHOLE), (OK, b"")),
        "250 2.6.0 taken",
    ),
    Case(
        "RFC 3030 §2",
        "on a quiet connection a transaction after a success needs no RSET",
        _opened(CHUNKING, (SEND, WHOLE), (SEND, b"RSET\r\n" + WHOLE), (OK + b"250 r\r\n" + OK, b""), (SEND, WHOLE)),
        "250 2.6.0 taken",
    ),
    Case(
        "RFC 3030 §2",
        "on a quiet connection a transaction after a failure begins with RSET",
        _opened(
            CHUNKING,
            (SEND, WHOLE),
            (SEND, b"RSET\r\n" + WHOLE),
            (OK + b"250 r\r\n250 a\r\n250 b\r\n554 5.6.0 no\r\n", b""),
            (SEND, b"RSET\r\n" + WHOLE),
        ),
        "554 5.6.0 no",
    ),
    Case(
        "RFC 2920 §3.1",
        "without CHUNKING the next transaction waits",
        _opened(PIPELINING, (SEND, MAIL + RCPT + b"DATA\r\n"), ("may not send", b"")),
        "ready",
    ),
    Case(
        "RFC 3030 §2",
        "without PIPELINING the next transaction waits",
        _opened(b"250-hop\r\n250 CHUNKING\r\n", (SEND, MAIL), ("may not send", b"")),
        "ready",
    ),
    Case(
        "RFC 2033 §4.1",
        "LMTP begins with LHLO, and knows no HELO",
        ((b"220 hop\r\n", b"LHLO me.example\r\n"), (b"500 ?\r\n", b"")),
        "closed",
        {"lmtp": True},
    ),
    Case(
        "RFC 2033 §4.2",
        "a refused recipient has 503 for DATA, and no reply to content",
        _lhlo(LMTP, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250 a\r\n550 5.1.1 no\r\n503 c\r\n", b"")),
        "550 5.1.1 no",
        {"lmtp": True},
    ),
    Case(
        "RFC 2033 §4.2",
        "one recipient has one reply to content",
        _lhlo(
            LMTP,
            (SEND, MAIL + RCPT + b"DATA\r\n"),
            (b"250 a\r\n250 b\r\n354 go\r\n", STUFFED),
            (b"250 2.1.5 kept\r\n", b""),
        ),
        "250 2.1.5 kept",
        {"lmtp": True},
    ),
    Case(
        "RFC 2033 §4.2",
        "354 without a recipient is out of step: no content could be answered",
        _lhlo(LMTP, (SEND, MAIL + RCPT + b"DATA\r\n"), (b"250 a\r\n550 5.1.1 no\r\n354 go\r\n", b"")),
        "closed",
        {"lmtp": True},
    ),
    Case(
        "RFC 8314 §3.3",
        "with TLS from the first octet STARTTLS is not asked for",
        _opened(b"250-hop\r\n250 STARTTLS\r\n"),
        "ready",
        {"tls": True},
    ),
    Case(
        "RFC 3461 §4",
        "RET and ENVID go with MAIL, NOTIFY and ORCPT with RCPT, when DSN is offered",
        _opened(
            b"250-hop\r\n250-PIPELINING\r\n250 DSN\r\n",
            (
                "send with DSN",
                b"MAIL FROM:<a@a.example> RET=FULL ENVID=e\r\n"
                b"RCPT TO:<b@b.example> NOTIFY=NEVER ORCPT=rfc822;x@y\r\nDATA\r\n",
            ),
        ),
        "ready",
    ),
    Case(
        "RFC 3461 §5.2.2",
        "they do not when it is not offered",
        _opened(PIPELINING, ("send with DSN", MAIL + RCPT + b"DATA\r\n")),
        "ready",
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


def _transaction(**values: Any) -> Transaction:
    return Transaction("a@a.example", "b@b.example", (CONTENT[:20], CONTENT[20:]), **values)


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
            protocol.send(_transaction())
        elif given == "send with DSN":
            protocol.send(_transaction(dsn=DsnRequest("NEVER", "rfc822;x@y", "FULL", "e")))
        elif given == "may not send":
            with pytest.raises(RuntimeError):
                protocol.send(_transaction())
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


# Several in flight: what is said of each when replies come, and when they do not

NO_MAIL = b"250 r\r\n451 4.7.1 slow down\r\n503 b\r\n503 c\r\n"
SECOND = b"250 r\r\n" + OK


@dataclass(frozen=True)
class Flight:
    says: str
    answers: bytes
    """What the server says to three transactions that were all written before; then the connection is gone."""

    ends: tuple[str, str, str]
    """What each ended with: a reply, or "lost" with what is known of it."""


FLIGHTS = [
    Flight("all are taken", OK + SECOND + SECOND, ("250", "250", "250")),
    Flight("the second is refused at MAIL", OK + NO_MAIL + SECOND, ("250", "451", "250")),
    Flight(
        "the second is refused at RCPT, the third at its content",
        OK + b"250 r\r\n250 a\r\n550 5.1.1 no\r\n554 c\r\n" + b"250 r\r\n250 a\r\n250 b\r\n552 5.3.4 big\r\n",
        ("250", "550", "552"),
    ),
    Flight("RSET is refused", OK + b"500 r\r\n" + OK + SECOND, ("250", "250", "250")),
    Flight("nothing is answered", b"", ("lost mail silence", "lost mail silence", "lost mail silence")),
    Flight("MAIL of the first is answered", b"250 a\r\n", ("lost rcpt", "lost mail", "lost mail")),
    Flight("the first is taken", OK, ("250", "lost mail", "lost mail")),
    Flight("only RSET of the second is answered", OK + b"250 r\r\n", ("250", "lost mail", "lost mail")),
    Flight("all but the last reply", (OK + SECOND + SECOND)[:-10], ("250", "250", "lost content")),
    Flight("421 to MAIL of the first", b"421 bye\r\n", ("421", "lost mail 421", "lost mail 421")),
    Flight("421 to the first's content", b"250 a\r\n250 b\r\n421 bye\r\n", ("421", "lost mail 421", "lost mail 421")),
    Flight("421 to RSET", OK + b"421 too many\r\n", ("250", "lost mail 421", "lost mail 421")),
    Flight("421 to the second's RCPT", OK + b"250 r\r\n250 a\r\n421 bye\r\n", ("250", "421", "lost mail 421")),
    Flight("nothing is believed behind 421", b"421 bye\r\n" + OK + SECOND, ("421", "lost mail 421", "lost mail 421")),
    Flight("nonsense", OK + b"250 r\r\nnonsense\r\n" + OK, ("250", "lost mail", "lost mail")),
    Flight("nonsense at once", b"nonsense\r\n", ("lost mail", "lost mail", "lost mail")),
    Flight("more replies than commands", OK + SECOND + SECOND + OK, ("250", "250", "250")),
    Flight(
        "out of step: MAIL refused, RCPT and content taken",
        b"451 a\r\n250 b\r\n250 c\r\n" + SECOND,
        ("451", "lost mail", "lost mail"),
    ),
]


def _end(event: Finished | Lost) -> str:
    if isinstance(event, Finished):
        return str(event.reply.code)
    known = " 421" if event.behind_421 else "" if event.heard else " silence"
    return f"lost {event.stage}{known}"


@pytest.mark.parametrize("one_by_one", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("flight", FLIGHTS, ids=lambda flight: flight.says)
def test_three_in_flight(flight: Flight, one_by_one: bool) -> None:
    protocol = ClientProtocol(ClientOptions("me.example"), max_reply_octets=4096)
    protocol.receive_data(b"220 hop\r\n")
    protocol.receive_data(CHUNKING)
    transactions = [_transaction() for _ in range(3)]
    for transaction in transactions:
        protocol.send(transaction)
    answers = flight.answers
    for octets in [answers[n : n + 1] for n in range(len(answers))] if one_by_one else [answers]:
        protocol.receive_data(octets)
    protocol.connection_lost("gone")
    ends = {}
    while (event := protocol.next_event()) is not None:
        if isinstance(event, Finished | Lost):
            assert event.transaction not in ends
            ends[event.transaction] = _end(event)
    assert tuple(ends[transaction] for transaction in transactions) == flight.ends
    assert list(ends) == transactions
