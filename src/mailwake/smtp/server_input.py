"""How a session takes its input: in each state one step, which consumes something if there is enough of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailwake.smtp import server_replies as replies
from mailwake.smtp.line_buffer import LineFlaw
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.server_commands import obey, respond
from mailwake.smtp.server_events import Connected, MessageData
from mailwake.smtp.server_session import Session
from mailwake.smtp.states import State, Verb


def _greet(session: Session) -> bool:
    session.pending = Connected()
    return True


def _wait(session: Session) -> bool:
    return False


def _take_command(session: Session) -> bool:
    line = session.input.take_line(_line_limit(session))
    if line is None:
        return False
    if isinstance(line, bytes):
        obey(session, line)
    else:
        _refuse_line(session, line, replies.LINE_TOO_LONG)
    return True


def _line_limit(session: Session) -> int:
    """RFC 4954 §4: AUTH with its initial response may be longer than other commands; so may be XSETCONTEXT's values."""
    options, octets = session.options, session.input.octets
    if bytes(octets[:1]) not in _MAY_BE_LONG:
        return options.limits.command_line
    head = octets[:12].upper()
    is_long = head.startswith(b"AUTH ") or (head == b"XSETCONTEXT " and Verb.XSETCONTEXT in options.trusted_verbs)
    return options.limits.auth_line if is_long else options.limits.command_line


_MAY_BE_LONG = frozenset((b"A", b"a", b"X", b"x"))


def _take_response(session: Session) -> bool:
    line = session.input.take_line(session.options.limits.auth_line)
    if line is None:
        return False
    session.state = State.READY
    if isinstance(line, LineFlaw):
        _refuse_line(session, line, replies.AUTH_LINE_TOO_LONG)
        return True
    try:
        respond(session, line, initial=False)
    except Refusal as refusal:
        session.refuse(refusal.reply)
    return True


def _refuse_line(session: Session, flaw: LineFlaw, too_long: Reply) -> None:
    if flaw is LineFlaw.BARE_LF:
        session.close(replies.BARE_LF)
    else:
        session.refuse(too_long)


def _take_data(session: Session) -> bool:
    assert session.body is not None
    content = session.body.take(session.input.octets)
    if content is None:
        return False
    session.body = None
    _finish_message(session, content)
    return True


def _take_chunk(session: Session) -> bool:
    chunks = session.chunks
    assert chunks is not None
    if not chunks.take(session.input.octets):
        return False
    session.state = chunks.resume
    if chunks.refusal is not None:
        session.chunks = None
        session.refuse(chunks.refusal)
    elif chunks.last:
        _finish_message(session, chunks.content())
    else:
        session.say(chunks.too_big or Reply(250, "2.0.0", f"{chunks.octets} octets received"))
    return True


def _finish_message(session: Session, content: bytes | Reply) -> None:
    assert session.envelope is not None
    if isinstance(content, bytes):
        session.pending = MessageData(session.envelope, content)
    else:
        session.answer_message(content)


STEPS: Mapping[State, Callable[[Session], bool]] = {
    State.GREETING: _greet,
    State.REFUSED: _take_command,
    State.CONNECTED: _take_command,
    State.READY: _take_command,
    State.MAIL: _take_command,
    State.RCPT: _take_command,
    State.DATA: _take_data,
    State.CHUNKS: _take_command,
    State.CHUNK: _take_chunk,
    State.AUTH: _take_response,
    State.TLS: _wait,
    State.CLOSING: _wait,
}
"""State → the step; it returns whether another one may follow without more input."""
