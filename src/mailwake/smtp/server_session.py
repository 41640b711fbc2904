"""The state of one SMTP session, on which commands and decisions work; nothing outside this package sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailwake.smtp import server_replies as replies
from mailwake.smtp.chunked_body import ChunkedBody
from mailwake.smtp.data_body import ContentRules, DataBody
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.line_buffer import LineBuffer
from mailwake.smtp.replies import Reply
from mailwake.smtp.sasl import Exchange
from mailwake.smtp.server_events import Event
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.states import State, Verb
from mailwake.smtp.trusted_commands import XCLIENT_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What stays the same as long as the session lasts."""

    hostname: str
    limits: ServerLimits
    starttls: bool
    auth_mechanisms: tuple[str, ...]
    auth_requires_tls: bool
    chunking: bool
    trusted_verbs: frozenset[Verb] = frozenset()
    """Those of TRUSTED_VERBS that the peer may use, whoever it later says that its client is."""


@dataclass(slots=True)
class Session:
    """Where a session stands, what it gathered, and what it still has to say."""

    options: SessionOptions
    rules: ContentRules
    tls: bool
    authenticated: str | None = None
    state: State = State.GREETING
    next_state: State = State.GREETING
    """The state that follows if the command being handled is accepted."""
    pending: Event | None = None
    input: LineBuffer = field(default_factory=LineBuffer)
    output: list[bytes] = field(default_factory=list)
    errors: int = 0
    envelope: Envelope | None = None
    recipients_tried: bool = False
    """Whether the transaction saw a RCPT, accepted or not."""
    body: DataBody | None = None
    chunks: ChunkedBody | None = None
    exchange: Exchange | None = None
    exchange_name: str = ""

    def say(self, reply: Reply) -> None:
        """Put a reply behind those that wait to be sent."""
        self.output.append(reply.encode(utf8=self.envelope is not None and self.envelope.smtputf8))

    def refuse(self, reply: Reply) -> None:
        """Say it, and count it where it is an error of the client; too many end the session."""
        # A bad address (5.1.x) is an error of whoever wrote the list, and a list may have many.
        if reply.code in replies.ERRORS and not reply.enhanced.startswith("5.1."):
            self.errors += 1
            if self.errors > self.options.limits.errors:
                self.close(replies.TOO_MANY_ERRORS)
                return
        self.say(reply)

    def close(self, reply: Reply) -> None:
        """Say it, and nothing after it."""
        self.say(reply)
        self.finish()

    def begin_data(self) -> None:
        """Ask for the message (RFC 5321 §4.1.1.4)."""
        self.body = DataBody(self.rules)
        self.say(replies.START_INPUT)
        self.state = State.DATA

    def reset(self) -> None:
        """Forget the transaction (RFC 5321 §4.1.1.5)."""
        self.envelope = None
        self.chunks = None

    def finish(self) -> None:
        """End the session: input is not looked at any more."""
        self.state = State.CLOSING
        self.pending = self.body = self.exchange = None
        self.reset()
        self.input.clear()

    def extensions(self) -> list[str]:
        """What EHLO lists (RFC 5321 §4.1.1.1); STARTTLS and AUTH only while they can be used."""
        options = self.options
        lines = ["PIPELINING", f"SIZE {options.limits.message_size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if options.chunking:
            lines.append("CHUNKING")
        if options.starttls and not self.tls:
            lines.append("STARTTLS")
        if options.auth_mechanisms and (self.tls or not options.auth_requires_tls):
            lines.append(f"AUTH {' '.join(options.auth_mechanisms)}")
        return lines + [self._trusted_extension(verb) for verb in Verb if verb in options.trusted_verbs]

    def _trusted_extension(self, verb: Verb) -> str:
        if verb is not Verb.XCLIENT:
            return verb
        known = [each for each in XCLIENT_ATTRIBUTES if each != "LOGIN" or self.options.auth_mechanisms]
        return f"XCLIENT {' '.join(known)}"
