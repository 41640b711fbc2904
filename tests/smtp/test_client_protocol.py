"""The SMTP client protocol against scripted server bytes: whole, byte by byte, and with what must not be there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailwake.smtp.client_events import Closed, Event, Finished, Lost, Ready, StartTls
from mailwake.smtp.client_handshake import Capabilities, ClientOptions, read_capabilities
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction, data_content
from mailwake.smtp.replies import Reply, parse_reply

Feed = Callable[[ClientProtocol, bytes], None]


def _whole(protocol: ClientProtocol, data: bytes) -> None:
    protocol.receive_data(data)


def _byte_by_byte(protocol: ClientProtocol, data: bytes) -> None:
    for octet in data:
        protocol.receive_data(bytes([octet]))


@pytest.fixture(params=[_whole, _byte_by_byte], ids=["whole", "byte by byte"])
def feed(request: pytest.FixtureRequest) -> Feed:
    chosen: Feed = request.param
    return chosen


def _client(**options: object) -> ClientProtocol:
    return ClientProtocol(ClientOptions("me.example", **options), max_reply_octets=2000)  # type: ignore[arg-type]


def _events(protocol: ClientProtocol) -> list[Event]:
    events = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events


def _sent(protocol: ClientProtocol) -> bytes:
    return b"".join(protocol.data_to_send())


def _ready(feed: Feed, *extensions: str, **options: object) -> ClientProtocol:
    protocol = _client(**options)
    lines = ["hop.example", *extensions]
    reply = "".join(f"250{'-' if n < len(lines) else ' '}{line}\r\n" for n, line in enumerate(lines, 1))
    feed(protocol, b"220 hop.example ESMTP\r\n")
    feed(protocol, reply.encode())
    assert _sent(protocol) == b"EHLO me.example\r\n"
    assert _events(protocol) == [Ready()]
    return protocol


def _transaction(**values: object) -> Transaction:
    given = {"sender": "a@a.example", "recipient": "b@b.example", "pieces": (b"S: x\r\n\r\n", b"hello\r\n"), **values}
    return Transaction(**given)  # type: ignore[arg-type]


# Opening


def test_a_server_that_knows_only_helo(feed: Feed) -> None:
    protocol = _client()
    feed(protocol, b"220 old\r\n")
    feed(protocol, b"502 5.5.1 what?\r\n")
    assert _sent(protocol) == b"EHLO me.example\r\nHELO me.example\r\n"
    feed(protocol, b"250 old\r\n")
    assert _events(protocol) == [Ready()]
    assert protocol.capabilities == Capabilities()


def test_capabilities_are_read_in_any_case_and_unknown_ones_ignored() -> None:
    reply = parse_reply(
        [
            b"250-PIPELINING is not offered by the first line",
            b"250-size 1000",
            b"250-8bitmime",
            b"250-ChunkING",
            b"250-AUTH=LOGIN",
            b"250-AUTH PLAIN",
            b"250-X-Odd stuff",
            b"250-",
            b"250 SMTPUTF8",
        ]
    )
    assert read_capabilities(reply) == Capabilities(
        chunking=True, eight_bit_mime=True, smtputf8=True, size=1000, auth=frozenset({"LOGIN", "PLAIN"})
    )


@pytest.mark.parametrize(("parameter", "size"), [("", 0), ("0", 0), ("10", 10), ("many", 0), ("-5", 0)])
def test_size_parameter(parameter: str, size: int) -> None:
    assert read_capabilities(parse_reply([b"250-hop", f"250 SIZE {parameter}".encode()])).size == size


@pytest.mark.parametrize("greeting", [b"554 5.7.1 go away\r\n", b"421 4.3.2 busy\r\n", b"554-no\r\n554 no\r\n"])
def test_a_greeting_that_is_no_welcome_closes(feed: Feed, greeting: bytes) -> None:
    protocol = _client()
    feed(protocol, greeting)
    (event,) = _events(protocol)
    assert isinstance(event, Closed)
    assert event.reply is not None
    assert event.reply.code in (554, 421)
    assert protocol.closed
    assert _sent(protocol) == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"2200 odd\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"199 no such class\r\n",
        b"250-a\r\n251 b\r\n",
        b"\r\n",
        b"220-" + b"x" * 2500,
        b"220-x\r\n" * 500,
    ],
)
def test_what_is_no_reply_closes(feed: Feed, octets: bytes) -> None:
    protocol = _client()
    feed(protocol, octets)
    assert isinstance(_events(protocol)[-1], Closed)
    assert protocol.closed


# STARTTLS and AUTH


def test_starttls_forgets_what_was_learnt_in_the_clear(feed: Feed) -> None:
    protocol = _client(starttls="offered")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 SIZE 10\r\n")
    assert _sent(protocol) == b"EHLO me.example\r\nSTARTTLS\r\n"
    feed(protocol, b"220 go\r\n")
    assert _events(protocol) == [StartTls()]
    protocol.tls_established()
    assert protocol.capabilities == Capabilities()
    assert _sent(protocol) == b"EHLO me.example\r\n"
    feed(protocol, b"250-hop\r\n250 SMTPUTF8\r\n")
    assert _events(protocol) == [Ready()]
    assert protocol.capabilities == Capabilities(smtputf8=True)


@pytest.mark.parametrize("trailing", [b"250 injected\r\n", b"2", b"\r\n"])
def test_octets_in_the_clear_behind_starttls_close(trailing: bytes, feed: Feed) -> None:
    protocol = _client(starttls="required")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 STARTTLS\r\n")
    feed(protocol, b"220 go\r\n" + trailing)
    assert isinstance(_events(protocol)[-1], Closed)
    assert protocol.closed


def test_required_tls_that_is_not_offered_or_refused_closes(feed: Feed) -> None:
    protocol = _client(starttls="required")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250 hop\r\n")
    assert isinstance(_events(protocol)[-1], Closed)
    protocol = _client(starttls="required")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 STARTTLS\r\n")
    feed(protocol, b"454 4.7.0 not now\r\n")
    assert isinstance(_events(protocol)[-1], Closed)


def test_offered_tls_that_is_refused_goes_on_in_the_clear(feed: Feed) -> None:
    protocol = _client(starttls="offered")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 STARTTLS\r\n")
    feed(protocol, b"454 4.7.0 not now\r\n")
    assert _events(protocol) == [Ready()]


def test_a_password_is_not_sent_after_a_refused_starttls(feed: Feed) -> None:
    protocol = _client(starttls="offered", username="u", password="p")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    feed(protocol, b"454 4.7.0 not now\r\n")
    assert isinstance(_events(protocol)[-1], Closed)
    assert b"AUTH" not in _sent(protocol)


def test_auth_plain(feed: Feed) -> None:
    protocol = _client(username="user", password="pass")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 AUTH LOGIN PLAIN\r\n")
    assert _sent(protocol) == b"EHLO me.example\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n"
    feed(protocol, b"235 2.7.0 welcome\r\n")
    assert _events(protocol) == [Ready()]


def test_auth_login(feed: Feed) -> None:
    protocol = _client(username="user", password="pass")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 AUTH LOGIN\r\n")
    feed(protocol, b"334 VXNlcm5hbWU6\r\n")
    feed(protocol, b"334 UGFzc3dvcmQ6\r\n")
    assert _sent(protocol) == b"EHLO me.example\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n"
    feed(protocol, b"235 2.7.0 welcome\r\n")
    assert _events(protocol) == [Ready()]


@pytest.mark.parametrize("answer", [b"535 5.7.8 no\r\n", b"334 once more\r\n", b"250 ok\r\n"])
def test_auth_that_fails_closes(feed: Feed, answer: bytes) -> None:
    protocol = _client(username="user", password="pass")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 AUTH PLAIN\r\n")
    feed(protocol, answer)
    assert isinstance(_events(protocol)[-1], Closed)


def test_auth_that_is_not_offered_closes(feed: Feed) -> None:
    protocol = _client(username="user", password="pass")
    feed(protocol, b"220 hop\r\n")
    feed(protocol, b"250-hop\r\n250 AUTH GSSAPI\r\n")
    assert isinstance(_events(protocol)[-1], Closed)


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(ClientOptions("me", username="u", password="secret"))


# Transactions


def test_data_pipelined_and_reused(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING")
    for _ in range(3):
        transaction = _transaction()
        protocol.send(transaction)
        assert not protocol.idle
        assert _sent(protocol) == b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
        feed(protocol, b"250 ok\r\n250 ok\r\n354 go\r\n")
        assert _sent(protocol) == b"S: x\r\n\r\nhello\r\n.\r\n"
        feed(protocol, b"250 2.0.0 queued as 1\r\n")
        assert _events(protocol) == [Finished(transaction, Reply(250, "2.0.0", "queued as 1"), "content")]
        assert protocol.idle


def test_bdat_pipelined_is_one_write(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING", "CHUNKING")
    transaction = _transaction(pieces=(b"S: x\r\n\r\n", b".hello without an end"))
    protocol.send(transaction)
    assert _sent(protocol) == (
        b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT 29 LAST\r\nS: x\r\n\r\n.hello without an end"
    )
    feed(protocol, b"250 ok\r\n250 ok\r\n250-2.0.0 taken\r\n250 2.0.0 all of it\r\n")
    assert _events(protocol) == [Finished(transaction, Reply(250, "2.0.0", "taken\nall of it"), "content")]


def test_chunking_can_be_switched_off(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING", "CHUNKING", chunking=False)
    protocol.send(_transaction())
    assert _sent(protocol).endswith(b"DATA\r\n")


def test_command_by_command_without_pipelining(feed: Feed) -> None:
    protocol = _ready(feed)
    transaction = _transaction()
    protocol.send(transaction)
    for expected, answer in (
        (b"MAIL FROM:<a@a.example>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<b@b.example>\r\n", b"250-ok\r\n250 ok\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
        (b"S: x\r\n\r\nhello\r\n.\r\n", b"250 ok\r\n"),
    ):
        assert _sent(protocol) == expected
        feed(protocol, answer)
    assert _events(protocol) == [Finished(transaction, Reply(250, "", "ok"), "content")]


def test_bdat_without_pipelining(feed: Feed) -> None:
    protocol = _ready(feed, "CHUNKING")
    transaction = _transaction()
    protocol.send(transaction)
    feed(protocol, b"250 ok\r\n")
    feed(protocol, b"250 ok\r\n")
    assert _sent(protocol).endswith(b"RCPT TO:<b@b.example>\r\nBDAT 15 LAST\r\nS: x\r\n\r\nhello\r\n")
    assert transaction.content_sent
    feed(protocol, b"250 ok\r\n")
    assert _events(protocol) == [Finished(transaction, Reply(250, "", "ok"), "content")]


def test_a_refused_recipient_without_pipelining_ends_at_once_and_resets(feed: Feed) -> None:
    protocol = _ready(feed)
    transaction = _transaction()
    protocol.send(transaction)
    feed(protocol, b"250 ok\r\n")
    feed(protocol, b"550 5.1.1 who?\r\n")
    assert b"DATA" not in _sent(protocol)
    assert _events(protocol) == [Finished(transaction, Reply(550, "5.1.1", "who?"), "rcpt")]
    protocol.send(_transaction())
    assert _sent(protocol) == b"RSET\r\n"
    feed(protocol, b"250 ok\r\n")
    assert _sent(protocol) == b"MAIL FROM:<a@a.example>\r\n"


@pytest.mark.parametrize("extension", ["8BITMIME", "SMTPUTF8", "SIZE 0", "SIZE 15"])
def test_mail_parameters(feed: Feed, extension: str) -> None:
    protocol = _ready(feed, "PIPELINING", extension)
    protocol.send(_transaction(body="8BITMIME", smtputf8=extension == "SMTPUTF8"))
    added = {"8BITMIME": b" BODY=8BITMIME", "SMTPUTF8": b" SMTPUTF8"}.get(extension, b" SIZE=15")
    assert _sent(protocol).startswith(b"MAIL FROM:<a@a.example>" + added + b"\r\n")


def test_international_addresses(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING", "SMTPUTF8")
    protocol.send(_transaction(recipient="bücher@b.example"))
    assert _sent(protocol).startswith(
        "MAIL FROM:<a@a.example> SMTPUTF8\r\nRCPT TO:<bücher@b.example>\r\nDATA\r\n".encode()
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"pieces": (b"x" * 16,)}, "552 5.3.4"),
        ({"smtputf8": True}, "550 5.6.7"),
        ({"recipient": "bücher@b.example"}, "550 5.6.7"),
        ({"recipient": "b@b.example>\r\nRCPT TO:<c@c.example"}, "553 5.1.3"),
        ({"recipient": "b@b.example> SIZE=1"}, "553 5.1.3"),
        ({"recipient": ""}, "553 5.1.3"),
        ({"sender": "a@a.example\n"}, "553 5.1.7"),
        ({"sender": "a@a.example\0"}, "553 5.1.7"),
    ],
)
def test_what_can_never_be_sent_there_is_refused_here(values: dict[str, object], code: str) -> None:
    protocol = _ready(_whole, "PIPELINING", "SIZE 15")
    protocol.send(_transaction(**values))
    (event,) = _events(protocol)
    assert isinstance(event, Finished)
    assert str(event.reply).startswith(code)
    assert _sent(protocol) == b""
    assert protocol.idle


@pytest.mark.parametrize("address", ['"a b>c"@a.example', '"a\\"b"@a.example', "", "a+b=c'd@[192.0.2.1]"])
def test_odd_addresses_that_are_fine(address: str) -> None:
    protocol = _ready(_whole, "PIPELINING")
    protocol.send(_transaction(sender=address))
    assert _sent(protocol).startswith(f"MAIL FROM:<{address}>\r\n".encode())


@pytest.mark.parametrize(
    ("answers", "reply", "stage", "written"),
    [
        (b"451 4.1.8 no\r\n503 5.5.1 x\r\n503 5.5.1 y\r\n", "451 4.1.8 no", "mail", b""),
        (b"250 ok\r\n550 5.1.1 no\r\n554 5.5.1 x\r\n", "550 5.1.1 no", "rcpt", b""),
        (b"250 ok\r\n450-4.2.1 a\r\n450 4.2.1 b\r\n554 5.5.1 x\r\n", "450 4.2.1 a b", "rcpt", b""),
        (b"250 ok\r\n250 ok\r\n452 4.3.1 full\r\n", "452 4.3.1 full", "data", b""),
        (
            b"250 ok\r\n250 ok\r\n354 go\r\n554 5.6.0 spam\r\n",
            "554 5.6.0 spam",
            "content",
            b"S: x\r\n\r\nhello\r\n.\r\n",
        ),
        # 354 although no recipient is valid: a lone dot, and never the message
        (b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n554 5.5.1 none\r\n", "550 5.1.1 no", "rcpt", b".\r\n"),
        (b"550 5.7.1 no\r\n550 5.5.1 x\r\n354 go\r\n250 empty\r\n", "550 5.7.1 no", "mail", b".\r\n"),
    ],
)
def test_refusals_with_data(feed: Feed, answers: bytes, reply: str, stage: str, written: bytes) -> None:
    protocol = _ready(feed, "PIPELINING")
    transaction = _transaction()
    protocol.send(transaction)
    _sent(protocol)
    feed(protocol, answers)
    assert _sent(protocol) == written
    (event,) = _events(protocol)
    assert isinstance(event, Finished)
    assert (str(event.reply), event.stage) == (reply, stage)
    protocol.send(_transaction())
    assert _sent(protocol).startswith(b"RSET\r\nMAIL FROM:<a@a.example>\r\n")
    feed(protocol, b"250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 ok\r\n")
    (event,) = _events(protocol)
    assert isinstance(event, Finished)
    assert event.reply.is_positive


def test_mail_refused_and_recipient_taken_is_out_of_step_and_never_gets_a_dot(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING")
    protocol.send(_transaction())
    _sent(protocol)
    feed(protocol, b"550 5.7.1 no\r\n250 ok\r\n354 go\r\n")
    assert _sent(protocol) == b""
    finished, closed = _events(protocol)
    assert isinstance(finished, Finished)
    assert finished.stage == "mail"
    assert isinstance(closed, Closed)


@pytest.mark.parametrize(
    ("answers", "reply", "stage"),
    [
        (b"550 5.7.1 no\r\n503 x\r\n503 y\r\n", "550 5.7.1 no", "mail"),
        (b"250 ok\r\n450 4.2.1 no\r\n554 y\r\n", "450 4.2.1 no", "rcpt"),
        (b"250 ok\r\n450 4.2.1 no\r\n250 taken for nobody\r\n", "450 4.2.1 no", "rcpt"),
        (b"250 ok\r\n250 ok\r\n552 5.3.4 big\r\n", "552 5.3.4 big", "content"),
    ],
)
def test_refusals_with_bdat(feed: Feed, answers: bytes, reply: str, stage: str) -> None:
    protocol = _ready(feed, "PIPELINING", "CHUNKING")
    protocol.send(_transaction())
    feed(protocol, answers)
    (event,) = _events(protocol)
    assert isinstance(event, Finished)
    assert (str(event.reply), event.stage) == (reply, stage)
    _sent(protocol)
    protocol.send(_transaction())
    assert _sent(protocol).startswith(b"RSET\r\nMAIL")


def test_a_refused_rset_is_no_end(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING")
    protocol.send(_transaction())
    feed(protocol, b"550 no\r\n503 x\r\n503 y\r\n")
    _events(protocol)
    protocol.send(_transaction())
    feed(protocol, b"502 what?\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n")
    assert [type(event) for event in _events(protocol)] == [Finished]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_421_ends_the_transaction_and_the_connection(feed: Feed, number: int) -> None:
    protocol = _ready(feed, "PIPELINING")
    protocol.send(_transaction())
    answers = [b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"]
    feed(protocol, b"".join(answers[:number]) + b"421 4.3.2 closing\r\n" + b"250 never believed\r\n")
    finished, closed = _events(protocol)
    assert isinstance(finished, Finished)
    assert (finished.reply.code, finished.stage) == (421, ("mail", "rcpt", "data", "content")[number])
    assert isinstance(closed, Closed)


@pytest.mark.parametrize("number", [0, 1])
def test_421_without_pipelining_ends_both_once(number: int) -> None:
    protocol = _ready(_whole)
    protocol.send(_transaction())
    for answer in [b"250 ok\r\n"] * number:
        protocol.receive_data(answer)
    protocol.receive_data(b"421 4.3.2 closing\r\n")
    assert [type(event) for event in _events(protocol)] == [Finished, Closed]


def test_421_to_rset_loses_a_transaction_the_server_never_saw() -> None:
    protocol = _ready(_whole, "PIPELINING")
    protocol.send(_transaction())
    protocol.receive_data(b"550 no\r\n503 x\r\n503 y\r\n")
    _events(protocol)
    protocol.send(_transaction())
    protocol.receive_data(b"421 4.3.2 closing\r\n")
    lost, closed = _events(protocol)
    assert isinstance(lost, Lost)
    assert not lost.heard
    assert lost.behind_421
    assert isinstance(closed, Closed)


@pytest.mark.parametrize(
    ("answers", "stage", "answered", "content_sent"),
    [
        (b"", "mail", False, False),
        (b"250 ok\r\n", "rcpt", True, False),
        (b"250 ok\r\n250 ok\r\n", "data", True, False),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", "content", True, True),
        (b"250 ok\r\n250 ok\r\n354 go\r\n354 go on\r\n", "content", True, True),
        (b"250 ok\r\n250 ok\r\n250 no\r\n", "data", True, False),
        (b"354 ok\r\n", "mail", True, False),
        (b"250 ok\r\nHELLO\r\n", "rcpt", True, False),
    ],
)
def test_a_lost_connection_says_how_far_it_came(
    feed: Feed, answers: bytes, stage: str, answered: bool, content_sent: bool
) -> None:
    protocol = _ready(feed, "PIPELINING")
    transaction = _transaction()
    protocol.send(transaction)
    feed(protocol, answers)
    protocol.connection_lost("gone")
    lost, closed = _events(protocol)
    assert isinstance(lost, Lost)
    assert isinstance(closed, Closed)
    assert (lost.stage, lost.heard, transaction.content_sent) == (stage, answered, content_sent)
    protocol.connection_lost("gone")
    assert _events(protocol) == []


@pytest.mark.parametrize("octets", [b"421 4.4.2 idle for too long\r\n", b"250 ok\r\n"])
def test_an_unsolicited_reply_closes(feed: Feed, octets: bytes) -> None:
    protocol = _ready(feed, "PIPELINING")
    feed(protocol, octets)
    (event,) = _events(protocol)
    assert isinstance(event, Closed)
    with pytest.raises(RuntimeError):
        protocol.send(_transaction())


def test_one_transaction_at_a_time() -> None:
    protocol = _ready(_whole, "PIPELINING")
    protocol.send(_transaction())
    with pytest.raises(RuntimeError):
        protocol.send(_transaction())


def test_quit(feed: Feed) -> None:
    protocol = _ready(feed, "PIPELINING")
    protocol.quit()
    assert _sent(protocol) == b"QUIT\r\n"
    assert not protocol.idle
    feed(protocol, b"221 bye\r\n")
    (event,) = _events(protocol)
    assert isinstance(event, Closed)


def test_repr_shows_the_state() -> None:
    protocol = _ready(_whole, "PIPELINING")
    protocol.send(_transaction())
    assert repr(protocol) == "<ClientProtocol ready in_hand=1 awaited=[mail rcpt data]>"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((), b".\r\n"),
        ((b"a",), b"a\r\n.\r\n"),
        ((b"a\r\n",), b"a\r\n.\r\n"),
        ((b".",), b"..\r\n.\r\n"),
        ((b".\r\n",), b"..\r\n.\r\n"),
        ((b"a\r\n.\r\n.b\r\n..c\r\n",), b"a\r\n..\r\n..b\r\n...c\r\n.\r\n"),
        ((b"a\r", b"\n", b".", b"\r\n"), b"a\r\n..\r\n.\r\n"),
        ((b"a.b.\r\n",), b"a.b.\r\n.\r\n"),
    ],
)
def test_dot_stuffing(pieces: tuple[bytes, ...], expected: bytes) -> None:
    assert data_content(pieces) == expected
