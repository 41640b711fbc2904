"""SMTP smuggling (SEC Consult, December 2023): no message is ended by anything but CRLF.CRLF, here or at the next hop.

Every line end that servers are known to take, before and behind the dot, but the right pair.
"""

from __future__ import annotations

import re

import pytest

from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction, data_content
from mailwake.smtp.data_body import BareNewlines
from mailwake.smtp.server_events import MailFrom, MessageData
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_protocol import ServerProtocol

LIMITS = ServerLimits(512, 12_288, 2000, 100_000, 10, 10, 100_000)
LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n", b"\0\n", b"\r\0\n"]
LINE_ENDS += [b"\x85", b"\x0b", b"\x0c"]
_COMBINED = [before + b"." + behind for before in LINE_ENDS for behind in LINE_ENDS]
FALSE_ENDS = [each for each in _COMBINED if b"\r\n.\r\n" not in each]
"""Published: \\n.\\n, \\n.\\r\\n, \\r.\\r, \\r\\n.\\n, \\r.\\r\\n, \\r\\n\\0.\\r\\n, among all the others."""
SMUGGLED = b"MAIL FROM:<admin@victim.example>\r\nRCPT TO:<x@victim.example>\r\nDATA\r\nSubject: fake\r\n\r\nfake\r\n"
PUBLISHED = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n\0.\r\n"]

LAX_ENDS = [
    re.compile(rb"\r?\n\.\r?\n"),  # Sendmail, Postfix and others as they were
    re.compile(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)"),
    re.compile(rb"[\r\n]\.[\r\n]"),
    re.compile(rb"\r\n\0*\.\0*\r\n"),
    re.compile(rb"(?:\r*\n|\r)\0*\.\0*(?:\r*\n|\r)"),
]
"""How careless servers find the end of the text."""


def test_the_published_vectors_are_among_them() -> None:
    assert set(PUBLISHED) <= set(FALSE_ENDS)
    assert len(FALSE_ENDS) == len(set(_COMBINED)) - 6  # those have the true end in them


def _session(script: bytes, bare_newlines: BareNewlines, step: int) -> tuple[list[bytes], int, bytes]:
    """The messages, the number of senders, and the replies, of a script cut into pieces."""
    protocol = ServerProtocol("mx.example", LIMITS, bare_newlines=bare_newlines)
    messages, senders, said = [], 0, b""
    for start in range(0, len(script), step):
        protocol.receive_data(script[start : start + step])
        while (event := protocol.next_event()) is not None:
            senders += isinstance(event, MailFrom)
            if isinstance(event, MessageData):
                messages.append(event.content)
            protocol.accept()
        said += protocol.data_to_send()
    return messages, senders, said


BEGIN = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"


@pytest.mark.parametrize("bare_newlines", ["reject", "convert"])
@pytest.mark.parametrize("false_end", FALSE_ENDS)
def test_in_no_false_end_ends_a_message(false_end: bytes, bare_newlines: BareNewlines) -> None:
    content = b"Subject: x\r\n\r\nfirst" + false_end + SMUGGLED
    data = BEGIN + b"DATA\r\n" + content + b".\r\nQUIT\r\n"
    bdat = BEGIN + b"BDAT %d LAST\r\n" % len(content) + content + b"QUIT\r\n"
    for script in (data, bdat):
        outcomes = [_session(script, bare_newlines, step) for step in (1, 7, len(script))]
        assert outcomes[0] == outcomes[1] == outcomes[2]
        messages, senders, said = outcomes[0]
        assert senders == 1
        assert len(messages) <= 1
        assert all(b"MAIL FROM:<admin@victim.example>" in message for message in messages)
        assert said.count(b"\r\n221 ") == 1


@pytest.mark.parametrize("bare_newlines", ["reject", "convert"])
@pytest.mark.parametrize("by_bdat", [False, True])
def test_out_nothing_that_is_taken_can_smuggle_at_a_lax_next_hop(bare_newlines: BareNewlines, by_bdat: bool) -> None:
    taken = 0
    for false_end in [*FALSE_ENDS, b"\r\n.\r\n", b"\r\n..\r\n"]:
        content = b"Subject: x\r\n\r\nfirst" + false_end + SMUGGLED
        if by_bdat:
            script = BEGIN + b"BDAT %d LAST\r\n" % len(content) + content
        else:
            script = BEGIN + b"DATA\r\n" + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        for message in _session(script, bare_newlines, len(script))[0]:
            taken += 1
            for wire in (data_content([message]), _through_a_client(message)):
                for lax in LAX_ENDS:
                    found = lax.search(wire)
                    assert found is not None
                    assert found.start() >= len(wire) - 5, (false_end, lax.pattern)  # the true end, and no other
    assert taken >= 20


def _through_a_client(message: bytes) -> bytes:
    """What a next hop without CHUNKING gets after its 354."""
    protocol = ClientProtocol(ClientOptions("me.example"), max_reply_octets=2000)
    protocol.receive_data(b"220 hop\r\n")
    protocol.receive_data(b"250 hop\r\n")
    protocol.send(Transaction("a@b.example", "c@d.example", (message,)))
    protocol.data_to_send()
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
        protocol.receive_data(reply)
        sent = b"".join(protocol.data_to_send())
    return sent


@pytest.mark.parametrize("hidden", [b"\0.", b"\0\0.\0", b".\0", b"\0.."])
def test_a_dot_among_nuls_is_refused_alone_on_its_line_only(hidden: bytes) -> None:
    for around, refused in ((b"%s\r\n", hidden in (b"\0.", b"\0\0.\0")), (b"x%s\r\n", False), (b"%sx\r\n", False)):
        content = b"Subject: x\r\n\r\n" + around % hidden
        script = BEGIN + b"BDAT %d LAST\r\n" % len(content) + content
        messages, _, said = _session(script, "reject", len(script))
        assert (messages == [], b"550 5.6.0 The message contains a line of NULs" in said) == (refused, refused)
