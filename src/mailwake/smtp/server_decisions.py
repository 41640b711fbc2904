"""What each decision does to a session: an event's reply is said, and moves the state if it accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailwake.smtp import server_replies as replies
from mailwake.smtp.dsn import NO_REQUEST
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import (
    Answer,
    Authenticate,
    Connected,
    DumpContext,
    Event,
    Hello,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    RemoteAddress,
    SetContext,
    StartTLS,
    XClient,
)
from mailwake.smtp.server_session import Session
from mailwake.smtp.states import State


def settle(session: Session, event: Event, reply: Answer) -> None:
    """Answer this event with this reply; 2xx accepts. Only a message can have several."""
    _DECISIONS[type(event)](session, event, reply)
    if reply.code in (421, 521):  # RFC 5321 §3.8, RFC 7504 §3: after these the server closes
        session.finish()


def _connected(session: Session, event: Connected, reply: Reply) -> None:
    session.say(reply)
    session.state = State.CONNECTED if reply.is_positive else State.REFUSED


def _hello(session: Session, event: Hello, reply: Reply) -> None:
    if reply.is_positive:
        lines = [reply.text, *session.shown()] if event.extended else [reply.text]
        reply = Reply(reply.code, "", "\n".join(lines))  # RFC 2034 §4: no enhanced code here
        session.reset()
        session.state = session.next_state
    session.say(reply)


def _start_tls(session: Session, event: StartTLS, reply: Reply) -> None:
    if not reply.is_positive:
        session.say(reply)
    elif session.input.octets:
        session.close(replies.INJECTION)
    else:
        session.say(reply)
        session.state = session.next_state


def _authenticate(session: Session, event: Authenticate, reply: Reply) -> None:
    if reply.is_positive:
        session.authenticated = event.username
        session.say(reply)
    else:
        session.refuse(reply)


def _mail(session: Session, event: MailFrom, reply: Reply) -> None:
    if reply.is_positive:
        session.envelope = event.envelope
        session.recipients_tried = False
        session.state = session.next_state
    session.say(reply)


def _rcpt(session: Session, event: RcptTo, reply: Reply) -> None:
    if reply.is_positive:
        envelope = event.envelope
        if event.request != NO_REQUEST and event.recipient not in envelope.recipients:
            envelope.requests[event.recipient] = event.request
        envelope.recipients.append(event.recipient)
        session.state = session.next_state
    session.say(reply)


def _message(session: Session, event: MessageData, reply: Answer) -> None:
    session.answer_message(reply)
    if reply.is_positive:
        session.errors = 0


def _quit(session: Session, event: Quit, reply: Reply) -> None:
    session.say(reply)
    session.finish()


def _xclient(session: Session, event: XClient, reply: Reply) -> None:
    if reply.is_positive:  # nothing is said but the greeting for the new client, once that has been decided
        session.reset()
        session.authenticated = event.client.login or None
        session.state = session.next_state
    else:
        session.refuse(reply)


def _answer(session: Session, event: Event, reply: Reply) -> None:
    session.say(reply)


# The event is of the type that is its key, and the answer as it fits, which a mapping cannot say.
_DECISIONS: Mapping[type[Event], Callable[[Session, Any, Any], None]] = {
    Connected: _connected,
    Hello: _hello,
    StartTLS: _start_tls,
    Authenticate: _authenticate,
    MailFrom: _mail,
    RcptTo: _rcpt,
    MessageData: _message,
    Quit: _quit,
    XClient: _xclient,
    RemoteAddress: _answer,
    SetContext: _answer,
    DumpContext: _answer,
}
