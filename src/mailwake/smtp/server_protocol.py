"""The server's side of an SMTP session: octets in, decisions asked for, octets out. It knows no socket and no clock.

The transport's part is one loop, and one write for all replies of a pipelined group:

    protocol.receive_data(data)
    while (event := protocol.next_event()) is not None:
        protocol.reply(await decide(event))
    transport.write(protocol.data_to_send())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailwake.smtp import server_replies as replies
from mailwake.smtp.chunked_body import ChunkedBody
from mailwake.smtp.commands import parse_bdat, parse_command, parse_hello, parse_mail, parse_rcpt
from mailwake.smtp.data_body import BareNewlines, ContentRules, DataBody, too_big
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.line_buffer import LineBuffer, LineFlaw
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.sasl import MECHANISMS, Exchange, decode_response
from mailwake.smtp.server_events import (
    Authenticate,
    Connected,
    Event,
    Hello,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    StartTLS,
)
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.states import TRANSITIONS, State, Verb, out_of_sequence


class ServerProtocol:
    """One session (RFC 5321); what is illegal it answers itself, what is legal it asks about, one event at a time."""

    __slots__ = (
        "_auth_mechanisms",
        "_auth_requires_tls",
        "_body",
        "_chunking",
        "_chunks",
        "_envelope",
        "_eof",
        "_errors",
        "_exchange",
        "_exchange_name",
        "_hostname",
        "_input",
        "_limits",
        "_next_state",
        "_output",
        "_pending",
        "_recipients_tried",
        "_rules",
        "_starttls",
        "_state",
        "authenticated",
        "tls",
    )

    def __init__(
        self,
        hostname: str,
        limits: ServerLimits,
        *,
        starttls: bool = False,
        auth_mechanisms: Sequence[str] = (),
        auth_requires_tls: bool = True,
        chunking: bool = False,
        bare_newlines: BareNewlines = "reject",
        tls: bool = False,
    ) -> None:
        """`tls` says that the connection is encrypted from its beginning; `chunking` offers BDAT (RFC 3030)."""
        if unknown := set(auth_mechanisms) - set(MECHANISMS):
            raise ValueError(f"unknown AUTH mechanisms: {', '.join(sorted(unknown))}")
        self._hostname = hostname
        self._limits = limits
        self._starttls = starttls
        self._auth_mechanisms = tuple(auth_mechanisms)
        self._auth_requires_tls = auth_requires_tls
        self._chunking = chunking
        self._rules = ContentRules(limits.message_size, limits.text_line, bare_newlines)
        self.tls = tls
        self.authenticated: str | None = None
        """The account whose log-in was accepted."""
        self._state = State.GREETING
        self._next_state = State.GREETING
        self._pending: Event | None = None
        self._input = LineBuffer()
        self._output: list[bytes] = []
        self._eof = False
        self._errors = 0
        self._envelope: Envelope | None = None
        self._recipients_tried = False
        self._body: DataBody | None = None
        self._chunks: ChunkedBody | None = None
        self._exchange: Exchange | None = None
        self._exchange_name = ""

    # ---- the transport's side -------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take octets from the client; while TLS is being started there must be none, see `tls_established`."""
        if self._state is State.TLS and data:
            self.close(replies.INJECTION)
        if self._state is not State.CLOSING:
            self._input.octets += data

    def receive_eof(self) -> None:
        """The client sends no more; what it sent whole is still answered, a message it did not finish is none."""
        self._eof = True

    def next_event(self) -> Event | None:
        """The next thing to decide; None while one is pending, when more input is needed, and at the end."""
        if self._pending is not None:
            return None
        while self._pending is None and _STEPS[self._state](self):
            pass
        if self._pending is None and self._eof:
            self._finish()
        return self._pending

    def reply(self, reply: Reply) -> None:
        """Answer the event that `next_event` returned last; 2xx accepts it. After the end of a session, do nothing."""
        event, self._pending = self._pending, None
        if self._state is State.CLOSING:
            return
        if event is None:
            raise RuntimeError("there is no event to reply to")
        if reply.is_intermediate:
            self._pending = event
            raise ValueError(f"{reply} decides nothing")
        _SETTLE[type(event)](self, event, reply)
        if reply.code in (421, 521):  # RFC 5321 §3.8, RFC 7504 §3: with these the server closes
            self._finish()

    def accept(self) -> None:
        """Answer the pending event with the positive reply that is customary for it."""
        if self._pending is not None:
            self.reply(replies.CUSTOMARY.get(type(self._pending)) or self._greeting(self._pending))

    def close(self, reply: Reply) -> None:
        """End the session unasked, with a reply such as 421 4.4.2 at a timeout; a pending event is given up."""
        if self._state is not State.CLOSING:
            self._say(reply)
            self._finish()

    def data_to_send(self) -> bytes:
        """All replies that were not taken yet, for one write."""
        output = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return output

    def tls_established(self) -> None:
        """The handshake that a StartTLS began is done: the session starts anew (RFC 3207 §4.2).

        Call it before the first decrypted octets are given to `receive_data`: what comes between the 220 and this
        call is taken for plaintext somebody injected, and ends the session.
        """
        if self._state is not State.TLS:
            raise RuntimeError(f"no TLS handshake in state {self._state}")
        self.tls = True
        self.authenticated = None
        self._state = State.CONNECTED
        self._reset()

    # ---- what can be seen -----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands; it moves when an event is decided."""
        return self._state

    @property
    def pending(self) -> Event | None:
        """The event that waits for its reply."""
        return self._pending

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed once `data_to_send` is written."""
        return self._state is State.CLOSING

    @property
    def buffered(self) -> int:
        """Octets that came and were not consumed."""
        return len(self._input.octets)

    @property
    def wants_data(self) -> bool:
        """False while reading should be paused: a decision is pending and enough waits behind it, or all is over."""
        return not self.closing and (self._pending is None or self.buffered <= self._limits.buffered)

    @property
    def idle(self) -> bool:
        """Whether the session can be ended without interrupting a message."""
        between = (State.GREETING, State.REFUSED, State.CONNECTED, State.READY, State.CLOSING)
        return self._state in between and self._pending is None and not self._input.octets

    def __repr__(self) -> str:
        facts = [str(self._state)]
        if self.tls:
            facts.append("TLS")
        if self.authenticated is not None:
            facts.append(f"as {self.authenticated}")
        if self._envelope is not None:
            facts.append(f"{len(self._envelope.recipients)} recipients")
        if self._pending is not None:
            facts.append(f"deciding {type(self._pending).__name__}")
        return f"<ServerProtocol {', '.join(facts)}, {self.buffered} octets buffered>"

    # ---- one step: each takes a little input and returns whether there may be more to do --------------------------

    def _greet(self) -> bool:
        self._pending = Connected()
        return True

    def _starve(self) -> bool:
        return False

    def _take_command(self) -> bool:
        # RFC 4954 §4: the line of an AUTH with an initial response may be longer than other commands.
        is_auth = self._input.octets[:5].upper() == b"AUTH "
        line = self._input.take_line(self._limits.auth_line if is_auth else self._limits.command_line)
        if line is None:
            return False
        if isinstance(line, bytes):
            self._obey(line)
        else:
            self._refuse_line(line, replies.LINE_TOO_LONG)
        return True

    def _take_response(self) -> bool:
        line = self._input.take_line(self._limits.auth_line)
        if line is None:
            return False
        self._state = State.READY
        if isinstance(line, bytes):
            try:
                self._respond(line, initial=False)
            except Refusal as refusal:
                self._refuse(refusal.reply)
        else:
            self._refuse_line(line, replies.AUTH_LINE_TOO_LONG)
        return True

    def _take_data(self) -> bool:
        assert self._body is not None
        content = self._body.take(self._input.octets)
        if content is None:
            return False
        self._body = None
        self._finish_message(content)
        return True

    def _take_chunk(self) -> bool:
        chunks = self._chunks
        assert chunks is not None
        if not chunks.take(self._input.octets):
            return False
        if chunks.refusal is not None:
            self._chunks = None
            self._state = chunks.resume
            self._refuse(chunks.refusal)
        elif chunks.last:
            self._finish_message(chunks.content())
        else:
            self._state = chunks.resume
            self._say(chunks.too_big or Reply(250, "2.0.0", f"{chunks.octets} octets received"))
        return True

    def _finish_message(self, content: bytes | Reply) -> None:
        assert self._envelope is not None
        if isinstance(content, bytes):
            self._pending = MessageData(self._envelope, content)
        else:
            self._say(content)
            self._reset()
            self._state = State.READY

    # ---- commands: each is in the table of its state already ------------------------------------------------------

    def _obey(self, line: bytes) -> None:
        try:
            verb, argument = parse_command(line)
            next_state = TRANSITIONS[self._state].get(verb)
            if next_state is None:
                self._out_of_sequence(verb, argument)
            else:
                self._next_state = next_state
                _COMMANDS[verb](self, argument)
        except Refusal as refusal:
            self._refuse(refusal.reply)

    def _out_of_sequence(self, verb: Verb, argument: str) -> None:
        refusal = out_of_sequence(self._state, verb)
        if verb is Verb.DATA and self._state is State.MAIL and self._recipients_tried:
            refusal = replies.NO_VALID_RECIPIENTS
        if verb is Verb.BDAT and self._chunking:
            self._begin_chunk(argument, ChunkedBody(self._rules, refusal, self._state))
        else:
            self._refuse(refusal)

    def _ehlo(self, argument: str) -> None:
        self._pending = Hello(parse_hello(argument, Verb.EHLO), extended=True)

    def _helo(self, argument: str) -> None:
        self._pending = Hello(parse_hello(argument, Verb.HELO), extended=False)

    def _mail(self, argument: str) -> None:
        envelope = parse_mail(argument)
        if int(envelope.parameters.get("SIZE", "0")) > self._limits.message_size:
            raise Refusal(too_big(self._rules))
        self._pending = MailFrom(envelope)

    def _rcpt(self, argument: str) -> None:
        envelope = self._envelope
        assert envelope is not None
        self._recipients_tried = True
        if len(envelope.recipients) >= self._limits.recipients:
            raise Refusal(replies.TOO_MANY_RECIPIENTS)  # RFC 5321 §4.5.3.1.10
        self._pending = RcptTo(parse_rcpt(argument, smtputf8=envelope.smtputf8), envelope)

    def _data(self, argument: str) -> None:
        _want_no_argument(argument)
        self._body = DataBody(self._rules)
        self._say(replies.START_INPUT)
        self._state = State.DATA

    def _bdat(self, argument: str) -> None:
        if not self._chunking:
            raise Refusal(replies.NO_BDAT)
        self._begin_chunk(argument, self._chunks or ChunkedBody(self._rules))

    def _begin_chunk(self, argument: str, chunks: ChunkedBody) -> None:
        chunk = parse_bdat(argument)
        if chunk is None:
            self.close(replies.BDAT_SYNTAX)
            return
        chunks.begin(chunk.octets, last=chunk.last)
        self._chunks = chunks
        self._state = State.CHUNK

    def _rset(self, argument: str) -> None:
        _want_no_argument(argument)
        self._reset()
        self._state = self._next_state
        self._say(replies.OK)

    def _noop(self, argument: str) -> None:
        self._say(replies.OK)  # RFC 5321 §4.1.1.9: an argument is ignored

    def _vrfy(self, argument: str) -> None:
        self._say(replies.CANNOT_VERIFY if argument else replies.VRFY_SYNTAX)

    def _help(self, argument: str) -> None:
        self._say(replies.HELP)

    def _quit(self, argument: str) -> None:
        _want_no_argument(argument)
        self._pending = Quit()

    def _start_tls(self, argument: str) -> None:
        _want_no_argument(argument)
        if self.tls or not self._starttls:
            raise Refusal(replies.TLS_ACTIVE if self.tls else replies.NO_TLS)
        if self._input.octets:  # RFC 3207 §6: what was sent in the clear must not be taken for encrypted
            self.close(replies.INJECTION)
        else:
            self._pending = StartTLS()

    def _auth(self, argument: str) -> None:
        if not self._auth_mechanisms:
            raise Refusal(replies.NO_AUTH)
        if self.authenticated is not None:
            raise Refusal(replies.AUTHENTICATED)
        if self._auth_requires_tls and not self.tls:
            raise Refusal(replies.ENCRYPTION_NEEDED)
        name, _, initial = argument.partition(" ")
        self._exchange_name = name.upper()
        if self._exchange_name not in self._auth_mechanisms:
            raise Refusal(replies.UNKNOWN_MECHANISM)
        self._exchange = MECHANISMS[self._exchange_name]()
        if initial:
            self._respond(initial.encode("utf-8", "surrogateescape"), initial=True)
        else:
            self._challenge(self._exchange)

    def _respond(self, line: bytes, *, initial: bool) -> None:
        assert self._exchange is not None
        credentials = self._exchange.respond(decode_response(line, initial=initial))
        if credentials is None:
            self._challenge(self._exchange)
        else:
            self._exchange = None
            self._pending = Authenticate(self._exchange_name, credentials.username, credentials.password)

    def _challenge(self, exchange: Exchange) -> None:
        self._say(Reply(334, "", exchange.challenge))
        self._state = State.AUTH

    # ---- decisions ------------------------------------------------------------------------------------------------

    def _settle_connected(self, event: Connected, reply: Reply) -> None:
        self._say(reply)
        self._state = State.CONNECTED if reply.is_positive else State.REFUSED

    def _settle_hello(self, event: Hello, reply: Reply) -> None:
        if reply.is_positive:
            lines = [reply.text, *self._extensions()] if event.extended else [reply.text]
            reply = Reply(reply.code, "", "\n".join(lines))  # RFC 2034 §4: no enhanced code here
            self._reset()
            self._state = self._next_state
        self._say(reply)

    def _settle_start_tls(self, event: StartTLS, reply: Reply) -> None:
        if not reply.is_positive:
            self._say(reply)
        elif self._input.octets:
            self.close(replies.INJECTION)
        else:
            self._say(reply)
            self._state = self._next_state

    def _settle_authenticate(self, event: Authenticate, reply: Reply) -> None:
        if reply.is_positive:
            self.authenticated = event.username
            self._say(reply)
        else:
            self._refuse(reply)

    def _settle_mail(self, event: MailFrom, reply: Reply) -> None:
        if reply.is_positive:
            self._envelope = event.envelope
            self._recipients_tried = False
            self._state = self._next_state
        self._say(reply)

    def _settle_rcpt(self, event: RcptTo, reply: Reply) -> None:
        if reply.is_positive:
            event.envelope.recipients.append(event.recipient)
            self._state = self._next_state
        self._say(reply)

    def _settle_message(self, event: MessageData, reply: Reply) -> None:
        self._say(reply)
        self._reset()
        self._state = State.READY
        if reply.is_positive:
            self._errors = 0

    def _settle_quit(self, event: Quit, reply: Reply) -> None:
        self._say(reply)
        self._finish()

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _greeting(self, event: Event) -> Reply:
        return (
            Reply(220, "", f"{self._hostname} ESMTP")
            if isinstance(event, Connected)
            else Reply(250, "", self._hostname)
        )

    def _extensions(self) -> list[str]:
        """What EHLO lists (RFC 5321 §4.1.1.1); STARTTLS and AUTH only while they can be used."""
        lines = ["PIPELINING", f"SIZE {self._limits.message_size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self._chunking:
            lines.append("CHUNKING")
        if self._starttls and not self.tls:
            lines.append("STARTTLS")
        if self._auth_mechanisms and (self.tls or not self._auth_requires_tls):
            lines.append(f"AUTH {' '.join(self._auth_mechanisms)}")
        return lines

    def _say(self, reply: Reply) -> None:
        self._output.append(reply.encode(utf8=self._envelope is not None and self._envelope.smtputf8))

    def _refuse(self, reply: Reply) -> None:
        """Say it, and count it where it is an error of the client."""
        if reply.code in replies.ERRORS:
            self._errors += 1
            if self._errors > self._limits.errors:
                self.close(replies.TOO_MANY_ERRORS)
                return
        self._say(reply)

    def _refuse_line(self, flaw: LineFlaw, too_long: Reply) -> None:
        if flaw is LineFlaw.BARE_LF:
            self.close(replies.BARE_LF)
        else:
            self._refuse(too_long)

    def _reset(self) -> None:
        self._envelope = None
        self._chunks = None

    def _finish(self) -> None:
        self._state = State.CLOSING
        self._pending = self._body = self._exchange = None
        self._reset()
        self._input.clear()


def _want_no_argument(argument: str) -> None:
    if argument:
        raise Refusal(replies.NO_ARGUMENT)


_STEPS: Mapping[State, Callable[[ServerProtocol], bool]] = {
    State.GREETING: ServerProtocol._greet,
    State.REFUSED: ServerProtocol._take_command,
    State.CONNECTED: ServerProtocol._take_command,
    State.READY: ServerProtocol._take_command,
    State.MAIL: ServerProtocol._take_command,
    State.RCPT: ServerProtocol._take_command,
    State.DATA: ServerProtocol._take_data,
    State.CHUNKS: ServerProtocol._take_command,
    State.CHUNK: ServerProtocol._take_chunk,
    State.AUTH: ServerProtocol._take_response,
    State.TLS: ServerProtocol._starve,
    State.CLOSING: ServerProtocol._starve,
}

_COMMANDS: Mapping[Verb, Callable[[ServerProtocol, str], None]] = {
    Verb.EHLO: ServerProtocol._ehlo,
    Verb.HELO: ServerProtocol._helo,
    Verb.MAIL: ServerProtocol._mail,
    Verb.RCPT: ServerProtocol._rcpt,
    Verb.DATA: ServerProtocol._data,
    Verb.BDAT: ServerProtocol._bdat,
    Verb.RSET: ServerProtocol._rset,
    Verb.NOOP: ServerProtocol._noop,
    Verb.VRFY: ServerProtocol._vrfy,
    Verb.HELP: ServerProtocol._help,
    Verb.QUIT: ServerProtocol._quit,
    Verb.AUTH: ServerProtocol._auth,
    Verb.STARTTLS: ServerProtocol._start_tls,
}

# The event is of the type that is its key, which a mapping cannot say.
_SETTLE: Mapping[type[Event], Callable[[ServerProtocol, Any, Reply], None]] = {
    Connected: ServerProtocol._settle_connected,
    Hello: ServerProtocol._settle_hello,
    StartTLS: ServerProtocol._settle_start_tls,
    Authenticate: ServerProtocol._settle_authenticate,
    MailFrom: ServerProtocol._settle_mail,
    RcptTo: ServerProtocol._settle_rcpt,
    MessageData: ServerProtocol._settle_message,
    Quit: ServerProtocol._settle_quit,
}
