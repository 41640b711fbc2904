"""What a peer or a policy says stays where it belongs: in one line of a reply, in one header field, in one argument."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.flows.trace_header import received_field
from mailwake.listener.session import Session
from mailwake.policy.message_view import Message
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import Hello, MailFrom, RcptTo, XClient
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_protocol import ServerProtocol

LIMITS = ServerLimits(2048, 12_288, 2000, 100_000, 10, 10, 100_000)
OPTIONS = ScopedOptions(load(host_name="mx.example")).resolve("127.0.0.1:2525", "127.0.0.1")
HOSTILE = [
    b"x\rEvil: 1",
    b"x\0y",
    b"x\ty",
    b"x (comment",
    b"x) by evil (",
    b"x\\",
    b"x;",
    b"\xff\xfe",
    "ü\u2028Evil: 1".encode(),
    b"x\x0bEvil: 1",
    b"x\x85Evil: 1",
    b"[IPv6:::1]\x0c",
    b"\x1b[31mred",
    b"x" * 1000,
]


def _events(*lines: bytes, **options: object) -> list[object]:
    protocol = ServerProtocol("mx.example", LIMITS, **options)  # type: ignore[arg-type]
    found: list[object] = []
    for line in (b"", *lines):
        protocol.receive_data(line and line + b"\r\n")
        while (event := protocol.next_event()) is not None:
            found.append(event)
            protocol.accept()
    said = protocol.data_to_send()
    assert said.replace(b"\r\n", b"").decode("ascii").isprintable()
    return found


def _session(hello: str = "", name: str = "") -> Session:
    session = Session("127.0.0.1:2525", "192.0.2.7", 4711, OPTIONS, trusted_network=True)
    session.hello_domain, session.peer_name, session.extended = hello, name, True
    return session


def _is_one_field(field: bytes) -> bool:
    lines = field.split(b"\r\n")
    parsed = message_from_bytes(field + b"\r\ntext\r\n", policy=SMTP)
    return (
        len(lines) == 4
        and lines[-1] == b""
        and all(line.replace(b"\t", b"").decode("ascii").isprintable() for line in lines)
        and parsed.keys() == ["Received"]
    )


@pytest.mark.parametrize("verb", [b"EHLO", b"HELO"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_greeting_is_refused_or_stays_in_its_place(verb: bytes, hostile: bytes) -> None:
    for event in _events(verb + b" " + hostile):
        if isinstance(event, Hello):
            assert _is_one_field(received_field(_session(event.domain), "mx.example", 1, 0.0))


@given(st.binary(min_size=1, max_size=80).filter(lambda octets: b"\n" not in octets))
@example(b"a\rb")
def test_any_greeting(hello: bytes) -> None:
    for event in _events(b"EHLO " + hello):
        if isinstance(event, Hello):
            assert _is_one_field(received_field(_session(event.domain), "mx.example", 1, 0.0))


@pytest.mark.parametrize("hostile", [*HOSTILE, b"x+0D+0AEvil:+201", b"x+00", b"x+28"])
@pytest.mark.parametrize("attribute", [b"NAME", b"HELO"])
def test_what_a_trusted_peer_says_of_its_client(attribute: bytes, hostile: bytes) -> None:
    for event in _events(b"EHLO x", b"XCLIENT " + attribute + b"=" + hostile, trusted_verbs=["XCLIENT"]):
        if isinstance(event, XClient):
            hello, name = event.client.hello or "", event.client.name or ""
            assert _is_one_field(received_field(_session(hello, name), "mx.example", 1, 0.0))


ADDRESSES = [
    b'<"a\rb"@c.example>',
    b'<"a\\\rRCPT TO:<x@y.example>"@c.example>',
    b"<a@c.example\r>",
    b"<a\0@c.example>",
    b'<"a\0"@c.example>',
    b"<a@c.example> \rDATA",
    b'<"a>\\"@c.example>',
    b'<"a b\\>"@c.example>',
    b"<a@c.example><b@d.example>",
    b'<"\\"@c.example>',
    b"<a@c.example\x0b>",
    b"<a@\x1b[31m.example>",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_refused_or_leaves_as_one_argument(address: bytes) -> None:
    for event in _events(b"EHLO x", b"MAIL FROM:" + address, b"MAIL FROM:<>", b"RCPT TO:" + address):
        sender = event.envelope.sender if isinstance(event, MailFrom) else ""
        recipient = event.recipient if isinstance(event, RcptTo) else "b@b.example"
        commands = _commands(Transaction(sender, recipient, (b"x\r\n",)))
        assert len(commands) == 3
        assert [line.split(b":")[0] for line in commands[:2]] == [b"MAIL FROM", b"RCPT TO"]
        assert all(line.decode("ascii").isprintable() for line in commands)


def _commands(transaction: Transaction) -> list[bytes]:
    protocol = ClientProtocol(ClientOptions("me.example"), max_reply_octets=2000)
    protocol.receive_data(b"220 hop\r\n")
    protocol.receive_data(b"250-hop\r\n250 PIPELINING\r\n")
    protocol.data_to_send()
    protocol.send(transaction)
    return b"".join(protocol.data_to_send()).removesuffix(b"\r\n").split(b"\r\n")


TEXTS = ["no\r\n250 2.0.0 yes", "no\n250 yes", "no\r250 yes", "a\x1b[31mb", "\0", "x" * 2000, "\u2028250 yes", "", "\n"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_refusal_is_one_reply(text: str) -> None:
    for utf8 in (False, True):
        lines = Reply(550, "5.7.1", text).encode(utf8=utf8).split(b"\r\n")
        assert lines.pop() == b""
        assert [line[:10] for line in lines] == [b"550-5.7.1 "] * (len(lines) - 1) + [b"550 5.7.1 "]
        assert all(line.decode().isprintable() and len(line) <= 510 for line in lines)


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\0"])
def test_a_policy_cannot_start_another_field(value: str) -> None:
    message = Message(sender="a@b.example", recipients=["c@d.example"], recipient="", peer="", listener="")
    with pytest.raises(ValueError, match="has a line break or NUL in it"):
        message.set_header("X-Ours", value)
    with pytest.raises(ValueError, match="is no name of a header field"):
        message.set_header("X-Ours: 1\r\nEvil", "1")
