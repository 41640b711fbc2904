"""What is legal when: the states of an SMTP session and, for each, the commands that may come (RFC 5321 §4.1.4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from mailwake.smtp.replies import Reply


class Verb(StrEnum):
    """The commands that are understood."""

    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    HELP = "HELP"
    QUIT = "QUIT"
    AUTH = "AUTH"
    STARTTLS = "STARTTLS"
    XCLIENT = "XCLIENT"
    XREMOTEIP = "XREMOTEIP"
    XSETCONTEXT = "XSETCONTEXT"
    XDUMPCONTEXT = "XDUMPCONTEXT"


TRUSTED_VERBS = frozenset({Verb.XCLIENT, Verb.XREMOTEIP, Verb.XSETCONTEXT, Verb.XDUMPCONTEXT})
"""Commands for peers that were told apart as trusted; for all others they do not exist, in any state."""


SMTP_GREETINGS = frozenset({Verb.EHLO, Verb.HELO})
LMTP_GREETINGS = frozenset({Verb.LHLO})
"""Where one of the two protocols is spoken, the other's greeting is an unknown command (RFC 2033 §4.1)."""


class State(StrEnum):
    """Where a session stands."""

    GREETING = "GREETING"
    """The connection is open; whether it is welcome is not decided."""

    REFUSED = "REFUSED"
    """The greeting was no welcome; only QUIT is left (RFC 5321 §3.1)."""

    CONNECTED = "CONNECTED"
    """Welcomed (or TLS just started); the client has to introduce itself."""

    READY = "READY"
    """Between messages."""

    MAIL = "MAIL"
    """A sender, and no recipient yet."""

    RCPT = "RCPT"
    """A sender and at least one recipient."""

    DATA = "DATA"
    """The message's text is coming, dot-stuffed."""

    CHUNKS = "CHUNKS"
    """Between two BDAT commands of one message (RFC 3030)."""

    CHUNK = "CHUNK"
    """The octets of a BDAT command are coming."""

    AUTH = "AUTH"
    """The client answers a challenge (RFC 4954)."""

    TLS = "TLS"
    """STARTTLS was granted; the handshake is running."""

    CLOSING = "CLOSING"
    """Nothing is read any more."""


def _in(state: State, others: Mapping[Verb, State]) -> Mapping[Verb, State]:
    """The commands that change nothing are legal in every state of a running session (RFC 5321 §4.1.4)."""
    return {**others, Verb.NOOP: state, Verb.VRFY: state, Verb.HELP: state, Verb.QUIT: State.CLOSING}


def _with_context(state: State, others: Mapping[Verb, State]) -> Mapping[Verb, State]:
    """Between EHLO and the message a trusted peer may set and read the context, and say who its client is."""
    stays = (Verb.XREMOTEIP, Verb.XSETCONTEXT, Verb.XDUMPCONTEXT)
    return {**others, **dict.fromkeys(stays, state)}


# XCLIENT: "at any time except in the middle of a mail delivery transaction"; then all begins again with our greeting.
_XCLIENT = {Verb.XCLIENT: State.GREETING}
# A new greeting in mid-session clears everything, like RSET (RFC 5321 §4.1.4).
_ANEW = {**dict.fromkeys((Verb.EHLO, Verb.HELO, Verb.LHLO), State.READY), Verb.RSET: State.READY}

TRANSITIONS: Mapping[State, Mapping[Verb, State]] = {
    State.REFUSED: {Verb.QUIT: State.CLOSING},
    State.CONNECTED: _in(
        State.CONNECTED,
        {
            **_ANEW,
            Verb.RSET: State.CONNECTED,
            Verb.XREMOTEIP: State.CONNECTED,
            **_XCLIENT,
        },
    ),
    State.READY: _in(
        State.READY,
        _with_context(
            State.READY,
            {**_ANEW, **_XCLIENT, Verb.MAIL: State.MAIL, Verb.AUTH: State.READY, Verb.STARTTLS: State.TLS},
        ),
    ),
    State.MAIL: _in(State.MAIL, _with_context(State.MAIL, {**_ANEW, Verb.RCPT: State.RCPT})),
    State.RCPT: _in(
        State.RCPT,
        _with_context(State.RCPT, {**_ANEW, Verb.RCPT: State.RCPT, Verb.DATA: State.DATA, Verb.BDAT: State.CHUNKS}),
    ),
    State.CHUNKS: _in(State.CHUNKS, {**_ANEW, Verb.BDAT: State.CHUNKS}),
}
"""State × verb → the state after the command was accepted; a missing verb is out of sequence (503)."""


def out_of_sequence(state: State, verb: Verb, unknown: Collection[Verb] = LMTP_GREETINGS) -> Reply:
    """The 503 for a verb that is not in the state's row; it names those that are (RFC 5321 §4.1.4)."""
    legal = ", ".join(each for each in TRANSITIONS[state] if each not in TRUSTED_VERBS and each not in unknown)
    return Reply(503, "5.5.1", f"Bad sequence of commands: {verb} is not possible now; possible are {legal}")
