"""The state of one SMTP session, on which commands and decisions work; nothing outside this package sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from mailwake.smtp import server_replies as replies
from mailwake.smtp.chunked_body import ChunkedBody
from mailwake.smtp.data_body import ContentRules, DataBody
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension
from mailwake.smtp.line_buffer import LineBuffer
from mailwake.smtp.replies import Reply
from mailwake.smtp.sasl import Exchange
from mailwake.smtp.server_events import Answer, Event, MessageReplies
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.states import LMTP_GREETINGS, SMTP_GREETINGS, State, Verb
from mailwake.smtp.trusted_commands import XCLIENT_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What stays the same as long as the session lasts."""

    hostname: str
    limits: ServerLimits
    starttls: bool
    auth_mechanisms: tuple[str, ...]
    auth_requires_tls: bool
    trusted_verbs: frozenset[Verb] = frozenset()
    """Those of TRUSTED_VERBS that the peer may use, whoever it later says that its client is."""
    lmtp: bool = False
    """Whether LMTP is spoken instead of SMTP (RFC 2033)."""

    @property
    def unknown_verbs(self) -> frozenset[Verb]:
        """The commands that there are in the other protocol only."""
        return SMTP_GREETINGS if self.lmtp else LMTP_GREETINGS


@dataclass(slots=True)
class Session:
    """Where a session stands, what it gathered, and what it still has to say."""

    options: SessionOptions
    rules: ContentRules
    tls: bool
    extensions: frozenset[Extension] = EVERY_EXTENSION
    """What the client may use; see `offer`."""
    on_offer: Collection[Extension] = ()
    """The same, possible or not."""
    authenticated: str | None = None
    state: State = State.GREETING
    next_state: State = State.GREETING
    """The state that follows if the command being handled is accepted."""
    pending: Event | None = None
    input: LineBuffer = field(default_factory=LineBuffer)
    output: list[bytes] = field(default_factory=list)
    unsent: int = 0
    """Octets of `output`."""
    errors: int = 0
    envelope: Envelope | None = None
    recipients_tried: bool = False
    """Whether the transaction saw a RCPT, accepted or not."""
    body: DataBody | None = None
    chunks: ChunkedBody | None = None
    exchange: Exchange | None = None
    exchange_name: str = ""

    @property
    def is_binary(self) -> bool:
        """Whether the message is to come as BINARYMIME."""
        return self.envelope is not None and self.envelope.body == "BINARYMIME"

    def say(self, reply: Reply) -> None:
        """Put a reply behind those that wait to be sent."""
        encoded = reply.encode(utf8=self.envelope is not None and self.envelope.smtputf8)
        self.output.append(encoded)
        self.unsent += len(encoded)

    def answer_message(self, answer: Answer) -> None:
        """Say what became of the message, once or to each recipient, and be ready for the next one."""
        assert self.envelope is not None
        if isinstance(answer, MessageReplies):
            for reply in answer.each:
                self.say(reply)
        else:
            for _ in range(len(self.envelope.recipients) if self.options.lmtp else 1):
                self.say(answer)
        self.reset()
        self.state = State.READY

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

    def offer(self, extensions: Collection[Extension]) -> None:
        """From now on the client may use these, as far as there is what they need."""
        if extensions is self.on_offer:
            return
        self.on_offer = extensions
        there = {
            Extension.STARTTLS: self.options.starttls,
            Extension.AUTH: bool(self.options.auth_mechanisms),
            Extension.BINARYMIME: Extension.CHUNKING in extensions,  # RFC 3030 §3
        }
        needed = {Extension.PIPELINING} if self.options.lmtp else set()  # RFC 2033 §5
        self.extensions = frozenset(each for each in extensions if there.get(each, True)) | needed

    def shown(self) -> list[str]:
        """What EHLO lists (RFC 5321 §4.1.1.1): everything that can be used now."""
        usable = (each for each in Extension if each in self.extensions)
        lines = [_SHOWN[each](self) if each in _SHOWN else each for each in usable]
        return [line for line in lines if line] + [
            self._trusted_extension(verb) for verb in Verb if verb in self.options.trusted_verbs
        ]

    def _trusted_extension(self, verb: Verb) -> str:
        if verb is not Verb.XCLIENT:
            return verb
        known = [each for each in XCLIENT_ATTRIBUTES if each != "LOGIN" or self.options.auth_mechanisms]
        return f"XCLIENT {' '.join(known)}"


def _auth_line(session: Session) -> str:
    options = session.options
    # RFC 4954 §4: once a session, and not where it would be refused for want of encryption.
    possible = session.authenticated is None and (session.tls or not options.auth_requires_tls)
    return f"AUTH {' '.join(options.auth_mechanisms)}" if possible else ""


_SHOWN: Mapping[Extension, Callable[[Session], str]] = {
    Extension.SIZE: lambda session: f"SIZE {session.options.limits.message_size}",
    Extension.STARTTLS: lambda session: "" if session.tls else "STARTTLS",
    Extension.AUTH: _auth_line,
}
"""What stands in EHLO where it is not just the keyword; "" where the extension cannot be used now."""
