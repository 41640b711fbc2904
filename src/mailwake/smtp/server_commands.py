"""What each command does to a session; that it is legal in the session's state was looked up before (states.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailwake.smtp import server_replies as replies
from mailwake.smtp.chunked_body import ChunkedBody
from mailwake.smtp.commands import UNKNOWN_COMMAND, parse_bdat, parse_command, parse_hello, parse_mail, parse_rcpt
from mailwake.smtp.data_body import too_big
from mailwake.smtp.extensions import Extension
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.sasl import MECHANISMS, Exchange, decode_response
from mailwake.smtp.server_events import (
    Authenticate,
    DumpContext,
    Hello,
    MailFrom,
    Quit,
    RcptTo,
    RemoteAddress,
    SetContext,
    StartTLS,
    XClient,
)
from mailwake.smtp.server_session import Session
from mailwake.smtp.states import TRANSITIONS, TRUSTED_VERBS, State, Verb, out_of_sequence
from mailwake.smtp.trusted_commands import parse_address, parse_variables, parse_xclient


def obey(session: Session, line: bytes) -> None:
    """Answer a command line, or leave in `session.pending` what has to be decided about it."""
    try:
        verb, argument = parse_command(line)
        if verb in session.options.unknown_verbs:
            raise Refusal(UNKNOWN_COMMAND)
        if verb in TRUSTED_VERBS and verb not in session.options.trusted_verbs:
            raise Refusal(replies.NOT_TRUSTED)
        if verb in _OF_EXTENSIONS and _OF_EXTENSIONS[verb][0] not in session.extensions:
            raise Refusal(_OF_EXTENSIONS[verb][1])
        next_state = TRANSITIONS[session.state].get(verb)
        if next_state is None:
            _out_of_sequence(session, verb, argument)
        else:
            session.next_state = next_state
            _COMMANDS[verb](session, argument)
    except Refusal as refusal:
        session.refuse(refusal.reply)


def _out_of_sequence(session: Session, verb: Verb, argument: str) -> None:
    refusal = out_of_sequence(session.state, verb, session.options.unknown_verbs)
    if verb is Verb.DATA and session.state is State.MAIL and session.recipients_tried:
        refusal = replies.NO_VALID_LMTP_RECIPIENTS if session.options.lmtp else replies.NO_VALID_RECIPIENTS
    if verb is Verb.BDAT:
        _begin_chunk(session, argument, ChunkedBody(session.rules, refusal, session.state))
    else:
        session.refuse(refusal)


def _ehlo(session: Session, argument: str) -> None:
    session.pending = Hello(parse_hello(argument, Verb.EHLO), extended=True)


def _helo(session: Session, argument: str) -> None:
    session.pending = Hello(parse_hello(argument, Verb.HELO), extended=False)


def _lhlo(session: Session, argument: str) -> None:
    session.pending = Hello(parse_hello(argument, Verb.LHLO), extended=True)


def _mail(session: Session, argument: str) -> None:
    envelope = parse_mail(argument, session.extensions)
    if int(envelope.parameters.get("SIZE", "0")) > session.options.limits.message_size:
        raise Refusal(too_big(session.rules))
    session.pending = MailFrom(envelope)


def _rcpt(session: Session, argument: str) -> None:
    envelope = session.envelope
    assert envelope is not None
    session.recipients_tried = True
    if len(envelope.recipients) >= session.options.limits.recipients:
        raise Refusal(replies.TOO_MANY_RECIPIENTS)  # RFC 5321 §4.5.3.1.10
    address, request = parse_rcpt(argument, smtputf8=envelope.smtputf8, extensions=session.extensions)
    session.pending = RcptTo(address, envelope, request)


def _data(session: Session, argument: str) -> None:
    _want_no_argument(argument)
    if session.is_binary:
        raise Refusal(replies.NO_DATA)
    session.begin_data()


def _bdat(session: Session, argument: str) -> None:
    _begin_chunk(session, argument, session.chunks or ChunkedBody(session.rules, binary=session.is_binary))


def _begin_chunk(session: Session, argument: str, chunks: ChunkedBody) -> None:
    chunk = parse_bdat(argument)
    if chunk is None:
        session.close(replies.BDAT_SYNTAX)
        return
    chunks.begin(chunk.octets, last=chunk.last)
    session.chunks = chunks
    session.state = State.CHUNK


def _rset(session: Session, argument: str) -> None:
    _want_no_argument(argument)
    session.reset()
    session.state = session.next_state
    session.say(replies.OK)


def _noop(session: Session, argument: str) -> None:
    session.say(replies.OK)  # RFC 5321 §4.1.1.9: an argument is ignored


def _vrfy(session: Session, argument: str) -> None:
    session.say(replies.CANNOT_VERIFY if argument else replies.VRFY_SYNTAX)


def _help(session: Session, argument: str) -> None:
    session.say(replies.LMTP_HELP if session.options.lmtp else replies.HELP)


def _quit(session: Session, argument: str) -> None:
    _want_no_argument(argument)
    session.pending = Quit()


def _start_tls(session: Session, argument: str) -> None:
    _want_no_argument(argument)
    if session.tls:
        raise Refusal(replies.TLS_ACTIVE)
    if session.input.octets:  # RFC 3207 §6: what was sent in the clear must not be taken for encrypted
        session.close(replies.INJECTION)
    else:
        session.pending = StartTLS()


def _auth(session: Session, argument: str) -> None:
    if session.authenticated is not None:
        raise Refusal(replies.AUTHENTICATED)
    if session.options.auth_requires_tls and not session.tls:
        raise Refusal(replies.ENCRYPTION_NEEDED)
    name, _, initial = argument.partition(" ")
    session.exchange_name = name.upper()
    if session.exchange_name not in session.options.auth_mechanisms:
        raise Refusal(replies.UNKNOWN_MECHANISM)
    session.exchange = MECHANISMS[session.exchange_name]()
    if initial:
        respond(session, initial.encode("utf-8", "surrogateescape"), initial=True)
    else:
        _challenge(session, session.exchange)


def respond(session: Session, line: bytes, *, initial: bool) -> None:
    """Go on with an AUTH exchange; raises Refusal."""
    assert session.exchange is not None
    credentials = session.exchange.respond(decode_response(line, initial=initial))
    if credentials is None:
        _challenge(session, session.exchange)
    else:
        session.exchange = None
        session.pending = Authenticate(session.exchange_name, credentials.username, credentials.password)


def _challenge(session: Session, exchange: Exchange) -> None:
    session.say(Reply(334, "", exchange.challenge))
    session.state = State.AUTH


def _xclient(session: Session, argument: str) -> None:
    session.pending = XClient(parse_xclient(argument))


def _xremoteip(session: Session, argument: str) -> None:
    session.pending = RemoteAddress(parse_address(argument))


def _xsetcontext(session: Session, argument: str) -> None:
    session.pending = SetContext(parse_variables(argument))


def _xdumpcontext(session: Session, argument: str) -> None:
    _want_no_argument(argument)
    session.pending = DumpContext(in_transaction=session.envelope is not None)


def _want_no_argument(argument: str) -> None:
    if argument:
        raise Refusal(replies.NO_ARGUMENT)


_OF_EXTENSIONS: Mapping[Verb, tuple[Extension, Reply]] = {
    Verb.BDAT: (Extension.CHUNKING, replies.NO_BDAT),
    Verb.STARTTLS: (Extension.STARTTLS, replies.NO_TLS),
    Verb.AUTH: (Extension.AUTH, replies.NO_AUTH),
}
"""Commands that there are only with an extension, and what is said without it, in any state."""

_COMMANDS: Mapping[Verb, Callable[[Session, str], None]] = {
    Verb.EHLO: _ehlo,
    Verb.HELO: _helo,
    Verb.LHLO: _lhlo,
    Verb.MAIL: _mail,
    Verb.RCPT: _rcpt,
    Verb.DATA: _data,
    Verb.BDAT: _bdat,
    Verb.RSET: _rset,
    Verb.NOOP: _noop,
    Verb.VRFY: _vrfy,
    Verb.HELP: _help,
    Verb.QUIT: _quit,
    Verb.AUTH: _auth,
    Verb.STARTTLS: _start_tls,
    Verb.XCLIENT: _xclient,
    Verb.XREMOTEIP: _xremoteip,
    Verb.XSETCONTEXT: _xsetcontext,
    Verb.XDUMPCONTEXT: _xdumpcontext,
}
