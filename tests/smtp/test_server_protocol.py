import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_protocol import (
    UNSENT_OCTETS,
    Authenticate,
    Connected,
    Event,
    Hello,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    ServerLimits,
    ServerProtocol,
    StartTLS,
    State,
)

LIMITS = ServerLimits(
    command_line=512, auth_line=1000, text_line=200, message_size=1000, recipients=3, errors=5, buffered=64
)
TRANSACTION = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
DENIED = Reply(550, "5.7.1", "No")
GOING_DOWN = Reply(421, "4.3.2", "Going down")

Decide = Callable[[Event], Reply | None]


def accept_all(event: Event) -> Reply | None:
    return None


@dataclass
class Talk:
    """One session played to its end: what the server said, and what it asked."""

    protocol: ServerProtocol
    decide: Decide = accept_all
    output: bytes = b""
    events: list[Event] = field(default_factory=list)
    writes: list[bytes] = field(default_factory=list)

    def send(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self.protocol.receive_data(chunk)
            self.pump()

    def pump(self) -> None:
        while (event := self.protocol.next_event()) is not None:
            self.events.append(event)
            decision = self.decide(event)
            self.protocol.accept() if decision is None else self.protocol.reply(decision)
        written = self.protocol.data_to_send()
        self.output += written
        if written:
            self.writes.append(written)
        if len(written) >= UNSENT_OCTETS:  # it stopped for want of room
            self.pump()

    @property
    def codes(self) -> list[str]:
        """Code and enhanced code of each reply, the last line of each counting."""
        lines = [line for line in self.output.split(b"\r\n") if line[3:4] == b" "]
        return [
            line[:3].decode() + (f" {w}" if (w := line[4:].split(b" ")[0].decode())[1:2] == "." else "")
            for line in lines
        ]

    @property
    def messages(self) -> list[bytes]:
        return [event.content for event in self.events if isinstance(event, MessageData)]


def talk(*chunks: bytes, decide: Decide = accept_all, limits: ServerLimits = LIMITS, **options: Any) -> Talk:
    """A session after its EHLO, without what was said so far."""
    session = Talk(ServerProtocol("mx.example", limits, **options), decide)
    session.send([b"", b"EHLO client.example\r\n"])
    session.output, session.events, session.writes = b"", [], []
    session.send(chunks)
    return session


def pieces(octets: bytes) -> list[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


def same_in_all_chunkings(script: bytes, **options: Any) -> Talk:
    """The outcome of a script, after checking that it is the same however the script is cut."""
    whole = talk(script, **options)
    variants: list[Sequence[bytes]] = [pieces(script), *([script[:cut], script[cut:]] for cut in range(len(script)))]
    for chunks in variants:
        other = talk(*chunks, **options)
        assert (other.output, other.events, repr(other.protocol)) == (whole.output, whole.events, repr(whole.protocol))
    return whole


def test_a_whole_session() -> None:
    session = Talk(ServerProtocol("mx.example", LIMITS))
    assert repr(session.protocol) == "<ServerProtocol GREETING buffered=0>"
    session.pump()
    session.send([b"EHLO client.example\r\n", TRANSACTION, b"Subject: x\r\n\r\n..dot\r\n.\r\n", b"QUIT\r\n"])
    assert session.writes == [
        b"220 mx.example ESMTP\r\n",
        b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
        b"250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250 XVERP\r\n",
        b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n",
        b"250 2.0.0 Ok\r\n",
        b"221 2.0.0 Bye\r\n",
    ]
    envelope = Envelope("a@example.com", ["b@example.org"])
    assert session.events == [
        Connected(),
        Hello("client.example", extended=True),
        MailFrom(envelope),
        RcptTo("b@example.org", envelope),
        MessageData(envelope, b"Subject: x\r\n\r\n.dot\r\n"),
        Quit(),
    ]
    assert repr(session.protocol) == "<ServerProtocol CLOSING buffered=0>"
    assert session.protocol.closing


def test_two_messages_in_any_chunking() -> None:
    message = TRANSACTION + b"a\r\n..\r\n.\r\n"
    session = same_in_all_chunkings(message + message + b"NOOP\r\n")
    assert session.messages == [b"a\r\n.\r\n"] * 2
    assert repr(session.protocol) == "<ServerProtocol READY buffered=0>"


def test_the_replies_of_a_pipelined_group_are_one_write() -> None:
    assert len(talk(TRANSACTION + b"a\r\n.\r\nNOOP\r\n").writes) == 1


def test_events_come_one_at_a_time_and_state_moves_with_the_decision() -> None:
    protocol = talk().protocol
    protocol.receive_data(TRANSACTION)
    event = protocol.next_event()
    assert isinstance(event, MailFrom)
    assert protocol.next_event() is None
    assert protocol.pending is event
    assert repr(protocol) == "<ServerProtocol READY deciding MailFrom buffered=31>"
    protocol.accept()
    assert protocol.state is State.MAIL
    assert isinstance(protocol.next_event(), RcptTo)
    protocol.reply(DENIED)
    assert repr(protocol) == "<ServerProtocol MAIL recipients=0 buffered=6>"


def test_reply_without_an_event_and_with_a_3xx() -> None:
    protocol = talk().protocol
    with pytest.raises(RuntimeError, match="no event"):
        protocol.reply(DENIED)
    protocol.receive_data(b"HELO x\r\n")
    protocol.next_event()
    with pytest.raises(ValueError, match="decides nothing"):
        protocol.reply(Reply(354, "", "go on"))
    assert protocol.pending == Hello("x", extended=False)


def refusing(kind: type[Event], reply: Reply = DENIED) -> Decide:
    return lambda event: reply if isinstance(event, kind) else None


def test_a_refused_greeting_leaves_only_quit() -> None:
    session = Talk(ServerProtocol("mx", LIMITS), refusing(Connected, Reply(554, "5.7.1", "No service")))
    session.send([b"EHLO x\r\n", b"NOOP\r\n"])
    assert session.codes == ["554 5.7.1", "503 5.5.1", "503 5.5.1"]
    assert session.protocol.state is State.REFUSED
    session.send([b"QUIT\r\n"])
    assert session.protocol.closing


def test_a_greeting_of_421_closes() -> None:
    session = Talk(ServerProtocol("mx", LIMITS), refusing(Connected, Reply(421, "4.7.0", "Too many connections")))
    session.send([b"EHLO x\r\n"])
    assert session.codes == ["421 4.7.0"]
    assert session.protocol.closing


@pytest.mark.parametrize("kind", [Hello, MailFrom, RcptTo, MessageData, Quit, StartTLS, Authenticate])
def test_any_event_may_be_answered_with_421_and_that_closes(kind: type[Event]) -> None:
    first = Hello("client.example", extended=True)
    decide: Decide = lambda event: GOING_DOWN if isinstance(event, kind) and event != first else None  # noqa: E731
    script = b"RSET\r\n" + TRANSACTION + b"x\r\n.\r\n"
    script = {Hello: b"HELO x\r\n", Quit: b"QUIT\r\n", StartTLS: b"STARTTLS\r\n", Authenticate: PLAIN}.get(kind, script)
    session = talk(script, decide=decide, starttls=True, auth_mechanisms=["PLAIN"], auth_requires_tls=False)
    assert session.codes[-1] == "421 4.3.2"
    assert session.protocol.closing


def test_a_refused_sender_opens_no_transaction() -> None:
    session = talk(TRANSACTION, decide=refusing(MailFrom))
    assert session.codes == ["550 5.7.1", "503 5.5.1", "503 5.5.1"]


def test_refused_recipients_are_not_in_the_envelope() -> None:
    decide: Decide = lambda event: DENIED if isinstance(event, RcptTo) and event.recipient == "b@c" else None  # noqa: E731
    session = talk(b"MAIL FROM:<>\r\nRCPT TO:<a@c>\r\nRCPT TO:<b@c>\r\nRCPT TO:<d@c>\r\nDATA\r\n.\r\n", decide=decide)
    assert session.codes == ["250 2.1.0", "250 2.1.5", "550 5.7.1", "250 2.1.5", "354", "250 2.0.0"]
    assert session.events[-1] == MessageData(Envelope("", ["a@c", "d@c"]), b"")


@pytest.mark.parametrize("first", [b"", b" NOTIFY=FAILURE"])
def test_a_recipient_named_again_does_not_change_what_was_asked_first(first: bytes) -> None:
    lines = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>%b\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\n" % first
    session = talk(b"EHLO c\r\n", lines, b"DATA\r\n", b"x\r\n.\r\n")
    envelope = next(event.envelope for event in session.events if isinstance(event, MessageData))
    assert envelope.recipients == ["c@d.example"] * 2
    assert envelope.dsn_request("c@d.example").on_failure


@pytest.mark.parametrize("bad", [b"RCPT TO:<b@c>\r\n", b"RCPT TO:<b>\r\n"])
def test_data_after_nothing_but_refused_recipients(bad: bytes) -> None:
    session = talk(b"MAIL FROM:<>\r\n" + bad + b"DATA\r\n", decide=refusing(RcptTo))
    assert session.codes[-1] == "554 5.5.1"
    session.send([b"RSET\r\nMAIL FROM:<>\r\nDATA\r\n"])
    assert session.codes[-1] == "503 5.5.1"


def test_the_envelope_resets_after_a_message_whatever_its_reply() -> None:
    for decide in (accept_all, refusing(MessageData)):
        session = talk(TRANSACTION + b".\r\nRCPT TO:<b@c>\r\nMAIL FROM:<>\r\n", decide=decide)
        assert session.codes[-2:] == ["503 5.5.1", "250 2.1.0"]


@pytest.mark.parametrize("command", [b"RSET\r\n", b"EHLO again\r\n", b"HELO again\r\n"])
def test_rset_and_a_new_greeting_reset(command: bytes) -> None:
    session = talk(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n" + command)
    assert session.protocol.state is State.READY
    session.send([b"DATA\r\n"])
    assert session.codes[-1] == "503 5.5.1"


def test_a_refused_greeting_in_mid_session_changes_nothing() -> None:
    decide: Decide = lambda event: DENIED if event == Hello("evil", extended=True) else None  # noqa: E731
    session = talk(b"MAIL FROM:<>\r\nEHLO evil\r\nEHLO\r\nRCPT TO:<a@b>\r\n", decide=decide)
    assert session.codes == ["250 2.1.0", "550 5.7.1", "501 5.5.4", "250 2.1.5"]


def test_a_client_that_vanishes_in_data_leaves_no_message() -> None:
    text = b"a\r\n.\r\n"
    for cut in range(len(text)):
        session = talk(TRANSACTION, text[:cut])
        session.protocol.receive_eof()
        session.pump()
        assert session.messages == []
        assert session.codes[3:] == []
        assert session.protocol.closing


def test_after_a_half_close_whole_commands_are_answered() -> None:
    session = talk()
    session.protocol.receive_data(TRANSACTION + b"a\r\n.\r\nNOOP\r\nNOO")
    session.protocol.receive_eof()
    session.pump()
    assert session.messages == [b"a\r\n"]
    assert session.codes[-2:] == ["250 2.0.0", "250 2.0.0"]
    assert session.protocol.closing


def test_a_decision_that_comes_after_the_end_is_dropped() -> None:
    protocol = talk().protocol
    protocol.receive_data(TRANSACTION)
    assert protocol.next_event() is not None
    protocol.close(Reply(421, "4.4.2", "Timeout"))
    assert protocol.data_to_send() == b"421 4.4.2 Timeout\r\n"
    protocol.accept()
    protocol.reply(DENIED)
    protocol.close(DENIED)
    protocol.receive_data(b"NOOP\r\n")
    assert (protocol.next_event(), protocol.data_to_send(), protocol.buffered) == (None, b"", 0)


def test_reading_pauses_while_too_much_waits_behind_a_decision() -> None:
    protocol = talk().protocol
    protocol.receive_data(b"MAIL FROM:<>\r\n")
    assert protocol.next_event() is not None
    seen = []
    for waiting in (b"x" * 64, b"x"):
        protocol.receive_data(waiting)
        seen.append(protocol.wants_data)
    protocol.accept()
    assert [*seen, protocol.wants_data] == [True, False, True]


def test_replies_that_nobody_takes_are_bounded_and_none_is_lost() -> None:
    protocol = ServerProtocol("mx.example", LIMITS)
    protocol.receive_data(b"HELP\r\n" * 100_000)
    replies, most = [], 0
    while True:
        while protocol.next_event() is not None:
            protocol.accept()
        if not protocol.overfull:
            break
        replies.append(protocol.data_to_send())
        most = max(most, len(replies[-1]))
    replies.append(protocol.data_to_send())
    assert most < UNSENT_OCTETS + 1000
    assert b"".join(replies).count(b"214 2.0.0 ") == 100_000


def test_idle_is_between_messages_only() -> None:
    session = talk()
    seen = [session.protocol.idle]
    for chunk in (b"NO", b"OP\r\n", b"MAIL FROM:<>\r\n", b"RSET\r\n"):
        session.send([chunk])
        seen.append(session.protocol.idle)
    assert seen == [True, False, True, False, True]


# ---- limits -------------------------------------------------------------------------------------------------------


def test_command_line_exactly_at_its_limit_and_one_over() -> None:
    fits = b"NOOP " + b"x" * (512 - 7) + b"\r\n"
    assert same_in_all_chunkings(fits).codes == ["250 2.0.0"]
    over = fits.replace(b"x", b"xx", 1)
    assert same_in_all_chunkings(over + b"NOOP\r\n").codes == ["500 5.5.2", "250 2.0.0"]


def test_an_endless_command_line_is_swallowed_in_bounded_memory() -> None:
    session = talk()
    for _ in range(1000):
        session.send([b"x" * 100])
        assert session.protocol.buffered <= 512 + 100
    session.send([b"\r\nNOOP\r\n"])
    assert session.codes == ["500 5.5.2", "250 2.0.0"]


def test_message_size_exactly_at_its_limit_and_one_over() -> None:
    fits = (b"x" * 98 + b"\r\n") * 10
    assert talk(TRANSACTION + fits + b".\r\n").messages == [fits]
    over = talk(TRANSACTION + b"x" + fits + b".\r\nNOOP\r\n")
    assert (over.messages, over.codes[3:]) == ([], ["552 5.3.4", "250 2.0.0"])


def test_declared_size_exactly_at_its_limit_and_one_over() -> None:
    session = talk(b"MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=99999999999999999999\r\nMAIL FROM:<> SIZE=1000\r\n")
    assert session.codes == ["552 5.3.4", "552 5.3.4", "250 2.1.0"]


def test_recipients_exactly_at_their_limit_and_one_over() -> None:
    session = talk(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b>\r\n" * 4 + b"DATA\r\n.\r\n")
    assert session.codes == ["250 2.1.0", *["250 2.1.5"] * 3, "452 4.5.3", "354", "250 2.0.0"]
    assert session.events[-1] == MessageData(Envelope("", ["a@b"] * 3), b"")


def test_ten_thousand_recipients_are_no_error_of_the_client() -> None:
    session = talk(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b>\r\n" * 10_000 + b"DATA\r\n.\r\n")
    assert session.codes.count("452 4.5.3") == 9_997
    assert len(session.messages) == 1


def test_errors_exactly_at_their_limit_and_one_over() -> None:
    session = talk(b"WHAT\r\n" * 5)
    assert session.codes == ["500 5.5.1"] * 5
    session.send([b"WHAT\r\nNOOP\r\n"])
    assert session.codes == ["500 5.5.1"] * 5 + ["421 4.7.0"]
    assert session.protocol.closing


def test_bad_addresses_in_a_list_do_not_count_as_errors() -> None:
    session = talk(b"MAIL FROM:<>\r\n" + b"RCPT TO:<bad>\r\n" * 50 + b"RCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\n")
    assert session.codes.count("501 5.1.3") == 50
    assert session.messages == [b"x\r\n"]


def test_an_accepted_message_forgives_errors() -> None:
    session = talk((b"WHAT\r\n" * 4 + TRANSACTION + b".\r\n") * 5)
    assert len(session.messages) == 5


@pytest.mark.parametrize("name", ["command_line", "message_size", "recipients", "errors"])
def test_limits_are_positive(name: str) -> None:
    values = dict.fromkeys(ServerLimits.__slots__, 10) | {name: 0}
    with pytest.raises(ValueError, match=name):
        ServerLimits(**values)


# ---- smuggling and injection --------------------------------------------------------------------------------------


def test_a_bare_lf_in_a_command_closes() -> None:
    for line in (b"NOOP\n", b"\n", b"x" * 600 + b"\n", b"RCPT TO:<a@b>\nDATA\r\n"):
        session = same_in_all_chunkings(line)
        assert session.codes == ["521 5.5.2"]
        assert session.protocol.closing


def test_a_bare_cr_never_ends_a_command() -> None:
    assert same_in_all_chunkings(b"NOOP\rQUIT\r\n").codes == ["500 5.5.2"]


@pytest.mark.parametrize(
    "false_end",
    [
        b"\n.\n",
        b"\r.\r",
        b"\n.\r\n",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n.\r\r\n",
        b"\r\r\n.\r\r\n",
        b"\n\n.\n\n",
    ],
)
def test_smuggled_commands_are_text(false_end: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nx\r\n.\r\n"
    session = same_in_all_chunkings(TRANSACTION + b"first" + false_end + smuggled)
    assert session.codes == ["250 2.1.0", "250 2.1.5", "354", "550 5.6.11"]
    assert [event.envelope.sender for event in session.events if isinstance(event, MailFrom)] == ["a@example.com"]
    converted = same_in_all_chunkings(TRANSACTION + b"first" + false_end + smuggled, bare_newlines="convert")
    assert len(converted.messages) == 1
    assert b"evil" in converted.messages[0]


def test_plaintext_behind_starttls_closes() -> None:
    session = talk(b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n", starttls=True)
    assert session.codes == ["554 5.5.1"]
    assert session.protocol.closing
    assert session.events == []


def test_plaintext_that_comes_while_starttls_is_decided_closes() -> None:
    session = talk(starttls=True)
    session.protocol.receive_data(b"STARTTLS\r\n")
    assert session.protocol.next_event() == StartTLS()
    session.protocol.receive_data(b"NOOP\r\n")
    session.protocol.accept()
    assert session.protocol.data_to_send().startswith(b"554 5.5.1 ")
    assert session.protocol.closing


def test_plaintext_that_comes_before_the_handshake_closes() -> None:
    session = talk(b"STARTTLS\r\n", b"NOOP\r\n", starttls=True)
    assert session.codes == ["220 2.0.0", "554 5.5.1"]
    assert session.protocol.closing


# ---- TLS and AUTH -------------------------------------------------------------------------------------------------

PLAIN = b"AUTH PLAIN " + base64.b64encode(b"\0ann\0secret") + b"\r\n"


def test_tls_starts_the_session_anew() -> None:
    session = talk(b"STARTTLS\r\n", starttls=True, auth_mechanisms=["PLAIN", "LOGIN"])
    assert repr(session.protocol) == "<ServerProtocol TLS buffered=0>"
    session.protocol.tls_established()
    session.send([b"MAIL FROM:<>\r\n", b"EHLO x\r\n", b"STARTTLS\r\n"])
    assert session.codes == ["220 2.0.0", "503 5.5.1", "250", "503 5.5.1"]
    assert b"STARTTLS\r\n" not in session.output
    assert b"250 AUTH PLAIN LOGIN\r\n" in session.output
    assert repr(session.protocol) == "<ServerProtocol READY TLS buffered=0>"
    with pytest.raises(RuntimeError):
        session.protocol.tls_established()


def test_tls_forgets_who_logged_in_before_it() -> None:
    session = talk(PLAIN, b"STARTTLS\r\n", starttls=True, **OPEN_AUTH)
    session.protocol.tls_established()
    assert session.protocol.authenticated is None
    session.send([b"EHLO x\r\n", PLAIN])
    assert session.codes[-1] == "235 2.7.0"


def test_starttls_may_be_refused() -> None:
    session = talk(b"STARTTLS\r\nNOOP\r\n", starttls=False)
    assert session.codes == ["502 5.5.1", "250 2.0.0"]
    session = talk(b"STARTTLS now\r\n", b"STARTTLS\r\n", b"NOOP\r\n", starttls=True, decide=refusing(StartTLS, BUSY))
    assert session.codes == ["501 5.5.4", "454 4.7.0", "250 2.0.0"]


BUSY = Reply(454, "4.7.0", "TLS not available")
OPEN_AUTH: dict[str, Any] = {"auth_mechanisms": ["PLAIN", "LOGIN"], "auth_requires_tls": False}


@pytest.mark.parametrize(
    ("script", "mechanism"),
    [
        (PLAIN, "PLAIN"),
        (b"auth plain\r\n" + PLAIN[11:], "PLAIN"),
        (b"AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\n", "LOGIN"),
        (b"AUTH LOGIN YW5u\r\nc2VjcmV0\r\n", "LOGIN"),
    ],
)
def test_auth(script: bytes, mechanism: str) -> None:
    session = same_in_all_chunkings(script + b"AUTH PLAIN\r\n", **OPEN_AUTH)
    assert session.events == [Authenticate(mechanism, "ann", "secret")]
    assert "secret" not in repr(session.events)
    assert session.codes[-2:] == ["235 2.7.0", "503 5.5.1"]
    assert session.protocol.authenticated == "ann"
    assert repr(session.protocol) == "<ServerProtocol READY as 'ann' buffered=0>"


def test_wrong_passwords_are_errors() -> None:
    decide = refusing(Authenticate, Reply(535, "5.7.8", "Authentication failed"))
    session = talk(PLAIN * 9, decide=decide, **OPEN_AUTH)
    assert session.codes == ["535 5.7.8"] * 5 + ["421 4.7.0"]
    assert session.protocol.authenticated is None


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        (b"AUTH PLAIN\r\n*\r\nNOOP\r\n", ["334", "501 5.7.0", "250 2.0.0"]),
        (b"AUTH LOGIN\r\nYW5u\r\n*\r\nNOOP\r\n", ["334", "334", "501 5.7.0", "250 2.0.0"]),
        (b"AUTH PLAIN !\r\nNOOP\r\n", ["501 5.5.2", "250 2.0.0"]),
        (b"AUTH PLAIN =\r\nNOOP\r\n", ["501 5.5.2", "250 2.0.0"]),
        (b"AUTH CRAM-MD5\r\n", ["504 5.5.4"]),
        (b"AUTH\r\n", ["504 5.5.4"]),
        (b"AUTH PLAIN\r\n" + b"x" * 1000 + b"\r\nNOOP\r\n", ["334", "500 5.5.6", "250 2.0.0"]),
        (b"AUTH PLAIN\r\nx\nNOOP\r\n", ["334", "521 5.5.2"]),
        (b"MAIL FROM:<>\r\nAUTH PLAIN\r\n", ["250 2.1.0", "503 5.5.1"]),
    ],
)
def test_auth_refused(script: bytes, codes: list[str]) -> None:
    assert same_in_all_chunkings(script, **OPEN_AUTH).codes == codes


def test_an_auth_command_may_be_longer_than_others() -> None:
    password = b"x" * 600
    line = b"AUTH PLAIN " + base64.b64encode(b"\0a\0" + password) + b"\r\n"
    assert 512 < len(line) <= 1000
    assert same_in_all_chunkings(line, **OPEN_AUTH).events == [Authenticate("PLAIN", "a", password.decode())]


def test_auth_needs_tls_where_it_is_required() -> None:
    session = talk(b"EHLO x\r\n" + PLAIN, starttls=True, auth_mechanisms=["PLAIN"])
    assert b"AUTH" not in session.output.split(b"538")[0]
    assert session.codes[-1] == "538 5.7.11"
    assert talk(PLAIN, auth_mechanisms=["PLAIN"], tls=True).codes == ["235 2.7.0"]
    assert talk(PLAIN).codes == ["502 5.5.1"]


def test_unknown_mechanisms_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match="XOAUTH2"):
        ServerProtocol("mx", LIMITS, auth_mechanisms=["XOAUTH2"])


# ---- SMTPUTF8 -----------------------------------------------------------------------------------------------------


def test_replies_beyond_ascii_are_for_smtputf8_only() -> None:
    decide = refusing(RcptTo, Reply(550, "5.1.1", "Wer ist Zoë?"))
    plain = talk(b"MAIL FROM:<>\r\nRCPT TO:<z@b>\r\n", decide=decide)
    assert plain.output.endswith(b"550 5.1.1 Wer ist Zo??\r\n")
    script = "MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<zoë@b>\r\n".encode()
    assert talk(script, decide=decide).output.endswith("550 5.1.1 Wer ist Zoë?\r\n".encode())


# ---- any input ----------------------------------------------------------------------------------------------------

SCRAPS = [
    b"EHLO x\r\n", b"HELO x\r\n", b"MAIL FROM:<a@b>\r\n", b"MAIL FROM:<> SIZE=9\r\n", b"RCPT TO:<a@b>\r\n", b"DATA\r\n",
    b"MAIL FROM:<a@b> RET=HDRS ENVID=x\r\n", b"MAIL FROM:<a@b> BODY=BINARYMIME XVERP\r\n",
    b"RCPT TO:<a@b> NOTIFY=DELAY\r\n",
    b"BDAT 3\r\n", b"BDAT 5 LAST\r\n", b"BDAT 99999\r\n", b"BDAT x\r\n", b"RSET\r\n", b"NOOP\r\n", b"VRFY a\r\n",
    b"HELP\r\n", b"QUIT\r\n", b"AUTH LOGIN\r\n", PLAIN, b"YW5u\r\n", b".\r\n", b"..\r\n", b"\r\n.\r\n", b"\n", b"\r",
    b"x" * 90, b"\xff", b"text\r\n", b"*\r\n", b"\0", TRANSACTION,
]  # fmt: skip
TIGHT = ServerLimits(
    command_line=80, auth_line=100, text_line=60, message_size=120, recipients=2, errors=4, buffered=200
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=9), max_size=25), st.lists(st.integers(1, 60)), st.booleans()
)
def test_any_input_in_any_chunking_has_one_outcome(scraps: list[bytes], sizes: list[int], refuse: bool) -> None:
    script = b"".join(scraps)
    chunks, rest = [], script
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    chunks.append(rest)
    options: dict[str, Any] = {**OPEN_AUTH, "limits": TIGHT}
    options["decide"] = refusing(MessageData) if refuse else accept_all
    whole = talk(script, **options)
    other = talk(**options)
    for chunk in chunks:
        other.send([chunk])
        assert other.protocol.buffered <= 120 + 40 + 10 + len(chunk)
    single = talk(*pieces(script), **options)
    assert single.protocol.buffered <= 170
    for session in (other, single):
        assert (session.output, session.events) == (whole.output, whole.events)
        assert repr(session.protocol) == repr(whole.protocol)
        assert all(len(content) <= 120 for content in session.messages)
    for session in (whole, other, single):
        session.protocol.receive_eof()
        session.pump()
        assert session.protocol.closing
        assert session.protocol.buffered == 0


def test_trusted_commands_are_the_same_in_all_chunkings() -> None:
    script = (
        b"XCLIENT ADDR=192.0.2.1 LOGIN=ann\r\nEHLO x\r\nXSETCONTEXT a=1 b=+20\r\nMAIL FROM:<>\r\nXDUMPCONTEXT\r\n"
        b"XREMOTEIP ::1\r\nXCLIENT ADDR=::1\r\nRSET\r\nXCLIENT HELO=y\r\nQUIT\r\n"
    )
    verbs = ["XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT"]
    whole = same_in_all_chunkings(script, trusted_verbs=verbs, limits=replace(LIMITS, buffered=1000))
    assert [code[:3] for code in whole.codes] == ["220", "250", "250", "250", "250", "250", "503", "250", "220", "221"]
    same_in_all_chunkings(script)
