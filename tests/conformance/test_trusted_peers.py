"""Commands for trusted peers against their documents: in every state, from a trusted peer and from a stranger.

XCLIENT: Postfix's XCLIENT_README. XREMOTEIP, XSETCONTEXT and XDUMPCONTEXT: Momentum's "ESMTP_Listener Extensions".
"""

from typing import Any

import pytest

from mailwake.smtp.replies import Reply
from mailwake.smtp.server_protocol import Connected, Event, ServerProtocol, XClient
from mailwake.smtp.states import TRANSITIONS, TRUSTED_VERBS, State, Verb

from .test_smtp_server import BASE, BDAT, FROM, HELLO, LIMITS, TAKEN, TO, codes, extensions

TRUSTED: dict[str, Any] = {"trusted_verbs": ["XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT"]}
STRANGER: dict[str, Any] = {}
AUTH: dict[str, Any] = {"auth_mechanisms": ["PLAIN"], "auth_requires_tls": False}
XCLIENT, XREMOTEIP = "XCLIENT ADDR=192.0.2.1\r\n", "XREMOTEIP 192.0.2.1\r\n"
XSET, XDUMP = "XSETCONTEXT a=1\r\n", "XDUMPCONTEXT\r\n"
VERBS = {Verb.XCLIENT: XCLIENT, Verb.XREMOTEIP: XREMOTEIP, Verb.XSETCONTEXT: XSET, Verb.XDUMPCONTEXT: XDUMP}
CHUNKS = TO + "BDAT 0\r\n"
BEFORE = {
    State.CONNECTED: ("", ""),
    State.READY: (HELLO, "250 "),
    State.MAIL: (FROM, "250 250:2.1.0 "),
    State.RCPT: (TO, f"{TAKEN} "),
    State.CHUNKS: (CHUNKS, f"{TAKEN} 250:2.0.0 "),
}
ACCEPTED = {Verb.XCLIENT: "220", Verb.XDUMPCONTEXT: "250:2.0.0"}
LEGAL = {
    Verb.XCLIENT: {State.CONNECTED, State.READY},
    Verb.XREMOTEIP: {State.CONNECTED, State.READY, State.MAIL, State.RCPT},
    Verb.XSETCONTEXT: {State.READY, State.MAIL, State.RCPT},
    Verb.XDUMPCONTEXT: {State.READY, State.MAIL, State.RCPT},
}
ROWS = [(verb, state) for verb in VERBS for state in BEFORE]


@pytest.mark.parametrize(("verb", "state"), ROWS)
def test_a_trusted_peer_is_obeyed_in_some_states(verb: Verb, state: State) -> None:
    script, replies = BEFORE[state]
    expected = ACCEPTED.get(verb, "250:2.0.0") if state in LEGAL[verb] else "503:5.5.1"
    assert codes(script + VERBS[verb], {**TRUSTED, **BDAT}) == replies + expected


@pytest.mark.parametrize(("verb", "state"), ROWS)
def test_a_stranger_is_refused_in_every_state_and_the_session_goes_on(verb: Verb, state: State) -> None:
    script, replies = BEFORE[state]
    others: dict[str, Any] = {"trusted_verbs": TRUSTED_VERBS - {verb}}
    for options in (STRANGER, others):
        assert codes(script + VERBS[verb] + "NOOP\r\n", {**options, **BDAT}) == f"{replies}550:5.7.0 250:2.0.0"
        # Whatever follows the verb: a stranger learns nothing of its syntax.
        assert codes(f"{script}{verb}\r\n{verb.lower()} @\r\nRSET\r\n", {**options, **BDAT}) == (
            f"{replies}550:5.7.0 550:5.7.0 250:2.0.0"
        )


@pytest.mark.parametrize("state", BEFORE)
def test_a_strangers_transaction_is_untouched(state: State) -> None:
    intruding = "".join(VERBS.values())
    script = TO.replace("\r\n", f"\r\n{intruding}") + "DATA\r\nx\r\n.\r\n"
    assert codes(script, STRANGER) == (
        "250 " + "550:5.7.0 " * 4 + "250:2.1.0 " + "550:5.7.0 " * 4 + "250:2.1.5 " + "550:5.7.0 " * 4 + "354 250:2.0.0"
    )


def test_the_states_are_those_of_the_table() -> None:
    for verb, states in LEGAL.items():
        assert {state for state, legal in TRANSITIONS.items() if verb in legal} == states
    assert set(TRANSITIONS) - set(BEFORE) == {State.REFUSED}


def test_refusing_a_stranger_never_ends_the_session() -> None:
    assert codes(HELLO + XSET * 100 + "NOOP\r\n", STRANGER) == "250 " + "550:5.7.0 " * 100 + "250:2.0.0"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("options", [TRUSTED, STRANGER])
def test_after_a_refused_greeting_nobody_is_obeyed(verb: Verb, options: dict[str, Any]) -> None:
    protocol = ServerProtocol("mx.example", LIMITS, **options)
    assert protocol.next_event() == Connected()
    protocol.reply(Reply(554, "5.7.1", "No service"))
    protocol.receive_data(VERBS[verb].encode() + b"QUIT\r\n")
    while protocol.next_event() is not None:
        protocol.accept()
    assert [line[:9] for line in protocol.data_to_send().split(b"\r\n")[1:-1]] == [
        b"550 5.7.0" if options is STRANGER else b"503 5.5.1",
        b"221 2.0.0",
    ]


