"""The server's side of LMTP (RFC 2033): what differs from SMTP."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwake.smtp.extensions import EVERY_EXTENSION, extensions_without
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_protocol import Answer, Event, MessageData, MessageReplies, ServerProtocol
from mailwake.smtp.states import Verb

from .test_smtp_server import LIMITS, codes

HELLO = "LHLO client.example\r\n"
FROM = HELLO + "MAIL FROM:<a@example.com>\r\n"
TWO = FROM + "RCPT TO:<b@example.org>\r\nRCPT TO:<b@example.org>\r\n"
TAKEN = "250 250:2.1.0 250:2.1.5 250:2.1.5"  # the replies to TWO
ONE_BAD = FROM + "RCPT TO:<b@example.org>\r\nRCPT TO:<nobody>\r\nRCPT TO:<c@example.org>\r\n"
LATER = Reply(450, "4.2.1", "Busy")
NEVER = Reply(550, "5.1.1", "No such user")
OK = Reply(250, "2.0.0", "Ok")

TABLE: list[tuple[str, str, str]] = [
    ("§4.1 LHLO", "lhlo x\r\nMAIL FROM:<>\r\n", "250 250:2.1.0"),
    ("§4.1 no EHLO and no HELO", "EHLO x\r\nHELO x\r\nMAIL FROM:<>\r\n", "500:5.5.1 500:5.5.1 503:5.5.1"),
    ("§4.1 nor in mid-session", FROM + "EHLO x\r\nRCPT TO:<a@b>\r\n", "250 250:2.1.0 500:5.5.1 250:2.1.5"),
    ("§4.1 LHLO resets", FROM + HELLO + "RCPT TO:<a@b>\r\n", "250 250:2.1.0 250 503:5.5.1"),
    ("§4.1 one name", "LHLO\r\nLHLO a b\r\n", "501:5.5.4 501:5.5.4"),
    ("§4.2 a reply for each recipient", TWO + "DATA\r\nx\r\n.\r\nNOOP\r\n",
        TAKEN + " 354 250:2.0.0 250:2.0.0 250:2.0.0"),
    ("§4.2 none for who was refused", ONE_BAD + "DATA\r\n.\r\n",
        "250 250:2.1.0 250:2.1.5 501:5.1.3 250:2.1.5 354 250:2.0.0 250:2.0.0"),
    ("§4.2 no valid recipients", FROM + "RCPT TO:<nobody>\r\nDATA\r\n", "250 250:2.1.0 501:5.1.3 503:5.5.1"),
    ("§4.2 no recipients", FROM + "DATA\r\n", "250 250:2.1.0 503:5.5.1"),
    ("§4.2 a bad content is refused to each", TWO + "DATA\r\nx\ny\r\n.\r\nNOOP\r\n",
        TAKEN + " 354 550:5.6.11 550:5.6.11 250:2.0.0"),
    ("§4.2 too big", TWO + "DATA\r\n" + "x\r\n" * 3334 + ".\r\n", TAKEN + " 354 552:5.3.4 552:5.3.4"),
    ("3030 §2 BDAT LAST", TWO + "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n",
        TAKEN + " 250:2.0.0 250:2.0.0 250:2.0.0 250:2.0.0"),
    ("3030 §2 BDAT too big", TWO + f"BDAT 10001 LAST\r\n{'x' * 10001}", TAKEN + " 552:5.3.4 552:5.3.4"),
    ("3030 §2 BDAT without recipients", FROM + "BDAT 3 LAST\r\na\r\nNOOP\r\n", "250 250:2.1.0 503:5.5.1 250:2.0.0"),
    ("3030 §3 no DATA after BINARYMIME", TWO.replace("com>", "com> BODY=BINARYMIME") + "DATA\r\nBDAT 1 LAST\r\nx",
        TAKEN + " 503:5.5.1 250:2.0.0 250:2.0.0"),
    ("5321 §4.1.1.8 HELP", "HELP\r\n", "214:2.0.0"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "script", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_rfc(section: str, script: str, expected: str) -> None:
    assert codes(script, {"lmtp": True}) == expected, section


def talk(script: bytes, answers: list[Answer], size: int = 0, **options: Any) -> bytes:
    """What is said after the greeting when messages are answered like this, and everything else is accepted."""
    protocol, waiting = ServerProtocol("mx.example", LIMITS, lmtp=True, **options), list(answers)
    protocol.next_event()
    protocol.accept()
    protocol.data_to_send()
    step = size or len(script) or 1
    for start in range(0, len(script), step):
        protocol.receive_data(script[start : start + step])
        while (event := protocol.next_event()) is not None:
            _decide(protocol, event, waiting)
    return protocol.data_to_send()


def _decide(protocol: ServerProtocol, event: Event, waiting: list[Answer]) -> None:
    if isinstance(event, MessageData) and waiting:
        protocol.reply(waiting.pop(0))
    else:
        protocol.accept()


def test_replies_come_in_the_order_of_the_recipients() -> None:
    script = (TWO + "RCPT TO:<c@example.org>\r\nDATA\r\n.\r\nNOOP\r\n").encode()
    said = talk(script, [MessageReplies([OK, NEVER, LATER])])
    assert said.splitlines()[-4:] == [
        b"250 2.0.0 Ok",
        b"550 5.1.1 No such user",
        b"450 4.2.1 Busy",
        b"250 2.0.0 Ok",
    ]


def test_a_421_for_the_message_reaches_each_recipient_and_ends_the_session() -> None:
    said = talk((TWO + "DATA\r\n.\r\nNOOP\r\n").encode(), [Reply(421, "4.3.2", "Going down")])
    assert said.splitlines()[-2:] == [b"421 4.3.2 Going down"] * 2


@pytest.mark.parametrize(
    ("script", "answer", "lmtp"),
    [
        (TWO + "DATA\r\n.\r\n", MessageReplies([OK]), True),
        (TWO + "DATA\r\n.\r\n", MessageReplies([OK, OK, OK]), True),
        (TWO + "DATA\r\n.\r\n", MessageReplies([OK, Reply(354, "", "Go on")]), True),
        (TWO + "DATA\r\n.\r\n".replace("LHLO", "EHLO"), MessageReplies([OK, OK]), False),
        (HELLO, MessageReplies([OK]), True),
    ],
)
def test_replies_that_do_not_fit_are_a_mistake(script: str, answer: MessageReplies, lmtp: bool) -> None:
    protocol = ServerProtocol("mx.example", LIMITS, lmtp=lmtp)
    protocol.receive_data((script if lmtp else script.replace("LHLO", "EHLO")).encode())
    wanted = MessageData if "DATA" in script else object
    while not isinstance(event := protocol.next_event(), wanted) or type(event).__name__ == "Connected":
        protocol.accept()
    with pytest.raises(ValueError, match="decides nothing" if answer.is_intermediate else "do not fit"):
        protocol.reply(answer)


def test_the_answer_in_a_word() -> None:
    mixed = MessageReplies([OK, LATER, NEVER])
    assert (mixed.code, mixed.is_positive) == (550, True)
    assert not MessageReplies([LATER, NEVER]).is_positive


def test_lhlo_shows_what_rfc_2033_demands() -> None:
    every = [str(each) for each in EVERY_EXTENSION if each != "ENHANCEDSTATUSCODES"]
    said = talk(HELLO.encode(), [], extensions=extensions_without(tuple(every)))
    assert said == b"250-mx.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
    assert b"8BITMIME" in talk(HELLO.encode(), [])


def test_help_and_refusals_name_lmtp_s_own_commands() -> None:
    said = talk(b"HELP\r\nMAIL FROM:<>\r\n", [])
    assert b"LHLO" in said
    assert b"EHLO" not in said
    assert Verb.LHLO not in str(ServerProtocol("mx", LIMITS))


SCRAPS = [HELLO, FROM, TWO, ONE_BAD, "EHLO x\r\n", "DATA\r\n", "x\r\n.\r\n", ".\r\n", "BDAT 2 LAST\r\nab",
    "BDAT 2\r\nab", "RSET\r\n", "RCPT TO:<a@b>\r\n", "\n", "x"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SCRAPS), max_size=20), st.integers(1, 40))
def test_any_cutting_of_any_input_has_one_outcome(scraps: list[str], size: int) -> None:
    script = "".join(scraps).encode()
    assert talk(script, []) == talk(script, [], size)