MALFORMED = [
    "XCLIENT",
    "XCLIENT ADDR=x",
    "XCLIENT ADDR",
    "XCLIENT FOO=bar",
    "XREMOTEIP",
    "XREMOTEIP x",
    "XREMOTEIP 192.0.2.1 25",
    "XSETCONTEXT",
    "XSETCONTEXT a",
    "XSETCONTEXT a=+",
    "XSETCONTEXT a=1 b",
    "XDUMPCONTEXT x",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_a_trusted_peers_mistakes(line: str) -> None:
    assert codes(f"{HELLO}{line}\r\nNOOP\r\n", TRUSTED) == "250 501:5.5.4 250:2.0.0"
    assert codes(f"{HELLO}{line}\r\nNOOP\r\n", STRANGER) == "250 550:5.7.0 250:2.0.0"


TABLE: list[tuple[str, str, str, dict[str, Any]]] = [
    ("XCLIENT starts anew", HELLO + XCLIENT + "MAIL FROM:<>\r\n", "250 220 503:5.5.1", TRUSTED),
    ("XCLIENT and EHLO in one group", HELLO + XCLIENT + TO, f"250 220 {TAKEN}", TRUSTED),
    ("XCLIENT several times", HELLO + XCLIENT * 3 + HELLO, "250 220 220 220 250", TRUSTED),
    ("XCLIENT in any case", "xclient addr=192.0.2.1\r\n", "220", TRUSTED),
    ("XCLIENT after a message", TO + "DATA\r\n.\r\n" + XCLIENT, f"{TAKEN} 354 250:2.0.0 220", TRUSTED),
    ("XCLIENT logs out", HELLO + "AUTH PLAIN AGEAYg==\r\n" + XCLIENT + HELLO + "AUTH PLAIN AGEAYg==\r\n",
     "250 235:2.7.0 220 250 235:2.7.0", {**TRUSTED, **AUTH}),
    ("XCLIENT LOGIN logs in", HELLO + "XCLIENT LOGIN=ann\r\n" + HELLO + "AUTH PLAIN AGEAYg==\r\n",
     "250 220 250 503:5.5.1", {**TRUSTED, **AUTH}),
    ("XREMOTEIP keeps the transaction", TO + XREMOTEIP + "DATA\r\n.\r\n", f"{TAKEN} 250:2.0.0 354 250:2.0.0", TRUSTED),
    ("XSETCONTEXT before EHLO", XSET, "503:5.5.1", TRUSTED),
    ("XSETCONTEXT as long as AUTH", HELLO + f"XSETCONTEXT a={'x' * 12272}\r\n", "250 250:2.0.0", TRUSTED),
    ("XSETCONTEXT one over", HELLO + f"XSETCONTEXT a={'x' * 12273}\r\nNOOP\r\n", "250 500:5.5.2 250:2.0.0", TRUSTED),
    ("a stranger's XSETCONTEXT is not longer", HELLO + f"XSETCONTEXT a={'x' * 2035}\r\n", "250 500:5.5.2", STRANGER),
    ("octets of a message are no commands", TO + f"DATA\r\n{XCLIENT}.\r\n", f"{TAKEN} 354 250:2.0.0", TRUSTED),
    ("PROXY is no command", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nNOOP\r\n", "500:5.5.1 250:2.0.0", TRUSTED),
]  # fmt: skip


@pytest.mark.parametrize(("case", "script", "expected", "options"), TABLE, ids=[row[0] for row in TABLE])
def test_trusted_peers(case: str, script: str, expected: str, options: dict[str, Any]) -> None:
    assert codes(script, options) == expected, case


def test_inside_tls_the_session_stays_encrypted() -> None:
    protocol = ServerProtocol("mx.example", LIMITS, starttls=True, tls=True, trusted_verbs=["XCLIENT"])
    protocol.receive_data((HELLO + XCLIENT + HELLO).encode())
    while protocol.next_event() is not None:
        protocol.accept()
    assert protocol.tls
    assert b"STARTTLS" not in protocol.data_to_send()


ATTRIBUTES = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"trusted_verbs": ["XCLIENT"]}, ["XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"]),
        ({"trusted_verbs": ["XCLIENT"], **AUTH}, ["AUTH PLAIN", f"XCLIENT {ATTRIBUTES}"]),
        ({"trusted_verbs": ["XDUMPCONTEXT", "XREMOTEIP"]}, ["XREMOTEIP", "XDUMPCONTEXT"]),
        ({"trusted_verbs": ["XSETCONTEXT", "STARTTLS"]}, ["XSETCONTEXT"]),
        ({}, []),
    ],
)
def test_ehlo_lists_what_this_peer_may_use(options: dict[str, Any], more: list[str]) -> None:
    assert extensions(options) == BASE + more


def test_help_and_503_do_not_tell_strangers_of_these_commands() -> None:
    protocol = ServerProtocol("mx.example", LIMITS)
    protocol.receive_data(b"HELP\r\nMAIL FROM:<>\r\n")
    while protocol.next_event() is not None:
        protocol.accept()
    assert not any(verb.encode() in protocol.data_to_send() for verb in TRUSTED_VERBS)


def test_a_refused_xclient_changes_nothing() -> None:
    protocol = ServerProtocol("mx.example", LIMITS, trusted_verbs=["XCLIENT"])
    protocol.receive_data((HELLO + XCLIENT + "MAIL FROM:<>\r\n").encode())
    events: list[Event] = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
        protocol.reply(Reply(535, "5.7.8", "No")) if isinstance(event, XClient) else protocol.accept()
    assert [type(event).__name__ for event in events] == ["Connected", "Hello", "XClient", "MailFrom"]
    assert protocol.state is State.MAIL
